import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { elfImage } from "../../src/image/elf.js";
import { type CoreOptions, elfCore, elfCoreBytes } from "../../src/image/elf-write.js";
import { type Memory, physAddr, type Segment, segmentedMemory } from "../../src/memory/index.js";
import { mergedRanges } from "../../src/memory/ranges.js";
import { bytesSource } from "../../src/memory/source.js";
import { pattern } from "./elfwriter.js";
import { bytesAt, thrown } from "./expect.js";
import { tempFolders } from "./temp.js";

const folder = tempFolders();
const page = 4096;
const hasReadelf = spawnSync("readelf", ["--version"]).status === 0;

/** Memory of pieces at addresses: bytes, or a length of zeros that are not stored. */
const memoryOf = (...pieces: readonly (readonly [pa: bigint, content: Uint8Array | bigint])[]): Memory =>
  segmentedMemory(
    pieces.map(([pa, content]): Segment => {
      const place = { pa: physAddr(pa), at: 0 };
      return typeof content === "bigint"
        ? { ...place, size: content }
        : { ...place, size: BigInt(content.length), source: bytesSource(content) };
    }),
  ).memory;

const open = (bytes: Uint8Array) => elfImage(bytesSource(bytes));
const rangeOf = (pa: bigint, size: bigint) => ({ pa: physAddr(pa), size });
const x86 = (memory: Memory, more: Partial<CoreOptions> = {}): Uint8Array =>
  elfCoreBytes(memory, { ranges: memory.ranges, arch: "x86_64", ...more });

interface Header {
  readonly type: string;
  readonly offset: number;
  readonly pa: bigint;
  readonly filesz: number;
  readonly memsz: bigint;
  readonly align: number;
}

/** Program headers as binutils reads them; fails where it complains. */
function readelf(bytes: Uint8Array): Header[] {
  const path = join(folder(), "core.elf");
  writeFileSync(path, bytes);
  const { stdout, stderr, status } = spawnSync("readelf", ["-lW", path], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout
    .split("\n")
    .map((line) => /^ +(LOAD|NOTE) +(\S+) +(\S+) +(\S+) +(\S+) +(\S+) +[RWE ]+(\S+)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, type, offset, va, pa, filesz, memsz, align]) => {
      expect(Number(va)).toBe(0);
      return {
        type: type!,
        offset: Number(offset),
        pa: BigInt(pa!),
        filesz: Number(filesz),
        memsz: BigInt(memsz!),
        align: Number(align),
      };
    });
}

const join_ = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));
const zeros = (pages: number): Uint8Array => new Uint8Array(pages * page);

/** Memory as stretches of pages, of every kind there is, not all of them at page borders. */
const memories = fc
  .array(
    fc.record({
      gap: fc.oneof(
        fc.constant(0),
        fc.nat(3 * page),
        fc.nat(3).map((n) => n * page),
      ),
      pages: fc.integer({ min: 1, max: 9 }),
      more: fc.oneof(fc.constant(0), fc.nat(page)),
      kind: fc.constantFrom("bytes", "zeros", "unstored"),
    }),
    { maxLength: 10 },
  )
  .map((stretches) => {
    let pa = 0x100000n;
    return memoryOf(
      ...stretches.map(({ gap, pages, more, kind }, i): [bigint, Uint8Array | bigint] => {
        const at = pa + BigInt(gap);
        const length = pages * page + more;
        pa = at + BigInt(length);
        const content = kind === "bytes" ? pattern(length, i) : new Uint8Array(length);
        return [at, kind === "unstored" ? BigInt(length) : content];
      }),
    );
  });

