/** Device structures as the driver writes them: the worked values of its documentation, and what decoding makes of them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AmdTarget, type AmdUnitOptions, newAmdUnit } from "../../../../formats/iommu/amd/encode.js";
import { v1Options, v2Options } from "../../../../formats/iommu/amd/geometry.js";
import { type Domain, newDomain, type TableStore } from "../../../../formats/iommu/domain.js";
import { iommuMap } from "../../../../formats/iommu/map.js";
import { mappingsOf } from "../../../../formats/iommu/mappings.js";
import { decodeMappings } from "../../../../formats/iommu/walk.js";
import { physAddr, sparseMemory } from "../../../../src/memory/index.js";
import { newStore } from "../store.js";
import { gist, opened, put, wordsAt } from "./support.js";

const capabilities = { efr: 0n };
const v1At = (base: bigint, smeMask = 0n): Domain =>
  newDomain(v1Options({ ...capabilities, smeMask })!, newStore(base))!;
const v2At = (base: bigint, la57 = false, smeMask = 0n): Domain =>
  newDomain(v2Options({ efr: la57 ? 0x1000n : 0n, la57, smeMask }), newStore(base))!;

/** A store that hands out the addresses that are given, in this order. */
function storeOf(...addresses: bigint[]) {
  const memory = sparseMemory();
  const freed: bigint[] = [];
  const store: TableStore = {
    allocate(bytes) {
      const pa = addresses.shift();
      if (pa === undefined) return undefined;
      memory.cover(physAddr(pa), bytes);
      return physAddr(pa);
    },
    free: (pa) => void freed.push(pa),
    read: (pa, length) => memory.read(pa, length),
    write: (pa, bytes) => memory.write(pa, bytes),
  };
  return { store, memory, freed };
}

const table = 0x100000000n;
const device = 0x28;
const entry = table + 0x28n * 32n;

/** A device that is attached to something, and the words of its entry. */
function attached(target: AmdTarget, options: Partial<AmdUnitOptions> = {}, gcr3 = 0x123456000n) {
  const { store, memory } = storeOf(table, gcr3, 0x140000000n);
  const unit = newAmdUnit({ lastBdf: 0xffff, interruptRemapping: true, ...options }, store)!;
  // An interrupt table of 512 entries at 0x100800000, which the interrupt code has put there.
  put(memory, entry + 16n, 0x2000000100800013n);
  expect(unit.attach(device, target)).toBeUndefined();
  return { unit, memory, words: wordsAt(memory, entry, 4) };
}

const table1 = { kind: "table", domain: v1At(0x100000000n), domainId: 5 } as const;
const table2 = { kind: "table", domain: v2At(0x100000000n), domainId: 7 } as const;

