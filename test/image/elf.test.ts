import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { elfImage } from "../../src/image/elf.js";
import { elf64Ehdr, elf64Nhdr, elf64Phdr, elf64Shdr } from "../../src/image/elf-layout.js";
import { sizeOf } from "../../src/layout/index.js";
import { physAddr } from "../../src/memory/address.js";
import { bytesSource } from "../../src/memory/source.js";
import { elfCore, notes, pattern, type TestCore, text } from "./elfwriter.js";
import { bytesAt, codesOf, tame, thrown } from "./expect.js";

const open = (core: TestCore, options = {}) => elfImage(bytesSource(elfCore(core)), options);
const vmcoreinfo = (content: string, big = false) => ({
  type: 4,
  data: notes(
    [
      { name: "CORE", type: 1, desc: new Uint8Array(333) },
      { name: "VMCOREINFO", desc: text(content) },
    ],
    big,
  ),
});

test("the structures have the sizes of the specification", () => {
  const abi = { byteOrder: "little", pageSize: 4096 } as const;
  expect([elf64Ehdr, elf64Phdr, elf64Shdr, elf64Nhdr].map((layout) => sizeOf(layout, abi))).toEqual([
    64, 56, 64, 12,
  ]);
});

describe("a well-formed core", () => {
  for (const big of [false, true])
    test(`in ${big ? "big" : "little"}-endian`, () => {
      const image = open({
        big,
        machine: 183,
        segments: [
          vmcoreinfo("OSRELEASE=7.3.4-test\nPAGESIZE=16384\nOSRELEASE=later\n", big),
          { paddr: 0x8000n, data: pattern(4096, 2) },
          { paddr: 0x4000n, data: pattern(4096, 3) },
        ],
      });
      expect(image).toMatchObject({
        kind: "elf",
        arch: "aarch64",
        byteOrder: big ? "big" : "little",
        release: "7.3.4-test",
        pageSize: 16384,
        findings: [],
      });
      expect(bytesAt(image.memory, 0x4000n, 4096)).toEqual([...pattern(4096, 3)]);
      expect(bytesAt(image.memory, 0x8000n, 4096)).toEqual([...pattern(4096, 2)]);
    });

  test("names the machines it knows and no other", () => {
    const archOf = (machine: number, big = false) => open({ machine, big, segments: [] }).arch;
    expect([archOf(62), archOf(183), archOf(183, true), archOf(62, true), archOf(243)]).toEqual([
      "x86_64",
      "aarch64",
      "aarch64",
      undefined,
      undefined,
    ]);
  });

  test("reads across the border of two segments that are apart in the file", () => {
    const data = pattern(8192);
    const { memory } = open({
      segments: [
        { paddr: 0x2000n, data: data.subarray(4096) },
        { paddr: 0x1000n, data: data.subarray(0, 4096) },
      ],
    });
    expect(bytesAt(memory, 0x1ffdn, 7)).toEqual([...data.subarray(0xffd, 0x1004)]);
    expect(bytesAt(memory, 0x1000n, 8192)).toEqual([...data]);
  });

  test("names the first absent address", () => {
    const { memory } = open({ segments: [{ paddr: 0x1000n, data: pattern(0x1000) }] });
    expect(thrown(() => memory.read(physAddr(0x1ff0n), 0x20), "memory-absent").pa).toBe(0x2000n);
    expect(thrown(() => memory.read(physAddr(0xfffn), 2), "memory-absent").pa).toBe(0xfffn);
    expect(memory.has(physAddr(0x1000n), 0x1000)).toBe(true);
    expect(memory.has(physAddr(0x1000n), 0x1001)).toBe(false);
  });

  test("the part of a segment that is not in the file is zeros", () => {
    const { memory, findings } = open({ segments: [{ paddr: 0x1000n, data: pattern(10), memsz: 0x1000n }] });
    expect(findings).toEqual([]);
    expect(bytesAt(memory, 0x1008n, 4)).toEqual([...pattern(10).subarray(8), 0, 0]);
    expect(bytesAt(memory, 0x1ffcn, 4)).toEqual([0, 0, 0, 0]);
    expect(thrown(() => memory.read(physAddr(0x1ffcn), 5), "memory-absent").pa).toBe(0x2000n);
  });

  test("program headers further apart than their size", () => {
    const segments = [0n, 1n, 2n].map((i) => ({ paddr: 0x1000n * i, data: pattern(0x1000, Number(i)) }));
    const { memory, findings } = open({ stride: 71, segments });
    expect(findings).toEqual([]);
    expect(bytesAt(memory, 0x2000n, 16)).toEqual([...pattern(16, 2)]);
  });
});

