/** The worked values of the specification, section 7.5, and what the driver leaves behind as devices come and go. */
import { describe, expect, it } from "vitest";
import { type Attachment, newSmmuv3Unit, type Smmuv3Options } from "../../../../formats/iommu/arm/encode.js";
import { stage1Domain, stage2Domain } from "../../../../formats/iommu/arm/geometry.js";
import { type Domain, newDomain } from "../../../../formats/iommu/domain.js";
import { isKhoError } from "../../../../src/report/error.js";
import { contentOf, newStore, type Store } from "../store.js";
import { wordsAt } from "./support.js";

const smmu = { granules: [12], outputBits: 48 };
const kernel = { pageLg2: 12, vaBits: 48 };

const stage1 = (store: Store, options: { dirtyTracking?: boolean } = {}): Domain =>
  newDomain(stage1Domain(smmu, kernel, options), store)!;
const stage2 = (store: Store, outputBits: number): Domain =>
  newDomain(stage2Domain({ ...smmu, outputBits }, kernel), store)!;

const streamTable = 0x200000000n;

/** A unit whose stream table is at an address of its own; what comes later is at 0x100000000 and on, as in the specification. */
function unitWith(options: Partial<Smmuv3Options> = {}) {
  const tables = newStore(streamTable);
  const store = newStore();
  let made = false;
  const unit = newSmmuv3Unit(
    { sidBits: 8, ...options },
    {
      ...store,
      allocate: (bytes, level) => (made ? store : tables).allocate(bytes, level),
      read: (pa, length) => (pa >= streamTable ? tables : store).read(pa, length),
      write: (pa, bytes) => (pa >= streamTable ? tables : store).write(pa, bytes),
    },
  )!;
  made = true;
  return { unit, store, ste: (sid = 0) => wordsAt(tables.memory, streamTable + BigInt(sid * 64), 8), tables };
}

const zeros = (count: number): bigint[] => Array.from({ length: count }, () => 0n);

