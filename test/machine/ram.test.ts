import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Content, newRam, poisonByte, type Ram, storedRanges } from "../../src/machine/ram.js";
import { type MemoryRange, physAddr } from "../../src/memory/index.js";
import { isKhoError } from "../../src/report/error.js";

const KiB = 1024;
const pageSize = 4 * KiB;

const range = (pa: number | bigint, size: number | bigint): MemoryRange => ({
  pa: physAddr(pa),
  size: BigInt(size),
});

/** The first absent address that a call names, or what it gives. */
function outcome<T>(call: () => T): T | bigint {
  try {
    return call();
  } catch (error) {
    if (!isKhoError(error, "memory-absent")) throw error;
    return error.pa!;
  }
}

/** Two banks with a hole between them, and no whole pages where the first one ends: 600 and some pages. */
const room = 700;
const banks = [range(40 * pageSize, 500 * pageSize - KiB), range(560 * pageSize, 140 * pageSize)];
const isRam = (at: number): boolean =>
  banks.some(({ pa, size }) => at >= Number(pa) && at < Number(pa + size));

/** The slow truth: every byte there is, and which pages were written to since they were all of one kind. */
interface Plain {
  readonly bytes: Uint8Array;
  readonly written: Set<number>;
}
/** The first address of `[from, from + length)` that is no RAM: the first of all, or one where a bank ends. */
const firstAbsent = (from: number, length: number): number | undefined =>
  [from, ...banks.map(({ pa, size }) => Number(pa + size))].find(
    (at) => at >= from && at < from + length && !isRam(at),
  );
const filled = { zeros: new Uint8Array(pageSize), poison: new Uint8Array(pageSize).fill(0xa5) };

// Mostly few, about the end of a bank and where pages cease to be kept together: what happens there meets.
const somePage = fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 505, max: 565 }) }, fc.nat(room - 1));
const stretch = fc.record({ pfn: somePage, pages: fc.oneof(fc.nat(3), fc.nat(30), fc.nat(600)) });
const operation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      at: fc
        .tuple(somePage, fc.constantFrom(0, 1, 100, pageSize - 3))
        .map(([pfn, at]) => pfn * pageSize + at),
      length: fc.oneof(fc.nat(8), fc.constant(pageSize), fc.nat(3 * pageSize)),
      fill: fc.nat(255),
      side: fc.boolean(),
    }),
  },
  fc.record({ kind: fc.constantFrom("zero" as const, "poison" as const), stretch, side: fc.boolean() }),
  fc.record({ kind: fc.constant("snapshot" as const), side: fc.boolean() }),
);

function expectSame(ram: Ram, { bytes, written }: Plain): void {
  for (const { pa, size } of banks) {
    const at = Number(pa);
    const same = Buffer.compare(ram.read(pa, Number(size)), bytes.subarray(at, at + Number(size)));
    expect(same).toBe(0);
  }
  const kinds: Content["kind"][] = [];
  for (const { pfn, pages, kind } of ram.contents(0, room)) {
    expect(pfn).toBe(kinds.length);
    for (let i = 0; i < pages; i++) kinds.push(kind);
  }
  expect(kinds).toHaveLength(room);
  for (const [pfn, kind] of kinds.entries()) {
    const page = bytes.subarray(pfn * pageSize, (pfn + 1) * pageSize);
    expect(ram.isStored(pfn)).toBe(kind === "stored");
    if (kind === "stored") expect(written).toContain(pfn);
    else expect(Buffer.compare(page, kind === "poison" ? filled.poison : filled.zeros)).toBe(0);
  }
}

