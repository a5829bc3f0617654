import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { folioCount } from "../../formats/memfd/encode.js";
import { memfdLuoFolioSer, seals } from "../../formats/memfd/layout.js";
import { decodeMemfd, memfdLayouts } from "../../formats/memfd/memfd.js";
import { memfdContent } from "../../src/handover/content.js";
import { encode, offsetOf, sizeOf } from "../../src/layout/index.js";
import { attempt } from "../../src/machine/errno.js";
import { openFile, type Preserved, paOf, putFile } from "../../src/machine/kernel.js";
import { newKho } from "../../src/machine/kho/kho.js";
import {
  addSeals,
  FALLOC_FL_KEEP_SIZE,
  fallocate,
  fillPattern,
  getSeals,
  read,
  truncate,
  write,
} from "../../src/machine/memfd/file.js";
import { memfdHandler, type PreservedMemfd } from "../../src/machine/memfd/handler.js";
import { type MemfdFile, type MemfdOptions, newMemfd } from "../../src/machine/memfd/inode.js";
import { physAddr } from "../../src/memory/index.js";
import type { Finding } from "../../src/report/finding.js";
import {
  contextFor,
  held,
  nextKernel,
  type TestKernel,
  type TestOptions,
  testKernel,
} from "./memfd-support.js";

const { F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_EXEC } = seals;
const page = 4096;

const handlerOf = ({ kernel }: TestKernel) => memfdHandler(kernel.memfd!);

/** A file with pages 0 and 3 to 6 written, the others holes. */
function sample(core: TestKernel, options: MemfdOptions = {}): MemfdFile {
  const file = newMemfd(core, { size: 9 * core.abi.pageSize - 5, allowSealing: true, ...options });
  fillPattern(file, 77n, [
    { index: 0, count: 1, words: 3 },
    { index: 3, count: 4 },
  ]);
  return file;
}

/** Bytes as text: comparing long arrays one by one takes long. */
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const content = (file: MemfdFile): Uint8Array => read(file, Number(file.inode.size) + 1, 0n);

/** What the decoder that everybody uses makes of the bytes, and what it finds wrong. */
function decoded(core: TestKernel, data: bigint) {
  const findings: Finding[] = [];
  const orderOf = (pfn: number): number => core.preserved.get(pfn) ?? -1;
  const memfd = decodeMemfd(
    contextFor(core, findings),
    core.kernel.memfd!,
    physAddr(data),
    orderOf,
    "memfd",
  )!;
  const bytes = new Uint8Array(Number(memfd.size));
  for (const piece of memfdContent(core.ram, memfd, core.abi.pageSize, { maxData: 1 << 30 }))
    if (piece.kind === "data") bytes.set(piece.bytes, piece.offset);
  return { memfd, findings, bytes };
}

const releases = [
  ["6.19.10", "memfd-v1"],
  ["7.0", "memfd-v1"],
  ["7.1.13", "memfd-v2"],
  ["7.2", "memfd-v2"],
  ["7.3.4", "memfd-v2"],
] as const;