describe("more than 65534 program headers", () => {
  const count = 70_000;
  const core = (more: Partial<TestCore> = {}) =>
    elfCore({
      extended: true,
      segments: Array.from({ length: count }, (_, i) => ({
        paddr: BigInt(count - i) * 16n,
        data: Uint8Array.of(i & 0xff),
      })),
      ...more,
    });

  test("are counted in section header 0", () => {
    const { memory, findings } = elfImage(bytesSource(core()));
    expect(findings).toEqual([]);
    expect(memory.ranges.length).toBe(count);
    expect(bytesAt(memory, BigInt(count) * 16n, 1)).toEqual([0]);
    expect(bytesAt(memory, 16n, 1)).toEqual([(count - 1) & 0xff]);
  });

  test("are read up to the limit", () => {
    const { memory, findings } = elfImage(bytesSource(core()), { maxSegments: 100 });
    expect(codesOf(findings)).toEqual(["limit-exceeded"]);
    expect(memory.ranges.length).toBe(100);
  });

  test("without the section header: 65535 are assumed, and said to be", () => {
    for (const shoff of [0n, 1n << 40n, 1n << 60n]) {
      const { memory, findings } = elfImage(bytesSource(core({ shoff })));
      expect(codesOf(findings)).toEqual(["elf-malformed"]);
      expect(memory.ranges.length).toBe(0xffff);
    }
  });
});

describe("overlapping segments", () => {
  /** What the reader must agree with: every byte belongs to the first segment in the file that claims it. */
  const model = (segments: readonly { pa: number; size: number; zeros: number; seed: number }[]) => {
    const bytes = new Map<number, number>();
    for (const { pa, size, zeros, seed } of segments) {
      const data = pattern(size, seed);
      for (let i = 0; i < size + zeros; i++) if (!bytes.has(pa + i)) bytes.set(pa + i, data[i] ?? 0);
    }
    return bytes;
  };
  const segment = fc.record({
    pa: fc.integer({ min: 0, max: 60 }),
    size: fc.integer({ min: 0, max: 30 }),
    zeros: fc.integer({ min: 0, max: 10 }),
    seed: fc.integer({ min: 1, max: 200 }),
  });

  test("agree with a map of bytes, in every order", () => {
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 8 }), fc.boolean(), (segments, big) => {
        const expected = model(segments);
        const { memory, findings } = open({
          big,
          segments: segments.map(({ pa, size, zeros, seed }) => ({
            paddr: BigInt(pa),
            data: pattern(size, seed),
            memsz: BigInt(size + zeros),
          })),
        });
        for (let pa = 0; pa < 110; pa++) {
          const value = expected.get(pa);
          expect(memory.has(physAddr(pa), 1)).toBe(value !== undefined);
          if (value !== undefined) expect(bytesAt(memory, BigInt(pa), 1)).toEqual([value]);
        }
        const claimed = segments.reduce((sum, { size, zeros }) => sum + size + zeros, 0);
        expect(codesOf(findings).includes("segment-overlap")).toBe(claimed > expected.size);
      }),
      { numRuns: 300 },
    );
  });

  test("of the same bytes are no fault: the kernel's own cores hold its text twice", () => {
    const data = pattern(0x3000);
    const { findings } = open({
      segments: [
        { paddr: 0x1000n, data: data.subarray(0x1000, 0x2000) },
        { paddr: 0x0n, data },
      ],
    });
    expect(findings).toMatchObject([
      { code: "segment-overlap", severity: "info", pa: 0x1000n, length: 0x1000 },
    ]);
  });

  test("are reported with their addresses", () => {
    const { findings } = open({
      segments: [
        { paddr: 0x1000n, data: pattern(0x2000) },
        { paddr: 0x2000n, data: pattern(0x2000) },
      ],
    });
    expect(findings).toMatchObject([
      { code: "segment-overlap", severity: "warning", pa: 0x2000n, length: 0x1000 },
    ]);
  });

  test("are not reported without end", () => {
    const segments = Array.from({ length: 2000 }, (_, i) => ({
      paddr: BigInt(i >> 1) * 64n,
      data: pattern(4),
    }));
    const { findings } = open({ segments });
    expect(findings.length).toBe(65);
    expect(findings.at(-1)?.message).toContain("936 more");
  });
});

