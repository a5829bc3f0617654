import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytesSource, type Memory, physAddr, type Segment, segmentedMemory } from "../../src/memory/index.js";
import { isKhoError, type KhoError } from "../../src/report/error.js";

const top = 1n << 64n;

const segment = (pa: bigint, data: Uint8Array, at = 0, size = BigInt(data.length - at)): Segment => ({
  pa: physAddr(pa),
  size,
  source: bytesSource(data),
  at,
});
const zeros = (pa: bigint, size: bigint): Segment => ({ pa: physAddr(pa), size, at: 0 });
/** `count` bytes that tell where they are and of which segment. */
const marked = (mark: number, count: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, i) => (mark * 37 + i * 11 + 1) & 0xff);

function failure(call: () => unknown): KhoError {
  try {
    call();
  } catch (error) {
    if (isKhoError(error)) return error;
    throw error;
  }
  return expect.fail("the call did not throw");
}

/** What `read` gives, or the first address that is absent. */
function outcome(memory: Memory, pa: bigint, length: number): Uint8Array | bigint {
  try {
    return memory.read(physAddr(pa), length);
  } catch (error) {
    if (!isKhoError(error, "memory-absent")) throw error;
    return error.pa!;
  }
}

/** The slow truth: one entry per byte, and how many segments claim it. */
function bytewise(segments: readonly Segment[]) {
  const bytes = new Map<bigint, number>();
  const claims = new Map<bigint, number>();
  for (const { pa, size, source, at } of segments)
    for (let i = 0n; i < size; i++) {
      const byte = source ? source.read((at + Number(i)) as never, 1)[0] : 0;
      if (byte === undefined) break;
      if (!bytes.has(pa + i)) bytes.set(pa + i, byte);
      claims.set(pa + i, (claims.get(pa + i) ?? 0) + 1);
    }
  return {
    overlapped: [...claims].filter(([, count]) => count > 1).map(([pa]) => pa),
    bytes,
    read(pa: bigint, length: number): Uint8Array | bigint {
      const result = new Uint8Array(length);
      for (let i = 0; i < length; i++) {
        const byte = bytes.get(pa + BigInt(i));
        if (byte === undefined) return pa + BigInt(i) < top ? pa + BigInt(i) : pa;
        result[i] = byte;
      }
      return result;
    },
  };
}

/** Segments near each other, from `base` on: many overlap, many touch, some are empty, zeros or longer than their source. */
const segmentsFrom = (base: bigint, room: number, maxLength: number): fc.Arbitrary<Segment[]> =>
  fc
    .array(
      fc.record({
        start: fc.nat(room - 1),
        length: fc.nat(24),
        at: fc.nat(5),
        kind: fc.constantFrom("bytes", "bytes", "bytes", "zeros", "short"),
      }),
      { maxLength },
    )
    .map((list) =>
      list.map(({ start, length, at, kind }, mark) => {
        const size = Math.min(length, room - start);
        const pa = base + BigInt(start);
        if (kind === "zeros") return zeros(pa, BigInt(size));
        const data = marked(mark, at + (kind === "short" ? size >> 1 : size));
        return segment(pa, data, at, BigInt(size));
      }),
    );