describe("worked values", () => {
  it.each<[string, AmdTarget, [bigint, bigint, bigint]]>([
    ["v1 of three levels", table1, [0x6000000100000603n, 0x0000000000000005n, 0x2000000100800013n]],
    ["with ATS", { ...table1, ats: true }, [0x6000000100000603n, 0x0000000100000005n, 0x2000000100800013n]],
    [
      "with dirty tracking",
      { ...table1, dirtyTracking: true },
      [0x6000000100000783n, 0x0000000000000005n, 0x2000000100800013n],
    ],
    [
      "v1 does without page requests",
      { ...table1, pageRequests: true },
      [0x6000000100000603n, 0x0000000000000005n, 0x2000000100800013n],
    ],
    [
      "pass-through",
      { kind: "identity", domainId: 6 },
      [0x6000000000000003n, 0x0000000000000006n, 0x2000000100800013n],
    ],
    ["v2", table2, [0x78c0000000000003n, 0x00001000468a0007n, 0x2000000100800013n]],
    [
      "v2, one level",
      { ...table2, pasids: 512 },
      [0x78c0000000000003n, 0x00001000468a0007n, 0x2000000100800013n],
    ],
    [
      "v2, two levels",
      { ...table2, pasids: 65536 },
      [0x79c0000000000003n, 0x00001000468a0007n, 0x2000000100800013n],
    ],
    [
      "v2 with page requests",
      { ...table2, pageRequests: true },
      [0x78d0000000000003n, 0x00001000468a0007n, 0x2000000100800013n],
    ],
    [
      "pass-through with PASIDs",
      { kind: "identity", domainId: 7, pasids: 16 },
      [0x7880000000000003n, 0x00001000468a0007n, 0x2000000100800013n],
    ],
    ["blocked", { kind: "blocked" }, [0x1n, 0n, 0x2000000100800013n]],
  ])("%s", (_, target, [data0, data1, data2]) =>
    expect(attached(target).words).toEqual([data0, data1, data2, 0n]),
  );

  it("a GCR3 table far up", () =>
    expect(attached(table2, {}, 0x80123456000n).words.slice(0, 2)).toEqual([
      0x78c0000000000003n,
      0x00801000468a0007n,
    ]));

  it("guest tables of five levels", () => {
    const target = { ...table2, domain: v2At(0x100000000n, true) };
    expect(attached(target, { guestLevels: 5 }).words[2]).toBe(0x2000000100800013n | 0x0040000000000000n);
  });

  it("up to 6.18 page requests are enabled with v1, too", () =>
    expect(attached({ ...table1, pageRequests: true }, { pageRequestsWithV1: true }).words[0]).toBe(
      0x6010000100000603n,
    ));

  it("the GCR3 entry of PASID 0", () => {
    const { memory } = attached(table2);
    expect(wordsAt(memory, 0x123456000n, 2)).toEqual([0x0000000100000001n, 0n]);
  });

  it("after growth to four levels", () => {
    const domain = v1At(0x100000000n);
    const { unit, memory } = attached({ kind: "table", domain, domainId: 5 });
    iommuMap(domain, 0x0n, 0x200000000n, 0x1000n, 3);
    iommuMap(domain, 0xffff00000000n, 0x300000000000n, 0x1000n, 3);
    unit.changeTop(domain);
    expect(domain.root).toBe(0x100003000n);
    expect(wordsAt(memory, entry, 2)).toEqual([0x6000000100003803n, 5n]);
  });

  it("memory encryption: in the register, in v1's root, in both parts of GCR3", () => {
    const smeMask = 1n << 51n;
    const options = { smeMask };
    const first = attached({ kind: "table", domain: v1At(0x100000000n, smeMask), domainId: 5 }, options);
    expect(first.unit.root).toBe(0x00080001000001ffn);
    expect(first.words[0]).toBe(0x6008000100000603n);
    const second = attached(
      { kind: "table", domain: v2At(0x100000000n, false, smeMask), domainId: 7 },
      options,
    );
    // Bit 51 is the highest of the third part, which is the highest of its word.
    expect(second.words[1]).toBe(0x80001000468a0007n);
    expect(wordsAt(second.memory, 0x123456000n, 1)).toEqual([0x0008000100000001n]);
  });
});

describe("a new table", () => {
  it.each([
    [0x7f, 0x100000000n],
    [0xffff, 0x00000001000001ffn],
    [0x2ff, 0x0000000100000007n],
  ])("up to 0x%x has the register 0x%s", (lastBdf, root) =>
    expect(newAmdUnit({ lastBdf }, storeOf(table).store)!.root).toBe(root),
  );

  it.each<[string, Partial<AmdUnitOptions>, bigint[]]>([
    ["interrupts are not remapped", {}, [3n, 0n, 0n, 0n]],
    ["interrupts are", { interruptRemapping: true }, [3n, 0n, 1n, 0n]],
    ["SEV-SNP", { snp: true }, [1n, 0n, 0n, 0n]],
    [
      "the firmware wants NMIs and INITs to pass",
      { firmware: new Map([[device, { NMIPass: 1, INITPass: 1 }]]) },
      [3n, 0n, 0x0500000000000000n, 0n],
    ],
    [
      "the firmware wants system management to write",
      { firmware: new Map([[device, { SysMgt: 1 }]]) },
      [0x4000000000000003n, 0x0000010000000000n, 0n, 0n],
    ],
  ])("%s", (_, options, words) => {
    const { store, memory } = storeOf(table);
    newAmdUnit({ lastBdf: device, ...options }, store);
    expect(wordsAt(memory, entry, 4)).toEqual(words);
    expect(wordsAt(memory, entry + 32n, 4)).toEqual([0n, 0n, 0n, 0n]);
  });

  it("without memory there is none", () =>
    expect(newAmdUnit({ lastBdf: 0 }, storeOf().store)).toBeUndefined());
});