describe.each(releases)("Linux %s, %s", (release, version) => {
  describe.each([
    [4096, 0],
    [4096, 2],
    [4096, 9],
    [16384, 1],
    [65536, 0],
  ])("pages of %i bytes, folios of order %i", (pageSize, folioOrder) => {
    const boot = (options: TestOptions = {}): TestKernel => {
      const core = testKernel({ release, pageSize, ...options });
      core.ram.poison(0x100, 4096);
      return core;
    };
    it("hands over what is in the file", () => {
      const core = boot();
      const file = sample(core, { folioOrder });
      fallocate(file, FALLOC_FL_KEEP_SIZE, 0n, BigInt(20 * pageSize));
      file.pos = 12_345n;
      const before = content(file);
      const { data } = handlerOf(core).preserve(file, core);
      const { memfd, findings, bytes } = decoded(core, data);
      expect(findings).toEqual([]);
      expect(memfd).toMatchObject({
        size: BigInt(before.length),
        pos: 12_345n,
        seals: version === "memfd-v1" ? F_SEAL_SEAL : 0,
        flags: 0,
        nrFolios: BigInt(folioCount(memfd.folios)),
      });
      expect(hexOf(bytes) === hexOf(before)).toBe(true);
      // No holes, nothing beyond the folio with the last byte, and each dirty and up to date.
      let end = 0;
      for (let i = 0; i < memfd.folios.length; i++) {
        expect(memfd.folios.index[i]).toBe(end);
        end += memfd.folios.count[i]! * 2 ** memfd.folios.order[i]!;
        expect(memfd.folios.flags[i]).toBe(3);
      }
      expect(end).toBeGreaterThanOrEqual(9);
      expect(end).toBeLessThan(9 + 2 ** folioOrder);
    });
    it("takes it all back", () => {
      const core = boot();
      const file = sample(core, { folioOrder });
      const before = content(file);
      const preserved = handlerOf(core).preserve(file, core);
      handlerOf(core).unpreserve(file, preserved, core);
      expect(core.preserved.size).toBe(0);
      expect(Object.keys(held(core))).toEqual(["memfd"]);
      expect(hexOf(content(file)) === hexOf(before)).toBe(true);
      addSeals(file, F_SEAL_WRITE);
      truncate(file, 0n);
      expect(held(core)).toEqual({});
    });
    it("retrieves the file, and holds nothing but its pages", () => {
      const core = boot();
      const file = sample(core, { folioOrder, name: "vm0" });
      const before = content(file);
      const { data, state } = handlerOf(core).preserve(file, core);
      const next = nextKernel(core, release);
      const back = handlerOf(next).retrieve(data, next) as MemfdFile;
      expect(hexOf(content(back)) === hexOf(before)).toBe(true);
      expect(next.received.size).toBe(0);
      const kept = state.folios.length && decoded(core, data).memfd.folios;
      const pages = kept ? kept.count.reduce((sum, n, i) => sum + n * 2 ** kept.order[i]!, 0) : 0;
      expect(held(next)).toEqual({ memfd: pages });
      handlerOf(next).finish(data, "retrieved", next);
      truncate(back, back.inode.size + 5n);
      write(back, Uint8Array.of(1), 0n);
      expect(content(back)[0]).toBe(1);
      putFile(back);
      expect(held(next)).toEqual({});
    });
    it("frees a file that nobody retrieved", () => {
      const core = boot();
      const { data } = handlerOf(core).preserve(sample(core, { folioOrder }), core);
      const next = nextKernel(core, release);
      handlerOf(next).finish(data, "untried", next);
      expect(held(next)).toEqual({});
      expect(next.received.size).toBe(0);
    });
  });

  it("an empty file has no folios and no list", () => {
    const core = testKernel({ release });
    const file = newMemfd(core);
    file.pos = 3n;
    const preserved = handlerOf(core).preserve(file, core);
    expect(held(core)).toEqual({ "memfd header": 1 });
    expect(core.ram.read(physAddr(preserved.data), sizeOf(memfdLayouts[version], core.abi))).toEqual(
      Uint8Array.from({ length: version === "memfd-v1" ? 40 : 48 }, (_, i) =>
        i === 0 ? 3 : i === 16 && version === "memfd-v2" ? F_SEAL_SEAL : 0,
      ),
    );
    const next = nextKernel(core, release);
    const back = handlerOf(next).retrieve(preserved.data, next) as MemfdFile;
    expect([back.inode.size, back.pos, getSeals(back)]).toEqual([0n, 3n, F_SEAL_SEAL]);
    expect(held(next)).toEqual({});
    handlerOf(core).unpreserve(file, preserved, core);
    expect(held(core)).toEqual({});
  });

  it("more than one page of list", () => {
    const core = testKernel({ release, pages: 8192 });
    const file = newMemfd(core, { size: 1000 * page });
    fillPattern(
      file,
      5n,
      Array.from({ length: 500 }, (_, i) => ({ index: 2 * i, count: 1, words: 2 })),
    );
    const { data } = handlerOf(core).preserve(file, core);
    expect(held(core)).toEqual({
      memfd: 1000,
      "memfd folio list": 4,
      "memfd folio list chunk": 1,
      "memfd header": 1,
    });
    const next = nextKernel(core, release);
    const back = handlerOf(next).retrieve(data, next) as MemfdFile;
    expect(hexOf(content(back)) === hexOf(content(file))).toBe(true);
    expect(held(next)).toEqual({ memfd: 1000 });
  });

  it("freeze renews the position and nothing else", () => {
    const core = testKernel({ release });
    const file = sample(core);
    const preserved = handlerOf(core).preserve(file, core);
    const before = core.ram.read(physAddr(preserved.data), page).slice();
    if (version === "memfd-v2") addSeals(file, F_SEAL_GROW);
    file.pos = 0x1234n;
    expect(handlerOf(core).freeze!(file, preserved, core)).toBe(preserved.data);
    before.set([0x34, 0x12], 0);
    expect(core.ram.read(physAddr(preserved.data), page)).toEqual(before);
  });

  it.each([
    ["KHO of this test", (core: TestKernel) => core],
    [
      "KHO of the machine",
      ({ received: _, ...core }: TestKernel): TestKernel => ({
        ...core,
        received: new Map(),
        kho: newKho({ ...core, enabled: true }),
      }),
    ],
  ])("every failed allocation undoes the rest: %s", (_, withKho) => {
    fc.assert(
      fc.property(fc.nat(14), fc.nat(2), (nth, folioOrder) => {
        let countdown = Number.POSITIVE_INFINITY;
        const faults = { allocation: () => countdown-- === 0 };
        const core = withKho(testKernel({ release, faults }));
        const ours = () => Object.keys(held(core)).filter((owner) => owner.startsWith("memfd"));
        const file = sample(core, { folioOrder });
        const before = content(file);
        countdown = nth;
        const result = attempt(() => handlerOf(core).preserve(file, core));
        if ("value" in result) {
          expect(file.inode.frozenMapping).toBe(true);
          handlerOf(core).unpreserve(file, result.value, core);
        } else expect(result).toEqual({ errno: "ENOMEM" });
        expect(core.lines).toEqual([]);
        expect([core.preserved.size, file.inode.frozenMapping, file.inode.pins]).toEqual([0, false, 0]);
        expect(ours()).toEqual(["memfd"]);
        expect(hexOf(content(file)) === hexOf(before)).toBe(true);
      }),
    );
  });
});

