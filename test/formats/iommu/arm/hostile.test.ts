/** Structures that nobody would write: listing them ends, and nothing but findings comes of it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Limits } from "../../../../formats/context.js";
import { openSmmuv3 } from "../../../../formats/iommu/arm/devices.js";
import {
  bytesSource,
  fileOffset,
  type Memory,
  type MemoryRange,
  physAddr,
  segmentedMemory,
} from "../../../../src/memory/index.js";
import { isKhoError } from "../../../../src/report/error.js";
import { contextOver } from "../context.js";
import { bytesOf, memoryOf, severitiesOf } from "./support.js";

const base = 0x200000000n;

function list(memory: Memory, cfg: bigint, limits: Partial<Limits> = {}, root = base) {
  const { ctx, findings } = contextOver(memory, limits);
  const entries = [...openSmmuv3(ctx, { root, cfg }).devices()];
  return { entries, findings };
}

/** Memory that counts reads, and claims zeros that it does not have. */
function counting(memory: Memory, zeros?: MemoryRange) {
  const count = { reads: 0 };
  const isZero = (pa: bigint) => zeros !== undefined && pa >= zeros.pa && pa < zeros.pa + zeros.size;
  const counted: Memory = {
    has: (pa, length) => isZero(pa) || memory.has(pa, length),
    read(pa, length) {
      count.reads++;
      return isZero(pa) && !memory.has(pa, length) ? new Uint8Array(length) : memory.read(pa, length);
    },
    get ranges() {
      const { ranges } = memory;
      return zeros ? [...ranges, { ...zeros, zeros: true }].sort((a, b) => (a.pa < b.pa ? -1 : 1)) : ranges;
    },
  };
  return { memory: counted, count };
}

describe("large tables", () => {
  /** A multiple of the 2^38 bytes that entries of 2^32 streams take. */
  const large = 2n ** 40n;

  it("of which little is captured cost little", () => {
    const memory = memoryOf({ [`${large}`]: [9n], [`${large + 2n ** 37n}`]: [9n] });
    const { memory: counted, count } = counting(memory);
    const { entries, findings } = list(counted, 32n, {}, large);
    expect(entries.map(({ device }) => device)).toEqual([0, 2 ** 31]);
    expect(severitiesOf(findings)).toEqual(["error memory-absent"]);
    expect(count.reads).toBeLessThan(10);
  });

  it("that are zeros cost nothing", () => {
    const memory = memoryOf({ [`${large}`]: [9n] });
    const zeros = { pa: physAddr(large + 4096n), size: 2n ** 38n - 4096n };
    const { memory: counted, count } = counting(memory, zeros);
    const { entries, findings } = list(counted, 32n, {}, large);
    expect(entries).toHaveLength(1);
    expect(findings).toEqual([]);
    expect(count.reads).toBeLessThan(10);
  });

  it("a first level of 2^17 descriptors, three of which lead anywhere", () => {
    const memory = memoryOf({ "0x210000000": [9n] });
    memory.cover(physAddr(base), 2 ** 20);
    memory.cover(physAddr(0x210000000n), 16384);
    for (const index of [0n, 1000n, 2n ** 17n - 1n])
      memory.write(physAddr(base + index * 8n), bytesOf([0x210000009n]));
    const { entries, findings } = list(memory, 0x00010219n);
    expect(entries.map(({ device }) => device)).toEqual([0, 1000 * 256, (2 ** 17 - 1) * 256]);
    expect(findings).toEqual([]);
  });
});

it("what of a table is captured is read, wherever the capture begins and ends", () => {
  const streams = Array.from({ length: 128 }, () => [9n, 0n, 0n, 0n, 0n, 0n, 0n, 0n]).flat();
  const source = bytesSource(bytesOf(streams));
  const part = (from: number, to: number) => ({
    pa: physAddr(base + BigInt(from)),
    size: BigInt(to - from),
    source,
    at: fileOffset(from),
  });
  // Streams 0 and 1, not all of 2 and 3, 4, the second half of 5 and the first of 6 in one piece each, 70 and on.
  const parts = [
    part(0, 2 * 64 + 10),
    part(4 * 64 - 20, 5 * 64),
    part(5 * 64 + 32, 6 * 64 + 32),
    part(70 * 64, 8192),
  ];
  const { memory } = segmentedMemory(parts);
  const { entries, findings } = list(memory, 7n);
  const later = Array.from({ length: 58 }, (_, i) => 70 + i);
  expect(entries.map(({ device }) => device)).toEqual([0, 1, 4, ...later]);
  expect(findings).toMatchObject([
    { code: "memory-absent", message: `${(128 - 61) * 64} of the 8192 bytes at 0x200000000 are missing` },
  ]);
});

it.each([-1, 0.5, 2 ** 32, Number.NaN, Number.POSITIVE_INFINITY])(
  "there is no stream and no PASID %d",
  (id) => {
    const memory = memoryOf({ "0x200000000": [0x100000030000000bn, 1n], "0x300000000": [1n << 31n] });
    const { ctx } = contextOver(memory);
    const unit = openSmmuv3(ctx, { root: base, cfg: 0n });
    expect([unit.device(id), unit.device(0, id)]).toEqual([undefined, undefined]);
  },
);