describe("what stays", () => {
  it("of the firmware's wishes, whatever a device is attached to", () => {
    const { store, memory } = storeOf(table);
    const firmware = new Map([[device, { SysMgt: 1, Lint1Pass: 1 }]]);
    const unit = newAmdUnit({ lastBdf: 0xff, firmware }, store)!;
    unit.attach(device, table1);
    expect(wordsAt(memory, entry, 3)).toEqual([0x6000000100000603n, 0x0000010000000005n, 1n << 63n]);
    unit.detach(device);
    expect(wordsAt(memory, entry, 3)).toEqual([0x4000000000000001n, 0x0000010000000000n, 1n << 63n]);
  });

  it("aliases get what the device has", () => {
    const { store, memory } = storeOf(table);
    const unit = newAmdUnit({ lastBdf: 0xff, aliases: new Map([[device, [0x30]]]) }, store)!;
    unit.attach(device, table1);
    expect(wordsAt(memory, table + 0x30n * 32n, 2)).toEqual([0x6000000100000603n, 5n]);
    unit.detach(device);
    expect(wordsAt(memory, table + 0x30n * 32n, 2)).toEqual([1n, 0n]);
  });

  it("nothing, of GCR3 tables", () => {
    const { store, freed } = storeOf(table, 0x200000000n, 0x200001000n, 0x200002000n);
    const unit = newAmdUnit({ lastBdf: 0xff }, store)!;
    unit.attach(device, { ...table2, pasids: 2048 });
    unit.attach(device, { kind: "table", domain: table2.domain, pasid: 600 });
    unit.detach(device);
    expect(freed.sort()).toEqual([0x200000000n, 0x200001000n, 0x200002000n]);
  });
});

describe("PASIDs", () => {
  const other = v2At(0x180000000n);
  const pasid = { kind: "table", domain: other, pasid: 600 } as const;

  it("of a device with identity", () => {
    const { store, memory } = storeOf(table, 0x200000000n, 0x200001000n);
    const unit = newAmdUnit({ lastBdf: 0xff }, store)!;
    unit.attach(device, { kind: "identity", domainId: 9, pasids: 2048 });
    expect(unit.attach(device, pasid)).toBeUndefined();
    expect(wordsAt(memory, 0x200000000n, 2)).toEqual([0n, 0x200001001n]);
    expect(wordsAt(memory, 0x200001000n + 88n * 8n, 1)).toEqual([0x180000001n]);
    expect([...opened(memory, unit.root | 1n).unit.devices()].map(gist)).toEqual([
      { device, kind: "identity", domain: 9 },
      { device, pasid: 600, kind: "table", domain: 9, table: "x86_64 4 0x180000000" },
    ]);
    expect(unit.detach(device, 600)).toBeUndefined();
    expect(wordsAt(memory, 0x200001000n + 88n * 8n, 1)).toEqual([0n]);
  });

  it.each<[string, AmdTarget | undefined, AmdTarget]>([
    ["of a device with a v1 table", { ...table1, pasids: 2048 }, pasid],
    ["of a device that is not attached", undefined, pasid],
    ["of a device that has none", { kind: "identity", domainId: 9 }, pasid],
    ["that are too high", { ...table2, pasids: 512 }, pasid],
    ["of which the device's own is one", { ...table2, pasids: 2048 }, { ...pasid, pasid: 0 }],
    ["with a v1 table", { ...table2, pasids: 2048 }, { ...pasid, domain: table1.domain }],
    [
      "with a table of five levels among such of four",
      { ...table2, pasids: 2048 },
      { ...pasid, domain: v2At(0n, true) },
    ],
  ])("%s are refused", (_, before, target) => {
    const unit = newAmdUnit({ lastBdf: 0xff }, newStore())!;
    if (before) expect(unit.attach(device, before)).toBeUndefined();
    expect(unit.attach(device, target)).toBe("EINVAL");
  });

  it("no memory for their table", () => {
    const { store } = storeOf(table, 0x200000000n);
    const unit = newAmdUnit({ lastBdf: 0xff }, store)!;
    unit.attach(device, { kind: "identity", domainId: 9, pasids: 2048 });
    expect(unit.attach(device, pasid)).toBe("ENOMEM");
  });
});