describe("stream table entries", () => {
  const contexts = 0x100000000n;

  it("abort", () => {
    const { ste, unit } = unitWith();
    for (const sid of [0, 1, 255]) expect(ste(sid)).toEqual([1n, ...zeros(7)]);
    unit.attach(7, { kind: "identity" });
    unit.attach(7, { kind: "blocked" });
    expect(ste(7)).toEqual([1n, ...zeros(7)]);
  });

  it.each([
    [true, 0x0000100000000000n],
    [false, 0n],
  ])("bypass, attribute override %s", (attributeOverride, d1) => {
    const { ste, unit } = unitWith({ attributeOverride });
    unit.attach(7, { kind: "identity" });
    expect(ste(7)).toEqual([9n, d1, ...zeros(6)]);
  });

  const firstStages: readonly (readonly [string, Partial<Smmuv3Options>, object, bigint])[] = [
    ["plain", {}, {}, 0xd6n],
    ["SMMU stalls, the device does not", { stalls: true }, {}, 0x080000d6n],
    ["both stall", { stalls: true }, { stall: true }, 0xd6n],
    ["ATS", {}, { ats: true }, 0x100000d6n],
    ["E2H", { e2h: true }, {}, 0x800000d6n],
    ["attribute override", { attributeOverride: true }, {}, 0xd6n],
  ];
  it.each(firstStages)("stage 1: %s", (_, options, device, d1) => {
    const { ste, unit, store } = unitWith(options);
    const domains = newStore(0x300000000n);
    expect(
      unit.attach(7, { kind: "table", domain: stage1(domains), domainId: 1, ...device }),
    ).toBeUndefined();
    expect(ste(7)).toEqual([0x000000010000000bn, d1, ...zeros(6)]);
    expect([...store.tables]).toEqual([[contexts, 64]]);
  });

  it("stage 1 with two levels of context descriptors", () => {
    const { ste, unit, store } = unitWith();
    const domain = stage1(newStore(0x300000000n));
    unit.attach(7, { kind: "table", domain, domainId: 1, pasidBits: 16 });
    expect(ste(7)).toEqual([0x800000010000002bn, 0xd6n, ...zeros(6)]);
    // 64 descriptors, and a block of 1024 contexts.
    expect([...store.tables]).toEqual([
      [contexts, 512],
      [0x100010000n, 65536],
    ]);
    expect(wordsAt(store.memory, contexts, 64)).toEqual([0x100010001n, ...zeros(63)]);
  });

  it.each([
    [10, true, 0x5000_0001_0000_000bn, 65536],
    [11, true, 0x5800_0001_0000_002bn, 16],
    [11, false, 0x5800_0001_0000_000bn, 131072],
    [1, true, 0x0800_0001_0000_000bn, 128],
  ])("PASIDs of %d bits, two levels %s: %d, table of %d bytes", (pasidBits, twoLevelContexts, d0, bytes) => {
    const { ste, unit, store } = unitWith({ twoLevelContexts });
    unit.attach(7, { kind: "table", domain: stage1(newStore(0x300000000n)), domainId: 1, pasidBits });
    expect(ste(7)[0]).toBe(d0);
    expect(store.tables.get(contexts)).toBe(bytes);
  });

  it.each([
    [44, 0x044c359400000001n],
    [40, 0x044a355800000001n],
  ])("stage 2, %d bits", (outputBits, d2) => {
    const { ste, unit, store } = unitWith({ attributeOverride: true });
    unit.attach(7, { kind: "table", domain: stage2(store, outputBits), domainId: 1 });
    expect(ste(7)).toEqual([0xdn, 0x0000100000000000n, d2, 0x0000000100000000n, ...zeros(4)]);
  });

  it("stage 2 with ATS, stalls and forced write-back", () => {
    const { ste, unit, store } = unitWith();
    const what = { kind: "table", domain: stage2(store, 44), domainId: 0x1234 } as const;
    unit.attach(7, { ...what, ats: true, stall: true, s2fwb: true });
    // S2FWB is bit 25 of d1, EATS bits 29:28, S2S bit 57 of d2.
    expect(ste(7).slice(1, 3)).toEqual([0x12000000n, 0x064c359400001234n]);
  });

  it("nested: the guest's part in a parent's entry", () => {
    const { ste, unit, store } = unitWith({ attributeOverride: true });
    const guest = {
      S1Fmt: 2,
      S1ContextPtr: 0x40000000 / 64,
      S1CDMax: 16,
      S1DSS: 2,
      S1CIR: 1,
      S1COR: 1,
      S1CSH: 3,
    };
    unit.attach(7, { kind: "nested", parent: stage2(store, 44), domainId: 1, guest });
    expect(ste(7)).toEqual([
      0x800000004000002fn,
      // MEV is bit 19.
      0x00001000000800d6n,
      0x044c359400000001n,
      0x0000000100000000n,
      ...zeros(4),
    ]);
  });
});

describe("context descriptors", () => {
  const cases: readonly (readonly [
    string,
    Partial<Smmuv3Options>,
    { dirtyTracking?: boolean; stall?: boolean },
    bigint,
  ])[] = [
    ["4K, 48 bits", {}, {}, 0x0001e205c0003510n],
    ["dirty tracking", {}, { dirtyTracking: true }, 0x0001ee05c0003510n],
    ["a device that stalls", {}, { stall: true }, 0x0001f205c0003510n],
    ["not coherent", { coherent: false }, {}, 0x0001e205c0002010n],
  ];
  it.each(cases)("%s", (_, options, what, c0) => {
    const { unit, store } = unitWith(options);
    const domain = stage1(store, what);
    unit.attach(7, { kind: "table", domain, domainId: 1, ...what });
    const [[, contexts] = [], [table] = []] = [...store.tables].map(([pa, bytes]) => [pa, bytes] as const);
    expect(contexts).toBe(4096);
    expect(wordsAt(store.memory, table!, 8)).toEqual([
      c0,
      0x0000000100000000n,
      0n,
      0xfffffffff404ff44n,
      ...zeros(4),
    ]);
  });

  it.each([
    [14, 48, 48, 0x90n, 5n],
    [16, 52, 52, 0x4cn, 6n],
    [16, 48, 44, 0x50n, 4n],
    [12, 39, 32, 0x19n, 0n],
  ])(
    "granule 2^%d, %d bits, PA of %d bits: T0SZ and TG0 %d, IPS %d",
    (granuleLg2, vaBits, outputBits, low, IPS) => {
      const { unit, store } = unitWith();
      const options = stage1Domain(
        { granules: [granuleLg2], outputBits, vax: true },
        { pageLg2: 12, vaBits },
      );
      unit.attach(7, { kind: "table", domain: newDomain(options, newStore(0x300000000n))!, domainId: 1 });
      const [c0 = 0n] = wordsAt(store.memory, 0x100000000n, 1);
      expect([c0 & 0xffn, (c0 >> 32n) & 7n]).toEqual([low, IPS]);
    },
  );
});