describe("what is preserved at all", () => {
  const core = testKernel();
  const handler = handlerOf(core);
  it.each<[MemfdOptions, boolean]>([
    [{}, true],
    [{ huge: "hugetlb" }, false],
    [{ linked: true }, false],
  ])("%o: %s", (options, wanted) => {
    expect(handler.canPreserve(newMemfd(core, options), core)).toBe(wanted);
  });
  it("no file of another kind", () => {
    expect(handler.canPreserve(openFile({ type: "socket", opens: 0, release: () => {} }), core)).toBe(false);
  });
  it("two opens of one memfd are one file", () => {
    const file = newMemfd(core);
    expect(handler.getId!(openFile(file.inode))).toBe(handler.getId!(file));
  });
});

describe("refused to be preserved", () => {
  it.each(releases)("by %s: unknown seals, too many pages, too little memory", (release, version) => {
    const core = testKernel({ release });
    const [sealed, large] = [newMemfd(core), newMemfd(core, { size: 1n << 45n })];
    sealed.inode.seals = 0x40;
    const preserve = (file: MemfdFile) => attempt(() => handlerOf(core).preserve(file, core));
    if (version === "memfd-v2") expect(preserve(sealed)).toEqual({ errno: "EOPNOTSUPP" });
    else expect(preserve(sealed)).toHaveProperty("value");
    expect(preserve(large)).toEqual({ errno: version === "memfd-v2" ? "EFBIG" : "ENOMEM" });
    const most = newMemfd(core, { size: (2n ** 32n - 1n) * 4096n });
    expect(preserve(most)).toEqual({ errno: "ENOMEM" });
    expect(most.inode.frozenMapping).toBe(false);
  });
});

describe("while it is preserved", () => {
  it("inside of it can be written, and that is handed over", () => {
    const core = testKernel();
    const file = sample(core);
    const { data } = handlerOf(core).preserve(file, core);
    write(file, Uint8Array.of(1, 2, 3), 4095n);
    expect(attempt(() => write(file, Uint8Array.of(1), file.inode.size))).toEqual({ errno: "EPERM" });
    expect(attempt(() => truncate(file, 0n))).toEqual({ errno: "EPERM" });
    expect(hexOf(decoded(core, data).bytes)).toBe(hexOf(content(file)));
  });
  it("it cannot be sealed against writing", () => {
    const core = testKernel();
    const file = sample(core);
    handlerOf(core).preserve(file, core);
    expect(attempt(() => addSeals(file, F_SEAL_WRITE))).toEqual({ errno: "EBUSY" });
  });
});