describe("RAM", () => {
  it("agrees with an array of bytes, and so do its snapshots", () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
        const empty = { bytes: new Uint8Array(room * pageSize), written: new Set<number>() };
        const one: [Ram, Plain] = [newRam({ ranges: banks, pageSize }), empty];
        const machines = [one, one];
        for (const [step, operation] of operations.entries()) {
          const [ram, plain] = machines[operation.side ? 1 : 0]!;
          if (operation.kind === "snapshot") {
            machines[operation.side ? 0 : 1] = [
              ram.snapshot(),
              { bytes: plain.bytes.slice(), written: new Set(plain.written) },
            ];
          } else if (operation.kind === "write") {
            const { at, length, fill } = operation;
            const bytes = Uint8Array.from({ length }, (_, i) => fill && fill + step + i);
            const absent = firstAbsent(at, length);
            const wrong = outcome(() => ram.write(physAddr(at), bytes));
            expect(wrong).toBe(absent === undefined ? undefined : BigInt(absent));
            if (absent !== undefined || length === 0) continue;
            plain.bytes.set(bytes, at);
            for (let pfn = Math.floor(at / pageSize); pfn * pageSize < at + length; pfn++)
              plain.written.add(pfn);
          } else {
            const { pfn, pages } = operation.stretch;
            const absent = firstAbsent(pfn * pageSize, pages * pageSize);
            const wrong = outcome(() => ram[operation.kind](pfn, pages));
            expect(wrong).toBe(absent === undefined ? undefined : BigInt(absent));
            if (absent !== undefined) continue;
            const byte = operation.kind === "zero" ? 0 : poisonByte;
            plain.bytes.fill(byte, pfn * pageSize, (pfn + pages) * pageSize);
            for (let i = 0; i < pages; i++) plain.written.delete(pfn + i);
          }
        }
        for (const [ram, plain] of machines) expectSame(ram, plain);
      }),
      { numRuns: 60 },
    );
  });

  it.each([4 * KiB, 16 * KiB, 64 * KiB])("reads any bytes with pages of %d", (pageSize) => {
    const ram = newRam({ ranges: [range(0, 8 * pageSize)], pageSize });
    const plain = new Uint8Array(8 * pageSize);
    ram.poison(2, 3);
    plain.fill(poisonByte, 2 * pageSize, 5 * pageSize);
    for (const at of [pageSize - 2, 3 * pageSize + 5, 6 * pageSize - 1]) {
      ram.write(physAddr(at), Uint8Array.of(1, 2, 3));
      plain.set([1, 2, 3], at);
    }
    fc.assert(
      fc.property(fc.nat(8 * pageSize), fc.nat(4 * pageSize), (at, length) => {
        const end = Math.min(at + length, plain.length);
        expect(Buffer.compare(ram.read(physAddr(at), end - at), plain.subarray(at, end))).toBe(0);
      }),
    );
  });

  it("gives views within a stored page, and copies elsewhere", () => {
    const ram = newRam({ ranges: [range(0, 8 * pageSize)], pageSize });
    ram.write(physAddr(pageSize), new Uint8Array(2 * pageSize).fill(7));
    const view = ram.read(physAddr(pageSize + 8), 8);
    expect(view.buffer).toBe(ram.read(physAddr(pageSize), pageSize).buffer);
    const crossing = ram.read(physAddr(2 * pageSize - 4), 8);
    crossing.fill(1);
    ram.read(physAddr(0), 8).fill(1);
    expect(ram.read(physAddr(2 * pageSize - 4), 8)).toEqual(new Uint8Array(8).fill(7));
    expect(ram.read(physAddr(0), 8)).toEqual(new Uint8Array(8));
  });

  it("names what it does not have, and then leaves everything as it was", () => {
    const ram = newRam({ ranges: [range(0x1000, 0x2000), range(0x8000, 0x1000)], pageSize });
    expect(ram.ranges).toEqual([range(0x1000, 0x2000), range(0x8000, 0x1000)]);
    expect(ram.has(physAddr(0x1000), 0x2000)).toBe(true);
    expect(ram.has(physAddr(0x2fff), 2)).toBe(false);
    const call = () => ram.write(physAddr(0x2ffc), Uint8Array.of(1, 2, 3, 4, 5));
    expect(call).toThrow(
      expect.objectContaining({
        code: "memory-absent",
        pa: 0x3000n,
        length: 5,
        expected: "5 bytes at 0x2ffc",
      }),
    );
    expect(ram.read(physAddr(0x2ffc), 4)).toEqual(new Uint8Array(4));
    expect(outcome(() => ram.read(physAddr(0x8800), 0x1000))).toBe(0x9000n);
    expect(outcome(() => ram.zero(0, 2))).toBe(0n);
    expect(outcome(() => ram.poison(8, 2))).toBe(0x9000n);
    expect(ram.contents(8, 1)).toEqual([{ pfn: 8, pages: 1, kind: "zeros" }]);
  });

  it("goes over from one bank to the next, in any order", () => {
    const ram = newRam({ ranges: [range(0x4000, 0x4000), range(0, 0x4000)], pageSize });
    const bytes = Uint8Array.from({ length: 0x2000 }, (_, i) => i % 251);
    ram.write(physAddr(0x3000), bytes);
    expect(ram.read(physAddr(0x3000), 0x2000)).toEqual(bytes);
  });

  it("does not store zeros that are written to zeros, but those written to poison", () => {
    const ram = newRam({ ranges: [range(0, 8 * pageSize)], pageSize });
    ram.poison(4, 4);
    for (const pfn of [0, 4]) ram.write(physAddr(pfn * pageSize + 8), new Uint8Array(8));
    for (const pfn of [1, 5]) ram.write(physAddr(pfn * pageSize), new Uint8Array(pageSize));
    ram.write(physAddr(2 * pageSize), Uint8Array.of(1));
    ram.write(physAddr(2 * pageSize), Uint8Array.of(0));
    expect(ram.contents(0, 8)).toEqual([
      { pfn: 0, pages: 2, kind: "zeros" },
      { pfn: 2, pages: 1, kind: "stored" },
      { pfn: 3, pages: 1, kind: "zeros" },
      { pfn: 4, pages: 1, kind: "stored" },
      { pfn: 5, pages: 1, kind: "zeros" },
      { pfn: 6, pages: 2, kind: "poison" },
    ]);
    expect(storedRanges(ram, [{ pfn: 0, pages: 7 }])).toEqual([
      { pfn: 2, pages: 1 },
      { pfn: 4, pages: 1 },
      { pfn: 6, pages: 1 },
    ]);
    expect(
      storedRanges(ram, [
        { pfn: 4, pages: 1 },
        { pfn: 6, pages: 1 },
        { pfn: 7, pages: 1 },
      ]),
    ).toEqual([
      { pfn: 4, pages: 1 },
      { pfn: 6, pages: 2 },
    ]);
  });

  it("forgets stored pages that are zeroed or poisoned, not those of a snapshot", () => {
    const ram = newRam({ ranges: [range(0, 4096 * pageSize)], pageSize });
    const written = [3, 511, 512, 600, 2000, 4095];
    for (const pfn of written) ram.write(physAddr(pfn * pageSize), Uint8Array.of(pfn & 0xff, 1));
    const before = ram.snapshot();
    ram.zero(500, 600);
    ram.poison(4095, 1);
    expect(written.filter((pfn) => ram.isStored(pfn))).toEqual([3, 2000]);
    expect(written.filter((pfn) => before.isStored(pfn))).toEqual(written);
    expect(before.read(physAddr(600 * pageSize), 2)).toEqual(Uint8Array.of(600 & 0xff, 1));
  });

  it("of 1 TiB has a content as short as what happened to it", () => {
    const all = 2 ** 28;
    const ram = newRam({ ranges: [range(0, 1n << 40n)], pageSize });
    for (let folio = 0; folio < 500_000; folio++) ram.zero(folio * 512, 512);
    expect(ram.contents(0, all)).toEqual([{ pfn: 0, pages: all, kind: "zeros" }]);
    ram.poison(0, all);
    ram.write(physAddr((1n << 40n) - 8n), new Uint8Array(8));
    expect(ram.contents(0, all)).toEqual([
      { pfn: 0, pages: all - 1, kind: "poison" },
      { pfn: all - 1, pages: 1, kind: "stored" },
    ]);
    expect(ram.snapshot().read(physAddr((1n << 40n) - 16n), 16)).toEqual(
      Uint8Array.from({ length: 16 }, (_, i) => (i < 8 ? poisonByte : 0)),
    );
  });
});