describe("directories", () => {
  it.each([
    [16, true, 0x00010210n, 2048],
    [8, true, 0x00000008n, 16384],
    [8, false, 0x00000008n, 16384],
    [10, false, 0x0000000an, 65536],
    [9, true, 0x00010209n, 16],
    // 2^17 descriptors at most.
    [32, true, 0x00010219n, 2 ** 20],
  ])("StreamIDs of %d bits, two levels %s: CFG %d, %d bytes", (sidBits, twoLevelStreams, cfg, bytes) => {
    const store = newStore();
    const unit = newSmmuv3Unit({ sidBits, twoLevelStreams }, store)!;
    expect(unit.root).toBe(0x4000000100000000n);
    expect(unit.cfg).toBe(cfg);
    expect([...store.tables]).toEqual([[0x100000000n, bytes]]);
  });

  it("an array of the second level is made when a stream of it is first attached", () => {
    const store = newStore(0x100000000n);
    const unit = newSmmuv3Unit({ sidBits: 16 }, store)!;
    expect(contentOf(store)).toEqual({ "0x100000000": {} });
    store.allocate(0x30000, 0);
    unit.attach(0x1234, { kind: "identity" });
    const array = [...store.tables.keys()].at(-1)!;
    expect(wordsAt(store.memory, 0x100000000n + 0x12n * 8n, 1)).toEqual([array | 9n]);
    for (let at = 0; at < 256; at++)
      expect(wordsAt(store.memory, array + BigInt(at * 64), 1)).toEqual([at === 0x34 ? 9n : 1n]);
    unit.attach(0x1235, { kind: "identity" });
    expect([...store.tables.keys()].at(-1)).toBe(array);
  });

  it("leads to an array at 0x100040000 as the specification has it", () => {
    const store = newStore(0x100030000n);
    const unit = newSmmuv3Unit({ sidBits: 16 }, store)!;
    for (let others = 0; others < 3; others++) store.allocate(0x4000, 0);
    unit.attach(0, { kind: "blocked" });
    expect(wordsAt(store.memory, 0x100030000n, 1)).toEqual([0x0000000100040009n]);
  });
});