describe("seals on the other side", () => {
  it.each([
    [{ allowSealing: true }, 0],
    [{}, F_SEAL_SEAL],
    [{ seals: F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL }, 0x0f],
    // Permissions are not handed over, so that the file is executable then.
    [{ executable: false }, 0x3e],
  ] as [MemfdOptions, number][])("of a file with %o are %i", (options, expected) => {
    const core = testKernel();
    const file = newMemfd(core, { size: 5, ...options });
    if (options.executable === false) expect(getSeals(file)).toBe(F_SEAL_EXEC);
    const { data } = handlerOf(core).preserve(file, core);
    const next = nextKernel(core, "7.3");
    expect(getSeals(handlerOf(next).retrieve(data, next) as MemfdFile)).toBe(expected);
  });
});

/** A file of six pages, each a folio that begins with its number and 1, as it is handed over. */
interface Bad {
  readonly core: TestKernel;
  readonly data: bigint;
  readonly preserved: Preserved<PreservedMemfd>;
  header(
    field: "pos" | "size" | "nr_folios" | "folios" | "seals" | "flags",
    value: bigint,
    at?: number,
  ): void;
  entry(i: number, change: { pfn?: number; flags?: number; index?: bigint }): void;
  chunk(word: number, value: bigint): void;
  readonly pfns: readonly number[];
}

function bad(release: string, folioOrder = 0): Bad {
  const core = testKernel({ release });
  // A page that is preserved and the file has nothing to do with.
  const file = newMemfd(core, { size: 6 * page, folioOrder });
  for (let i = 0; i < 6; i++) write(file, Uint8Array.of(i + 1), BigInt(i * page));
  const preserved = handlerOf(core).preserve(file, core);
  const { folios, vmalloc, list } = preserved.state;
  const pfns: number[] = [];
  const indexes: bigint[] = [];
  for (let run = 0; run < folios.length; run++)
    for (let k = 0; k < folios.count[run]!; k++) {
      pfns.push(folios.pfn[run]! + k * 2 ** folios.order[run]!);
      indexes.push(BigInt(folios.index[run]! + k * 2 ** folios.order[run]!));
    }
  const layout = memfdLayouts[core.kernel.memfd!];
  const word = (value: bigint): Uint8Array => new Uint8Array(BigUint64Array.of(value).buffer);
  return {
    core,
    data: preserved.data,
    preserved,
    pfns,
    header(field, value, at = 0) {
      const pa = preserved.data + BigInt(offsetOf(layout, field as "pos", core.abi) + at);
      const wide = field === "seals" || field === "flags" ? 4 : 8;
      core.ram.write(physAddr(pa), word(value).subarray(0, wide));
    },
    entry(i, { pfn = pfns[i] ?? 0, flags = 3, index = indexes[i] ?? 0n }) {
      const bytes = encode(memfdLuoFolioSer, { pfn, flags, index }, core.abi);
      core.ram.write(physAddr(paOf(list[0]!, core.abi) + BigInt(i * bytes.length)), bytes);
    },
    chunk(at, value) {
      core.ram.write(physAddr(vmalloc.first + BigInt(8 * at)), word(value));
    },
  };
}

/** First bytes of the pages; 0 where a hole is. */
const firsts = (file: MemfdFile): number[] => {
  const bytes = content(file);
  return Array.from({ length: Math.ceil(bytes.length / page) }, (_, i) => bytes[i * page]!);
};

type Outcome =
  /** Retrieve fails. `left` blocks stay reserved as received. */
  | { readonly errno: string; readonly left?: number }
  | { readonly oops: true }
  /** The file begins its pages with these. */
  | {
      readonly pages: readonly number[];
      readonly pos?: bigint;
      readonly size?: bigint;
      readonly left?: number;
    };

const whole = [1, 2, 3, 4, 5, 6];
const nowhere = 1n << 45n;