describe("RAM with pages that are given", () => {
  const page = (pfn: number): Uint8Array => new Uint8Array(pageSize).fill(pfn);
  const made = (): { ram: Ram; asked: number[] } => {
    const asked: number[] = [];
    const given = {
      stretches: [
        { pfn: 50, pages: 3 },
        { pfn: 60, pages: 600 },
      ],
      page: (pfn: number) => {
        asked.push(pfn);
        return page(pfn);
      },
    };
    return { ram: newRam({ ranges: [range(40 * pageSize, 660 * pageSize)], pageSize, given }), asked };
  };
  const bytes = (ram: Ram, pfn: number): number[] => [
    ...new Set(ram.read(physAddr(pfn * pageSize), pageSize)),
  ];

  it("reads them, alone and among zeros, and asks for no others", () => {
    const { ram, asked } = made();
    expect([49, 50, 52, 53].map((pfn) => bytes(ram, pfn))).toEqual([[0], [50], [52], [0]]);
    const across = ram.read(physAddr(52 * pageSize + 1), 9 * pageSize);
    expect([...new Set(across)]).toEqual([52, 0, 60, 61]);
    expect(new Set(asked)).toEqual(new Set([50, 52, 60, 61]));
  });

  it("counts them as stored, until they are zeroed or poisoned", () => {
    const { ram } = made();
    ram.zero(50, 1);
    ram.poison(51, 1);
    expect(ram.contents(49, 5)).toEqual([
      { pfn: 49, pages: 2, kind: "zeros" },
      { pfn: 51, pages: 1, kind: "poison" },
      { pfn: 52, pages: 1, kind: "stored" },
      { pfn: 53, pages: 1, kind: "zeros" },
    ]);
    expect([50, 51, 52].map((pfn) => ram.isStored(pfn))).toEqual([false, false, true]);
  });

  it("writes to copies, which snapshots do not see", () => {
    const { ram } = made();
    const before = ram.snapshot();
    ram.write(physAddr(60 * pageSize + 7), Uint8Array.of(1, 0));
    ram.write(physAddr(61 * pageSize), new Uint8Array(pageSize));
    expect([...ram.read(physAddr(60 * pageSize + 6), 4)]).toEqual([60, 1, 0, 60]);
    expect(bytes(ram, 61)).toEqual([0]);
    expect([bytes(before, 60), bytes(before, 61)]).toEqual([[60], [61]]);
  });
});