describe("coming and going", () => {
  const contextsAt = 0x100000000n;
  const cd = (store: Store, ssid: number) => wordsAt(store.memory, contextsAt + BigInt(ssid * 64), 8);

  it("a context is zero once the device has another domain, and the table stays until the device goes", () => {
    const { unit, ste, store } = unitWith();
    const domain = stage1(newStore(0x300000000n));
    unit.attach(7, { kind: "table", domain, domainId: 1 });
    expect(cd(store, 0)[0]).not.toBe(0n);
    unit.attach(7, { kind: "identity" });
    expect(cd(store, 0)).toEqual(zeros(8));
    expect(ste(7)[0]).toBe(9n);
    expect(store.tables.size).toBe(1);
    unit.detach(7);
    expect(ste(7)).toEqual([1n, ...zeros(7)]);
    expect(store.tables.size).toBe(0);
    unit.detach(7);
  });

  it.each([
    ["identity", true, 0x0000_1000_0000_00d5n, 9n],
    ["identity", false, 0xd5n, 9n],
    ["blocked", true, 0xd4n, 1n],
  ] as const)("%s with PASIDs in use, attribute override %s", (kind, attributeOverride, d1, alone) => {
    const { unit, ste, store } = unitWith({ attributeOverride });
    const domain = stage1(newStore(0x300000000n));
    unit.attach(7, { kind });
    unit.attach(7, { kind: "table", domain, domainId: 5, pasid: 3, pasidBits: 4 });
    expect(ste(7)).toEqual([0x200000010000000bn, d1, ...zeros(6)]);
    expect(cd(store, 0)).toEqual(zeros(8));
    expect(cd(store, 3)[0]).toBe(0x0005e205c0003510n);
    // Requests without PASID get a domain, and lose it.
    unit.attach(7, { kind: "table", domain, domainId: 1 });
    expect(ste(7)[1]).toBe(0xd6n);
    unit.attach(7, { kind });
    expect(ste(7)[1]).toBe(d1);
    expect(cd(store, 0)).toEqual(zeros(8));
    unit.detach(7, 3);
    expect(cd(store, 3)).toEqual(zeros(8));
    expect(ste(7)[0]).toBe(alone);
  });

  it("what no driver does is refused", () => {
    const { unit, store } = unitWith();
    const first = stage1(newStore(0x300000000n));
    const second = stage2(newStore(0x400000000n), 44);
    const table = (domain: Domain, more: object = {}): Attachment => ({
      kind: "table",
      domain,
      domainId: 1,
      ...more,
    });
    const refused: readonly (readonly [number, Attachment])[] = [
      [256, { kind: "identity" }],
      [-1, { kind: "identity" }],
      [0.5, { kind: "identity" }],
      [7, table(second, { pasid: 1 })],
      [7, table(first, { pasid: 0 })],
      [8, table(first, { pasid: 1 })],
      [9, table(first, { pasid: 17, pasidBits: 4 })],
      [10, table(first, { pasidBits: 21 })],
    ];
    for (const [sid, what] of refused)
      expect(
        (() => {
          try {
            unit.attach(sid, what);
            return "taken";
          } catch (error) {
            return isKhoError(error, "usage");
          }
        })(),
        `${sid} ${what.kind}`,
      ).toBe(true);
    unit.attach(11, table(first, { pasid: 1, pasidBits: 4 }));
    expect(() => unit.attach(11, table(second))).toThrow(/PASIDs are in use/);
    unit.attach(12, table(second));
    expect(() => unit.attach(12, table(first, { pasid: 1, pasidBits: 4 }))).toThrow(/stage 1 alone/);
    expect(() => newSmmuv3Unit({ sidBits: 33 }, store)).toThrow(/33 bits/);
    // VMIDs have 16 bits.
    expect(() => unit.attach(13, { kind: "table", domain: second, domainId: 65536 })).toThrow(/S2VMID/);
  });

  it("without memory the entry stays as it was", () => {
    const { unit, ste, store } = unitWith();
    const domain = stage1(newStore(0x300000000n));
    unit.attach(7, { kind: "identity" });
    store.left = 0;
    expect(unit.attach(7, { kind: "table", domain, domainId: 1 })).toBe("ENOMEM");
    expect(unit.attach(7, { kind: "table", domain, domainId: 1, pasid: 1, pasidBits: 4 })).toBe("ENOMEM");
    expect(ste(7)[0]).toBe(9n);
    // A table of the first level, but no block.
    store.left = 1;
    expect(unit.attach(7, { kind: "table", domain, domainId: 1, pasidBits: 16 })).toBe("ENOMEM");
    expect(ste(7)[0]).toBe(9n);
    expect(newSmmuv3Unit({ sidBits: 16 }, store)).toBeUndefined();
    const two = newStore(0x500000000n);
    const twoLevel = newSmmuv3Unit({ sidBits: 16 }, two)!;
    two.left = 0;
    expect(twoLevel.attach(1, { kind: "identity" })).toBe("ENOMEM");
  });
});