describe("limits", () => {
  /** A first level all of whose descriptors lead to the same array of bypassing streams. */
  const shared = () => {
    const words = Array.from({ length: 512 }, () => 0x210000009n);
    const streams = Array.from({ length: 256 }, () => [9n, 0n, 0n, 0n, 0n, 0n, 0n, 0n]).flat();
    return memoryOf({ "0x200000000": words, "0x210000000": streams });
  };

  it("of records", () => {
    const { entries, findings } = list(shared(), 0x00010211n, { maxRecords: 1000 });
    expect(entries).toHaveLength(1000);
    expect(severitiesOf(findings)).toEqual(["error limit-exceeded"]);
  });

  it("of pages", () => {
    const { entries, findings } = list(shared(), 0x00010211n, { maxTables: 12 });
    // One page and a descriptor, then four pages and a descriptor for each array.
    expect(entries).toHaveLength(2 * 256);
    expect(severitiesOf(findings)).toEqual(["error limit-exceeded"]);
  });

  it("of PASIDs and devices together", () => {
    const contexts = Array.from({ length: 512 }, () => [1n << 31n, 0n, 0n, 0n, 0n, 0n, 0n, 0n]).flat();
    const memory = memoryOf({ "0x200000000": [0x500000030000000bn, 2n], "0x300000000": contexts });
    memory.cover(physAddr(0x300000000n), 65536);
    const { entries, findings } = list(memory, 6n, { maxRecords: 5 });
    expect(entries.map(({ pasid }) => pasid)).toEqual([undefined, 1, 2, 3, 4]);
    expect(findings.at(-1)).toMatchObject({ code: "limit-exceeded" });
  });

  it("of context descriptors of a stream that claims 2^20 in each of 2^10 blocks", () => {
    const memory = memoryOf({
      "0x200000000": [0xa00000030000002bn, 1n],
      "0x300000000": Array.from({ length: 1024 }, () => 0x300000001n),
    });
    const { findings } = list(memory, 0n, { maxTables: 500 });
    expect(severitiesOf(findings)).toContain("error limit-exceeded");
  });
});

describe("tables within each other", () => {
  it("a first level that leads to itself", () => {
    const memory = memoryOf({ "0x200000000": Array.from({ length: 512 }, () => base | 9n) });
    memory.cover(physAddr(base), 16384);
    const { entries } = list(memory, 0x00010211n);
    // Each descriptor bypasses, as an entry, and has reserved words.
    expect(entries.length).toBe(512 * 64);
  });

  it("contexts where the stream table is", () => {
    const ste = [base | 0x100000000000000bn, 2n];
    const { entries, findings } = list(memoryOf({ "0x200000000": ste }), 0n);
    expect(entries.map(({ kind }) => kind)).toEqual(["blocked"]);
    expect(findings.length).toBeGreaterThan(0);
  });
});

it("whatever memory holds, nothing is thrown but what opening says, and findings have places", () => {
  const pages = [0x200000000n, 0x200001000n, 0x200002000n, 0x200003000n];
  const pointer = fc.constantFrom(...pages, 0x300000000n, 0xfffffffff0000n);
  const interesting = fc.oneof(
    pointer.chain((pa) => fc.bigInt(0n, 0xfffn).map((low) => pa | low)),
    fc.constantFrom(
      0n,
      1n,
      9n,
      0xbn,
      0xdn,
      0xfn,
      0x800000020000002bn,
      0x1000000200000001bn & 0xffffffffffffffffn,
    ),
    fc.constantFrom(0x0001e205c0003510n, 0x044c359400000001n, 0x044a355800000001n),
    fc.bigInt(0n, 2n ** 64n - 1n),
  );
  const content = fc.array(fc.tuple(fc.nat(4 * 512 - 1), interesting), { maxLength: 200 });
  const cfg = fc.option(
    fc.oneof(fc.constantFrom(6n, 8n, 0x00010210n, 0x00010191n, 0x0001028an), fc.bigInt(0n, 2n ** 32n - 1n)),
    { nil: undefined },
  );
  const all = fc.record({ content, cfg, root: fc.oneof(pointer, fc.bigInt(0n, 2n ** 64n - 1n)) });
  fc.assert(
    fc.property(all, (input) => {
      const memory = memoryOf({ "0x200000000": Array.from({ length: 4 * 512 }, () => 0n) });
      for (const [at, word] of input.content) memory.write(physAddr(base + BigInt(at * 8)), bytesOf([word]));
      const { ctx, findings } = contextOver(memory, { maxTables: 2000, maxRecords: 500 });
      try {
        const unit = openSmmuv3(ctx, {
          root: input.root,
          ...(input.cfg !== undefined && { cfg: input.cfg }),
        });
        let before = -1;
        for (const { device, pasid, kind, domain, table, words } of unit.devices()) {
          // PASIDs have 20 bits, streams 32.
          const now = device * 2 ** 21 + (pasid ?? -1) + 1;
          expect(now).toBeGreaterThan(before);
          before = now;
          expect(words.length).toBeGreaterThan(0);
          expect(table !== undefined).toBe(kind === "table" || kind === "nested");
          const one = unit.device(device, pasid);
          expect([one?.kind, one?.table?.root, one?.domain]).toEqual([kind, table?.root, domain]);
        }
      } catch (error) {
        if (!isKhoError(error, "iommu-root-malformed")) throw error;
      }
      for (const { path } of findings) expect(path).not.toBe("");
    }),
    { numRuns: 300 },
  );
});