describe("refused", () => {
  it.each([-1, 0x100, 0.5])("device %s", (no) => {
    const unit = newAmdUnit({ lastBdf: 0xff }, newStore())!;
    expect(unit.attach(no, { kind: "blocked" })).toBe("EINVAL");
    expect(unit.detach(no)).toBe("EINVAL");
  });

  it("no memory: the device is detached", () => {
    const { store, memory, freed } = storeOf(table, 0x200000000n);
    const unit = newAmdUnit({ lastBdf: 0xff }, store)!;
    unit.attach(device, table1);
    // Two levels for PASID 0, and memory for one.
    expect(unit.attach(device, { ...table2, pasids: 2048 })).toBe("ENOMEM");
    expect(wordsAt(memory, entry, 2)).toEqual([1n, 0n]);
    expect(freed).toEqual([0x200000000n]);
  });
});

describe("what is written comes back", () => {
  const smeMask = fc.constantFrom(0n, 1n << 47n, 1n << 51n);
  const kinds = fc.constantFrom("blocked", "identity", "v1", "v2" as const);

  it("as devices, with what their tables map", () =>
    fc.assert(
      fc.property(
        smeMask,
        fc.constantFrom(4, 5),
        fc.array(
          fc.record({
            device: fc.nat(0x3ff),
            kind: kinds,
            domainId: fc.nat(0xffff),
            ats: fc.boolean(),
            pasids: fc.constantFrom(1, 512, 513, 2 ** 18 + 1),
            iova: fc.nat(0x7fff_ffff),
            more: fc.uniqueArray(fc.integer({ min: 1, max: 511 }), { maxLength: 3 }),
          }),
          { maxLength: 8 },
        ),
        (mask, levels, attachments) => {
          const store = newStore();
          const unit = newAmdUnit({ lastBdf: 0x3ff, smeMask: mask, guestLevels: levels }, store)!;
          const host = { efr: 0x1000n, la57: levels === 5, smeMask: mask };
          const expected = new Map<number, object[]>();
          for (const { device, kind, domainId, ats, pasids, iova, more } of attachments) {
            if (kind === "blocked") {
              unit.attach(device, { kind });
              expected.delete(device);
            } else if (kind === "identity") {
              unit.attach(device, { kind, domainId, ats });
              expected.set(device, [{ device, kind, domain: domainId }]);
            } else {
              const options = kind === "v1" ? v1Options(host)! : v2Options(host);
              const domain = newDomain(options, store)!;
              const iova4K = BigInt(iova) << 12n;
              expect(iommuMap(domain, iova4K, 0x7777000n, 0x1000n, 3)).toBeUndefined();
              unit.attach(device, { kind: "table", domain, domainId, ats, pasids });
              const name = `${domain.format.name} ${domain.levels} 0x${domain.root.toString(16)}`;
              const entries: object[] = [
                { device, kind: "table", domain: domainId, table: name, iova: iova4K },
              ];
              for (const pasid of kind === "v2" ? more.sort((a, b) => a - b) : []) {
                expect(unit.attach(device, { kind: "table", domain, pasid })).toBeUndefined();
                entries.push({ device, pasid, kind: "table", domain: domainId, table: name, iova: iova4K });
              }
              expected.set(device, entries);
            }
          }
          const { unit: read, ctx, findings } = opened(store.memory, { root: unit.root, smeMask: mask });
          const seen = [...read.devices()].map((found) => {
            const [mapping] = found.table ? mappingsOf(decodeMappings(ctx, found.table, found.path)) : [];
            return { ...gist(found), ...(mapping && { iova: mapping.iova }) };
          });
          expect(seen).toEqual([...expected].sort(([a], [b]) => a - b).flatMap(([, entries]) => entries));
          expect(findings).toEqual([]);
        },
      ),
      { numRuns: 50 },
    ));
});