const cases: Record<string, { damage: (bad: Bad) => void; v1: Outcome; v2: Outcome; order?: number }> = {
  "nothing wrong": { damage: () => {}, v1: { pages: whole }, v2: { pages: whole } },
  "unknown seals": {
    damage: (b) => b.core.kernel.memfd === "memfd-v2" && b.header("seals", 0x40n),
    v1: { pages: whole },
    // The list is not looked at: six folios, its page and its chunk stay.
    v2: { errno: "EOPNOTSUPP", left: 8 },
  },
  "flags in the header": {
    damage: (b) => b.core.kernel.memfd === "memfd-v2" && b.header("flags", 1n),
    v1: { pages: whole },
    v2: { pages: whole },
  },
  "a negative position": {
    damage: (b) => b.header("pos", 1n << 63n),
    v1: { pages: whole, pos: 0n },
    v2: { pages: whole, pos: 0n },
  },
  "a position beyond the size": {
    damage: (b) => b.header("pos", (1n << 63n) - 1n),
    v1: { pages: whole, pos: (1n << 63n) - 1n },
    v2: { pages: whole, pos: (1n << 63n) - 1n },
  },
  "a negative size": {
    damage: (b) => b.header("size", 1n << 63n),
    v1: { pages: [], size: -(1n << 63n) },
    v2: { pages: [], size: -(1n << 63n) },
  },
  "a smaller size": {
    damage: (b) => b.header("size", BigInt(2 * page)),
    v1: { pages: [1, 2] },
    v2: { pages: [1, 2] },
  },
  "no folios": {
    damage: (b) => b.header("nr_folios", 0n),
    v1: { pages: [0, 0, 0, 0, 0, 0] },
    v2: { pages: [0, 0, 0, 0, 0, 0] },
  },
  "more folios than written": {
    damage: (b) => b.header("nr_folios", 256n),
    v1: { pages: whole },
    v2: { pages: whole },
  },
  "more folios than fit": {
    damage: (b) => b.header("nr_folios", 257n),
    v1: { oops: true },
    v2: { oops: true },
  },
  "a chunk outside RAM": {
    damage: (b) => b.header("folios", nowhere),
    v1: { oops: true },
    v2: { oops: true },
  },
  "no chunk": {
    damage: (b) => b.header("folios", 0n),
    v1: { errno: "EINVAL", left: 8 },
    v2: { errno: "EINVAL", left: 8 },
  },
  "a circle of chunks": {
    damage: (b) => b.chunk(0, b.preserved.state.vmalloc.first),
    v1: { errno: "EINVAL" },
    v2: { errno: "EINVAL" },
  },
  "a list page that is not RAM": {
    damage: (b) => b.chunk(1, nowhere),
    v1: { errno: "EINVAL" },
    v2: { errno: "EINVAL" },
  },
  "a list page that is not preserved": {
    damage: (b) => b.core.preserved.delete(b.preserved.state.list[0]!),
    v1: { errno: "EINVAL" },
    v2: { errno: "EINVAL" },
  },
  "low bits in the address of a list page": {
    damage: (b) => b.chunk(1, paOf(b.preserved.state.list[0]!, b.core.abi) | 0x123n),
    v1: { pages: whole },
    v2: { pages: whole },
  },
  "the wrong total_pages": {
    damage: (b) => b.header("folios", 0x1_0000_0002n, 8),
    v1: { errno: "EINVAL" },
    v2: { errno: "EINVAL" },
  },
  "a first folio that is not preserved": {
    damage: (b) => b.entry(0, { pfn: 7 }),
    v1: { errno: "EIO", left: 1 },
    v2: { errno: "EIO", left: 1 },
  },
  "a later folio that is not preserved": {
    damage: (b) => b.entry(2, { pfn: 7 }),
    v1: { pages: [1, 2, 0, 0, 0, 0], left: 1 },
    v2: { errno: "EIO", left: 1 },
  },
  "a folio of an earlier entry": {
    damage: (b) => b.entry(3, { pfn: b.pfns[1]! }),
    v1: { pages: [1, 2, 3, 0, 0, 0], left: 1 },
    v2: { errno: "EIO", left: 1 },
  },
  "an index twice": {
    damage: (b) => b.entry(3, { index: 1n }),
    v1: { errno: "EEXIST", left: 0 },
    v2: { errno: "EEXIST", left: 0 },
  },
  "entries in another order": {
    damage: (b) => {
      b.entry(1, { index: 4n });
      b.entry(4, { index: 1n });
    },
    v1: { pages: [1, 5, 3, 4, 2, 6] },
    v2: { pages: [1, 5, 3, 4, 2, 6] },
  },
  "an index beyond the size": {
    damage: (b) => b.entry(5, { index: 100n }),
    v1: { pages: [1, 2, 3, 4, 5, 0] },
    v2: { pages: [1, 2, 3, 4, 5, 0] },
  },
  "an entry to skip": {
    damage: (b) => b.entry(1, { pfn: 0 }),
    v1: { pages: [1, 0, 3, 4, 5, 6] },
    v2: { pages: [1, 0, 3, 4, 5, 6] },
  },
  "a folio that is not up to date": {
    damage: (b) => b.entry(1, { flags: 1 }),
    v1: { pages: [1, 0, 3, 4, 5, 6] },
    v2: { pages: [1, 0, 3, 4, 5, 6] },
  },
  "an index that the folio is not aligned to": {
    order: 1,
    damage: (b) => b.entry(1, { index: 3n }),
    v1: { pages: whole },
    v2: { pages: whole },
  },
  "a folio in the map with a smaller order": {
    order: 1,
    damage: (b) => b.core.preserved.set(b.pfns[1]!, 0),
    v1: { pages: [1, 2, 3, 0, 5, 6] },
    v2: { pages: [1, 2, 3, 0, 5, 6] },
  },
};