describe("a core that was written", () => {
  for (const choice of ["store", "omit"] as const)
    test(`is read back, whatever the memory, with zeros: ${choice}`, () => {
      fc.assert(
        fc.property(memories, fc.constantFrom(4096, 16384), (memory, pageSize) => {
          const options = { ranges: memory.ranges, arch: "x86_64", pageSize, zeros: choice } as const;
          const core = elfCore(memory, options);
          const bytes = elfCoreBytes(memory, options);
          expect(core.size).toBe(bytes.length);
          const image = open(bytes);
          const empty = memory.ranges.length === 0;
          expect(image.findings.map(({ code }) => code)).toEqual(empty ? ["elf-malformed"] : []);
          expect(image).toMatchObject({ arch: "x86_64", byteOrder: "little", pageSize });
          const wanted = mergedRanges(memory.ranges);
          expect(mergedRanges(image.memory.ranges)).toEqual(wanted);
          for (const { pa, size } of wanted)
            expect(Buffer.compare(image.memory.read(pa, Number(size)), memory.read(pa, Number(size)))).toBe(
              0,
            );
          const unstored = image.memory.ranges.filter((range) => range.zeros);
          if (choice === "store") expect(unstored).toEqual([]);
          // What was left out can be left out again: nothing else changes.
          const again = elfCoreBytes(image.memory, { ...options, ranges: image.memory.ranges });
          expect(Buffer.compare(again, bytes)).toBe(0);
        }),
        { numRuns: 60 },
      );
    });

  test.skipIf(!hasReadelf)("is what binutils takes it for", () => {
    fc.assert(
      fc.property(memories, fc.constantFrom("store" as const, "omit" as const), (memory, choice) => {
        const bytes = x86(memory, { zeros: choice, pageSize: page, release: "7.3.4" });
        const [note, ...loads] = readelf(bytes);
        expect(note).toMatchObject({ type: "NOTE", align: 4 });
        for (const { type, offset, pa, filesz, memsz, align } of loads) {
          expect({ type, align, rest: offset % page }).toEqual({ type: "LOAD", align: page, rest: 0 });
          const all = memory.read(physAddr(pa), Number(memsz));
          expect(Buffer.compare(bytes.subarray(offset, offset + filesz), all.subarray(0, filesz))).toBe(0);
          expect(all.subarray(filesz).every((byte) => byte === 0)).toBe(true);
          if (choice === "store") expect(BigInt(filesz)).toBe(memsz);
        }
        const covered = loads.map(({ pa, memsz }) => rangeOf(pa, memsz));
        expect(mergedRanges(covered)).toEqual(mergedRanges(memory.ranges));
        expect(covered.map(({ pa }) => pa)).toEqual(
          covered.map(({ pa }) => pa).sort((a, b) => (a < b ? -1 : 1)),
        );
      }),
      { numRuns: 12 },
    );
  });

  test.skipIf(!hasReadelf)("has notes that binutils reads", () => {
    const path = join(folder(), "core.elf");
    writeFileSync(path, x86(memoryOf([0n, pattern(page)]), { pageSize: 65536, release: "6.19.10" }));
    expect(execFileSync("readelf", ["-nW", path], { encoding: "utf8" })).toMatch(/VMCOREINFO +0x00000021/);
  });

  test("says what it is told, and nothing else", () => {
    const memory = memoryOf([0x1000n, pattern(page)]);
    const said = (options: Partial<CoreOptions>) => {
      const { arch, pageSize, release } = open(elfCoreBytes(memory, { ranges: memory.ranges, ...options }));
      return [arch, pageSize, release];
    };
    expect(said({})).toEqual([undefined, undefined, undefined]);
    expect(said({ arch: "aarch64", pageSize: 65536 })).toEqual(["aarch64", 65536, undefined]);
    expect(said({ arch: "x86_64", release: "7.3.4-rc1+" })).toEqual(["x86_64", undefined, "7.3.4-rc1+"]);
  });

  test("is the same whatever the order of the ranges, touching and overlapping ones merged", () => {
    const memory = memoryOf([0x1000n, pattern(8 * page)], [0x20000n, pattern(page, 2)]);
    const wanted = x86(memory);
    const ranges = [
      rangeOf(0x20000n, 0x1000n),
      rangeOf(0x3000n, 0x6000n),
      rangeOf(0x1000n, 0x2000n),
      rangeOf(0x2000n, 0x3000n),
      rangeOf(0x20800n, 0x10n),
      rangeOf(0x99000n, 0n),
    ];
    expect(x86(memory, { ranges })).toEqual(wanted);
    expect(wanted.length).toBe(10 * page);
  });

  test("can be made more than once", () => {
    const memory = memoryOf([0x1000n, pattern(3 << 20)]);
    const core = elfCore(memory, { ranges: memory.ranges });
    const [first, second] = [join_(...core), join_(...core)];
    expect(Buffer.compare(first, second)).toBe(0);
    expect(Math.max(...[...core].map(({ length }) => length))).toBeLessThanOrEqual(1 << 20);
  });
});