describe("a core that contradicts itself", () => {
  test("a truncated file: what is missing is absent, not zeros", () => {
    const whole = elfCore({ segments: [{ paddr: 0x1000n, data: pattern(0x1000), memsz: 0x1800n }] });
    const { memory, findings } = elfImage(bytesSource(whole.subarray(0, whole.length - 16)));
    expect(findings).toMatchObject([{ code: "elf-truncated", pa: 0x1ff0n, length: 16 }]);
    expect(bytesAt(memory, 0x1fe0n, 16)).toEqual([...pattern(0x1000).subarray(0xfe0, 0xff0)]);
    expect(thrown(() => memory.read(physAddr(0x1fe0n), 32), "memory-absent").pa).toBe(0x1ff0n);
    expect(bytesAt(memory, 0x2000n, 1)).toEqual([0]);
  });

  test("more bytes in the file than in memory", () => {
    const { memory, findings } = open({ segments: [{ paddr: 0x1000n, data: pattern(64), memsz: 16n }] });
    expect(codesOf(findings)).toEqual(["elf-malformed"]);
    expect(memory.ranges).toMatchObject([{ pa: 0x1000n, size: 16n }]);
  });

  test("offsets of 2^53 and more, and segments beyond 2^64", () => {
    const { memory, findings } = open({
      segments: [
        { paddr: 0x1000n, offset: 1n << 53n, filesz: 16n },
        { paddr: 0x2000n, offset: (1n << 64n) - 1n, filesz: 16n, memsz: 32n },
        { paddr: (1n << 64n) - 16n, data: pattern(32), memsz: 64n },
      ],
    });
    expect(codesOf(findings)).toEqual(["elf-malformed", "elf-malformed", "elf-malformed"]);
    expect(memory.ranges).toMatchObject([
      { pa: 0x2010n, size: 16n },
      { pa: (1n << 64n) - 16n, size: 16n },
    ]);
    expect(bytesAt(memory, (1n << 64n) - 16n, 16)).toEqual([...pattern(16)]);
    expect(memory.has(physAddr((1n << 64n) - 1n), 2)).toBe(false);
  });

  test("an unknown physical address", () => {
    const { memory, findings } = open({ segments: [{ paddr: (1n << 64n) - 1n, data: pattern(64) }] });
    expect(findings).toMatchObject([{ severity: "info", code: "memory-absent" }]);
    expect(memory.ranges).toEqual([]);
  });

  test("program headers that are too small or far away", () => {
    thrown(() => open({ stride: 55, segments: [{}] }), "elf-malformed");
    const far = elfCore({ segments: [{ paddr: 0n, data: pattern(4) }] });
    new DataView(far.buffer).setBigUint64(32, 1n << 40n, true);
    expect(codesOf(elfImage(bytesSource(far)).findings)).toEqual(["elf-truncated", "elf-malformed"]);
    new DataView(far.buffer).setBigUint64(32, 1n << 53n, true);
    thrown(() => elfImage(bytesSource(far)), "elf-malformed");
  });

  test("the core of a process", () => {
    const segments = [1n, 2n].map((i) => ({ vaddr: i << 12n, data: pattern(16) }));
    expect(codesOf(open({ segments }).findings)).toContain("unsupported-container");
  });

  test("notes that are damaged, endless or say what cannot be", () => {
    const data = (bytes: Uint8Array) => ({ type: 4, data: bytes });
    const load = { paddr: 0n, data: pattern(4) };
    const found = (bytes: Uint8Array) => codesOf(open({ segments: [load, data(bytes)] }).findings);
    expect(found(new Uint8Array(12 * 70_000))).toEqual(["limit-exceeded"]);
    expect(found(notes([{ name: "CORE", desc: pattern(16) }]).subarray(0, 24))).toEqual(["elf-malformed"]);
    const wrong = open({ segments: [load, vmcoreinfo("OSRELEASE=\x1b[31m\nPAGESIZE=12\n")] });
    expect(codesOf(wrong.findings)).toEqual(["elf-malformed", "elf-malformed"]);
    expect(wrong).not.toHaveProperty("release");
    expect(wrong).not.toHaveProperty("pageSize");
    expect(found(notes([{ name: "VMCOREINFO", desc: new Uint8Array(70_000) }]))).toEqual(["limit-exceeded"]);
  });
});

test("other ELF files are refused with advice", () => {
  expect(thrown(() => open({ type: 2, segments: [] }), "unsupported-container").message).toContain("capture");
  const narrow = elfCore({ segments: [] });
  narrow[4] = 1;
  expect(thrown(() => elfImage(bytesSource(narrow)), "unsupported-container").message).toContain("ELF64");
});

describe("damage", () => {
  const small = elfCore({
    extended: true,
    segments: [
      vmcoreinfo("OSRELEASE=7.3.0\nPAGESIZE=4096\n"),
      { paddr: 0x1000n, data: pattern(64), memsz: 128n },
      { paddr: 0x3000n, data: pattern(64) },
    ],
  });
  const use = (bytes: Uint8Array): void => {
    const image = tame(() => elfImage(bytesSource(bytes), { maxSegments: 1000 }));
    if (!image) return;
    for (const pa of [0x1000n, 0x103cn, 0x3000n, 0x303fn]) tame(() => image.memory.read(physAddr(pa), 16));
    for (const { pa, size } of image.memory.ranges) image.memory.read(pa, size > 4096n ? 4096 : Number(size));
  };

  test("every bit of the headers flipped: a result or a KhoError", () => {
    const headers = 128 + 3 * 56 + 400;
    for (let at = 0; at < Math.min(headers, small.length); at++)
      for (const mask of [0x01, 0x80, 0xff]) {
        const copy = small.slice();
        copy[at]! ^= mask;
        use(copy);
      }
  });

  test("truncated at every length: a result or a KhoError", () => {
    for (let length = 0; length < small.length; length++) use(small.subarray(0, length));
  });
});