describe.each(releases)("what %s makes of damage in %s", (release, version) => {
  it.each(Object.entries(cases))("%s", (_, { damage, v1, v2, order = 0 }) => {
    const outcome = version === "memfd-v1" ? v1 : v2;
    const made = bad(release, order);
    damage(made);
    const next = nextKernel(made.core, release);
    const retrieve = () => attempt(() => handlerOf(next).retrieve(made.data, next) as MemfdFile);
    if ("oops" in outcome) {
      expect(retrieve).toThrow(
        expect.objectContaining({
          code: "machine-oops",
          consequence: expect.objectContaining({ outcome: "panic", phase: "retrieve" }),
        }),
      );
      return;
    }
    const result = retrieve();
    if ("errno" in outcome) {
      expect(result).toEqual({ errno: outcome.errno });
      // What was taken over of the file is given back.
      expect(Object.keys(held(next)).filter((owner) => owner !== "received")).toEqual([]);
      if (outcome.left !== undefined) expect(next.received.size).toBe(outcome.left);
      handlerOf(next).finish(made.data, "failed", next);
      return;
    }
    expect("value" in result ? firsts(result.value) : result).toEqual(outcome.pages);
    const { value: file } = result as { value: MemfdFile };
    if (outcome.left !== undefined) expect(next.received.size).toBe(outcome.left);
    if (outcome.pos !== undefined) expect(file.pos).toBe(outcome.pos);
    if (outcome.size !== undefined) expect(file.inode.size).toBe(outcome.size);
    putFile(file);
    expect(Object.keys(held(next)).filter((owner) => owner !== "received")).toEqual([]);
  });

  it("no structure at all", () => {
    const core = testKernel({ release });
    const errno = version === "memfd-v1" ? "EINVAL" : "EOPNOTSUPP";
    expect(attempt(() => handlerOf(core).retrieve(0n, core))).toEqual({ errno });
    handlerOf(core).finish(0n, "untried", core);
    for (const call of [
      () => handlerOf(core).retrieve(nowhere, core),
      () => handlerOf(core).finish(nowhere, "untried", core),
    ])
      expect(call).toThrow(expect.objectContaining({ code: "machine-oops", pa: nowhere }));
  });
});

it("a file of 40 GiB in large folios costs what its list costs", () => {
  const core = testKernel({ pages: 21_000 * 512 });
  const file = newMemfd(core, { size: 20_000n << 21n, folioOrder: 9 });
  fallocate(file, 0, 0n, 20_000n << 21n);
  write(file, Uint8Array.of(42), 19_999n << 21n);
  expect(file.inode.folios.length).toBe(20_000);
  const { data } = handlerOf(core).preserve(file, core);
  const next = nextKernel(core, "7.3");
  const back = handlerOf(next).retrieve(data, next) as MemfdFile;
  expect(back.inode.folios.length).toBe(20_000);
  expect(read(back, 2, 19_999n << 21n)).toEqual(Uint8Array.of(42, 0));
});