describe.each([
  ["0", 0n],
  ["4 GiB", 1n << 32n],
  ["2^53, where doubles begin to round", (1n << 53n) - 30n],
  ["2^62, where doubles are 1024 apart", (1n << 62n) - 30n],
  ["the last 64 addresses", top - 64n],
])("memory from %s on agrees with a map of single bytes", (_, base) => {
  const cases = fc.record({
    segments: segmentsFrom(base, 64, 9),
    reads: fc.array(fc.tuple(fc.integer({ min: -4, max: 66 }), fc.nat(70)), { minLength: 1, maxLength: 20 }),
  });

  it("in every read and every absent address", () => {
    fc.assert(
      fc.property(cases, ({ segments, reads }) => {
        const { memory } = segmentedMemory(segments);
        const truth = bytewise(segments);
        for (const [start, length] of reads) {
          const pa = base + BigInt(start);
          if (pa < 0n || pa >= top) continue;
          const wanted = truth.read(pa, length);
          expect(outcome(memory, pa, length)).toEqual(wanted);
          expect(memory.has(physAddr(pa), length)).toBe(wanted instanceof Uint8Array);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("in its ranges: ascending, disjoint, and exactly what is there", () => {
    fc.assert(
      fc.property(segmentsFrom(base, 64, 12), (segments) => {
        const { memory } = segmentedMemory(segments);
        const there: bigint[] = [];
        for (const { pa, size } of memory.ranges) {
          expect(size > 0n).toBe(true);
          for (let i = 0n; i < size; i++) there.push(pa + i);
        }
        const wanted = [...bytewise(segments).bytes.keys()].sort((a, b) => (a < b ? -1 : 1));
        expect(there).toEqual(wanted);
      }),
      { numRuns: 300 },
    );
  });

  it("in its overlaps: every address of two segments once, no other", () => {
    fc.assert(
      fc.property(segmentsFrom(base, 64, 12), (segments) => {
        const listed: bigint[] = [];
        const { overlaps } = segmentedMemory(segments);
        for (const { pa, size } of overlaps) for (let i = 0n; i < size; i++) listed.push(pa + i);
        expect(listed).toEqual(bytewise(segments).overlapped.sort((a, b) => (a < b ? -1 : 1)));
        for (const [i, { pa, size }] of overlaps.entries())
          if (i + 1 < overlaps.length) expect(overlaps[i + 1]!.pa > pa + size).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe("overlaps", () => {
  it("the earlier segment wins, wherever it is", () => {
    const low = segment(0x1000n, new Uint8Array(0x20).fill(1));
    const high = segment(0x1010n, new Uint8Array(0x20).fill(2));
    const both = segmentedMemory([low, high]);
    expect(both.overlaps).toEqual([{ pa: 0x1010n, size: 0x10n }]);
    expect(both.memory.read(physAddr(0x101f), 2)).toEqual(Uint8Array.of(1, 2));
    const reverse = segmentedMemory([high, low]);
    expect(reverse.overlaps).toEqual([{ pa: 0x1010n, size: 0x10n }]);
    expect(reverse.memory.read(physAddr(0x100f), 2)).toEqual(Uint8Array.of(1, 2));
  });

  it("between two segments that both lie under a third, also where that one has ended", () => {
    const { overlaps, memory } = segmentedMemory([
      segment(0n, new Uint8Array(10).fill(1)),
      segment(5n, new Uint8Array(25).fill(2)),
      segment(6n, new Uint8Array(14).fill(3)),
    ]);
    expect(overlaps).toEqual([{ pa: 5n, size: 15n }]);
    expect(memory.read(physAddr(9), 3)).toEqual(Uint8Array.of(1, 2, 2));
  });

  it("neighbours do not overlap, nor do empty segments", () => {
    const { overlaps } = segmentedMemory([
      segment(0x1000n, new Uint8Array(16)),
      segment(0x1010n, new Uint8Array(16)),
      segment(0x1008n, new Uint8Array(0)),
    ]);
    expect(overlaps).toEqual([]);
  });
});

describe("views and copies", () => {
  const data = marked(1, 64);
  const other = marked(2, 64);
  const { memory } = segmentedMemory([segment(0x1000n, data), segment(0x1040n, other), zeros(0x1080n, 64n)]);

  it("a read within one segment is a view of its source", () => {
    for (const [pa, length] of [
      [0x1000, 64],
      [0x1001, 3],
      [0x103f, 1],
      [0x1000, 0],
    ] as const) {
      const bytes = memory.read(physAddr(pa), length);
      expect(bytes.buffer).toBe(data.buffer);
      expect(bytes).toEqual(data.subarray(pa - 0x1000, pa - 0x1000 + length));
    }
    expect(memory.read(physAddr(0x1040), 64).buffer).toBe(other.buffer);
  });

  it("a read across a border is a copy", () => {
    const bytes = memory.read(physAddr(0x103c), 8);
    expect(bytes).toEqual(Uint8Array.of(...data.subarray(60), ...other.subarray(0, 4)));
    expect([data.buffer, other.buffer]).not.toContain(bytes.buffer);
    bytes.fill(0);
    expect(memory.read(physAddr(0x103f), 1)[0]).toBe(data[63]);
  });

  it("segments may take different parts of one source", () => {
    const parts = segmentedMemory([segment(0x2000n, data, 32, 16n), segment(0x3000n, data, 8, 16n)]).memory;
    expect(parts.read(physAddr(0x2000), 16)).toEqual(data.subarray(32, 48));
    expect(parts.read(physAddr(0x3004), 4)).toEqual(data.subarray(12, 16));
    expect(parts.has(physAddr(0x2000), 17)).toBe(false);
  });

  it("known zeros are zeros, and of each read its own", () => {
    const bytes = memory.read(physAddr(0x1080), 4);
    expect(bytes).toEqual(new Uint8Array(4));
    bytes.fill(1);
    expect(memory.read(physAddr(0x107f), 3)).toEqual(Uint8Array.of(other[63]!, 0, 0));
  });
});

describe("what is absent", () => {
  const data = marked(3, 16);

  it("is named by its first address", () => {
    const { memory } = segmentedMemory([segment(0x1000n, data), segment(0x1020n, data)]);
    const error = failure(() => memory.read(physAddr(0x1008), 0x20));
    expect(error).toMatchObject({
      code: "memory-absent",
      pa: 0x1010n,
      length: 0x20,
      expected: "32 bytes at 0x1008",
      message: "the capture holds no memory at 0x1010",
    });
    expect(outcome(memory, 0xfffn, 2)).toBe(0xfffn);
    expect(outcome(memory, 0x1030n, 1)).toBe(0x1030n);
    expect(outcome(segmentedMemory([]).memory, 0n, 1)).toBe(0n);
  });

  it("nothing is needed for a read of no bytes", () => {
    const { memory } = segmentedMemory([]);
    expect(memory.read(physAddr(0x1234), 0)).toEqual(new Uint8Array(0));
    expect(memory.has(physAddr(0x1234), 0)).toBe(true);
    expect(memory.read(physAddr(top - 1n), 0)).toEqual(new Uint8Array(0));
  });

  it("a source that is shorter than its segment holds no zeros", () => {
    const { memory } = segmentedMemory([segment(0x1000n, data, 4, 32n), segment(0x1010n, marked(4, 8))]);
    expect(memory.ranges.map(({ pa, size }) => [pa, size])).toEqual([
      [0x1000n, 12n],
      [0x1010n, 8n],
    ]);
    expect(outcome(memory, 0x1000n, 16)).toBe(0x100cn);
    expect(memory.has(physAddr(0x1000), 13)).toBe(false);
    expect(segmentedMemory([segment(0x1000n, data, 99, 4n)]).memory.ranges).toEqual([]);
  });

  it("a source that has become shorter is noticed in views and in copies", () => {
    const shrunk = {
      size: 16,
      read: (at: number, length: number) => data.subarray(at, Math.min(at + length, 10)),
    };
    const { memory } = segmentedMemory([
      { pa: physAddr(0x1000), size: 16n, source: shrunk, at: 0 },
      segment(0x1010n, data),
    ]);
    expect(outcome(memory, 0x1004n, 8)).toBe(0x100an);
    expect(outcome(memory, 0x1004n, 20)).toBe(0x100an);
    expect(outcome(memory, 0x1004n, 6)).toEqual(data.subarray(4, 10));
  });

  it("a huge read of what is not there allocates nothing", () => {
    const { memory } = segmentedMemory([segment(0n, data)]);
    expect(outcome(memory, 0n, Number.MAX_SAFE_INTEGER)).toBe(16n);
  });
});

describe("the top of the address space", () => {
  const data = marked(5, 16);

  it("is read to its last byte and not around the corner", () => {
    const { memory } = segmentedMemory([segment(top - 16n, data), segment(0n, data)]);
    expect(memory.read(physAddr(top - 1n), 1)).toEqual(data.subarray(15));
    expect(memory.read(physAddr(top - 16n), 16)).toEqual(data);
    expect(memory.has(physAddr(top - 8n), 9)).toBe(false);
    expect(failure(() => memory.read(physAddr(top - 8n), 9))).toMatchObject({
      code: "memory-absent",
      pa: top - 8n,
      message: "no memory goes beyond 2^64",
    });
  });

  it("no segment goes beyond it", () => {
    expect(failure(() => segmentedMemory([segment(top - 16n, data, 0, 17n)]))).toMatchObject({
      code: "elf-malformed",
      pa: top - 16n,
    });
    const all = segmentedMemory([zeros(0n, top)]).memory;
    expect(all.read(physAddr(top - 2n), 2)).toEqual(new Uint8Array(2));
  });

  it("neighbours that are the same double are told apart", () => {
    const base = 1n << 63n;
    const single = Array.from({ length: 64 }, (_, i) => segment(base + BigInt(i), Uint8Array.of(i)));
    const { memory, overlaps } = segmentedMemory(single.reverse());
    expect(overlaps).toEqual([]);
    for (let i = 0; i < 64; i++) expect(memory.read(physAddr(base + BigInt(i)), 1)[0]).toBe(i);
    expect(memory.read(physAddr(base), 64)).toEqual(Uint8Array.from({ length: 64 }, (_, i) => i));
  });
});

it("tens of thousands of segments, each over all before it", () => {
  const count = 30_000;
  const nested = Array.from({ length: count }, (_, i) => zeros(BigInt(i), BigInt(2 * count)));
  const { memory, overlaps } = segmentedMemory(nested);
  expect(memory.ranges).toHaveLength(count);
  expect(overlaps).toEqual([{ pa: 1n, size: BigInt(3 * count - 3) }]);
  const reversed = segmentedMemory(nested.reverse());
  expect(reversed.overlaps).toEqual(overlaps);
  expect(reversed.memory.ranges.at(-1)).toMatchObject({ pa: BigInt(count - 1), size: BigInt(2 * count) });
});