describe("pages of zeros", () => {
  const loadsOf = (memory: Memory): [bigint, number, bigint][] =>
    readelf(x86(memory, { zeros: "omit" })).map(({ pa, filesz, memsz }) => [
      pa,
      filesz / page,
      memsz / 4096n,
    ]);

  test.skipIf(!hasReadelf)("are left out where they are many, or the last ones", () => {
    const one = pattern(page);
    expect(loadsOf(memoryOf([0n, join_(one, zeros(4), one)]))).toEqual([
      [0n, 1, 5n],
      [0x5000n, 1, 1n],
    ]);
    expect(loadsOf(memoryOf([0n, join_(one, zeros(3), one)]))).toEqual([[0n, 5, 5n]]);
    expect(loadsOf(memoryOf([0n, join_(one, zeros(1))]))).toEqual([[0n, 1, 2n]]);
    expect(loadsOf(memoryOf([0n, zeros(1)]))).toEqual([[0n, 0, 1n]]);
    expect(loadsOf(memoryOf([0n, join_(zeros(4), one)]))).toEqual([
      [0n, 0, 4n],
      [0x4000n, 1, 1n],
    ]);
  });

  test("that nobody stores are not looked at one by one", () => {
    const memory = memoryOf(
      [0x1000n, pattern(page)],
      [0x10000n, 1n << 62n],
      [1n << 63n, (1n << 63n) - 4096n],
    );
    const bytes = x86(memory, { zeros: "omit" });
    expect(bytes.length).toBe(2 * page);
    expect(mergedRanges(open(bytes).memory.ranges)).toEqual(mergedRanges(memory.ranges));
    const error = thrown(() => x86(memory, { zeros: "store" }), "limit-exceeded");
    expect(error.message).toContain("the core would have");
  });

  test("never make the extended count necessary", () => {
    // 70,000 stretches of four pages of zeros and one that is not.
    const stretch = join_(zeros(4), pattern(page));
    const size = BigInt(stretch.length);
    const source = {
      size: 70_000 * stretch.length,
      read: (at: number, length: number) => {
        const bytes = new Uint8Array(length);
        for (let done = 0; done < length; ) {
          const from = (at + done) % stretch.length;
          const part = stretch.subarray(from, from + length - done);
          bytes.set(part, done);
          done += part.length;
        }
        return bytes;
      },
    };
    const { memory } = segmentedMemory([{ pa: physAddr(0), size: 70_000n * size, source, at: 0 }]);
    const core = elfCore(memory, { ranges: memory.ranges, zeros: "omit" });
    const [header] = core;
    const view = new DataView(header!.buffer);
    expect(view.getUint16(56, true)).toBe(0xfffe);
  });
});

describe("0xffff and more segments", () => {
  const sparse = (count: number): Memory => {
    const content = pattern(16);
    return memoryOf(
      ...Array.from({ length: count }, (_, i): [bigint, Uint8Array] => [BigInt(i) * 0x1000n, content]),
    );
  };

  test.skipIf(!hasReadelf)("are counted in section header 0, and only then", () => {
    const count = (core: Uint8Array): number => readelf(core).length;
    const [most, more] = [x86(sparse(0xfffe)), x86(sparse(0xffff))];
    expect(new DataView(most.buffer).getUint16(56, true)).toBe(0xfffe);
    expect(new DataView(more.buffer).getUint16(56, true)).toBe(0xffff);
    expect([count(most), count(more)]).toEqual([0xfffe, 0xffff]);
  });

  test("are read back", () => {
    const image = open(x86(sparse(70_000), { pageSize: page }));
    expect(image).toMatchObject({ findings: [], pageSize: page });
    expect(image.memory.ranges).toHaveLength(70_000);
    expect(bytesAt(image.memory, 69_999n * 0x1000n, 16)).toEqual([...pattern(16)]);
  });
});

describe("what cannot be written", () => {
  const memory = memoryOf([0x1000n, pattern(page)]);

  test("is refused", () => {
    for (const pageSize of [0, 512, 4097, 1 << 20]) thrown(() => x86(memory, { pageSize }), "value-range");
    for (const release of ["", "7.3 4", "x".repeat(65), "7.3\nPAGESIZE=65536"])
      thrown(() => x86(memory, { release }), "value-range");
    thrown(() => x86(memory, { ranges: [rangeOf((1n << 64n) - 4096n, 8192n)] }), "value-range");
    // What begins there would be read as memory whose address is not known.
    thrown(() => x86(memory, { ranges: [rangeOf((1n << 64n) - 1n, 1n)] }), "value-range");
    thrown(() => x86(memory, { maxSize: 8191 }), "limit-exceeded");
    expect(x86(memory, { maxSize: 8192 })).toHaveLength(8192);
  });

  test("memory that is not there is not made up", () => {
    for (const choice of ["store", "omit"] as const) {
      const ranges = [rangeOf(0x1000n, 0x2000n)];
      expect(thrown(() => x86(memory, { ranges, zeros: choice }), "memory-absent").pa).toBe(0x2000n);
    }
  });
});
