import { describe, expect, expectTypeOf, it } from "vitest";
import {
  addressOf,
  bytesSource,
  type FileOffset,
  fileOffset,
  type Pfn,
  type PhysAddr,
  pfn,
  pfnOf,
  physAddr,
} from "../../src/memory/index.js";

describe("addresses", () => {
  it("wrap at 2^64", () => {
    expect(physAddr(0x1000)).toBe(0x1000n);
    expect(physAddr((1n << 64n) - 1n)).toBe(0xffffffffffffffffn);
    expect(physAddr(1n << 64n)).toBe(0n);
    expect(physAddr((1n << 64n) + 0x1234n)).toBe(0x1234n);
    expect(physAddr(-1)).toBe(0xffffffffffffffffn);
    expect(physAddr(-4096n)).toBe(0xfffffffffffff000n);
  });

  it.each([
    [0x103e50000n, 4096, 0x103e50],
    [0x103e50fffn, 4096, 0x103e50],
    [0x103e50000n, 16384, 0x40f94],
    [0x103e50000n, 65536, 0x103e5],
    [0n, 4096, 0],
    [0xffffffffffffffffn, 4096, 2 ** 52 - 1],
    [0xffffffffffffffffn, 65536, 2 ** 48 - 1],
  ])("%s with pages of %d bytes is in frame %d", (pa, pageSize, frame) => {
    expect(pfnOf(physAddr(pa), pageSize)).toBe(frame);
    expect(addressOf(frame, pageSize)).toBe(pa - (pa % BigInt(pageSize)));
  });

  it("of a frame that no machine has wrap too", () => {
    expect(addressOf(2 ** 52 - 1, 65536)).toBe(0xffffffffffff0000n);
    expect(addressOf(2 ** 52, 4096)).toBe(0n);
    expect(addressOf(2 ** 48 + 1, 65536)).toBe(0x10000n);
  });
});

describe("brands", () => {
  it("are nothing at run time", () => {
    expect(pfn(5)).toBe(5);
    expect(fileOffset(7)).toBe(7);
    expect(typeof physAddr(1)).toBe("bigint");
  });

  it("keep kinds of numbers apart for the compiler", () => {
    expectTypeOf(physAddr(1n)).toEqualTypeOf<PhysAddr>();
    expectTypeOf<PhysAddr>().toExtend<bigint>();
    expectTypeOf<bigint>().not.toExtend<PhysAddr>();
    expectTypeOf<Pfn>().toExtend<number>();
    expectTypeOf<number>().not.toExtend<Pfn>();
    expectTypeOf<Pfn>().not.toExtend<FileOffset>();
    expectTypeOf<FileOffset>().not.toExtend<Pfn>();
    expectTypeOf(pfnOf).parameter(0).toEqualTypeOf<PhysAddr>();
    expectTypeOf(pfnOf).returns.toEqualTypeOf<Pfn>();
    expectTypeOf(addressOf).returns.toEqualTypeOf<PhysAddr>();
  });
});

describe("bytesSource", () => {
  const data = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7);

  it("reads views, shorter only at the end", () => {
    const source = bytesSource(data.subarray(2));
    expect(source.size).toBe(6);
    expect(source.read(fileOffset(1), 2)).toEqual(Uint8Array.of(3, 4));
    expect(source.read(fileOffset(1), 2).buffer).toBe(data.buffer);
    expect(source.read(fileOffset(4), 9)).toEqual(Uint8Array.of(6, 7));
    expect(source.read(fileOffset(6), 1)).toHaveLength(0);
    expect(source.read(fileOffset(2 ** 52), 1)).toHaveLength(0);
    expect(source.read(fileOffset(3), 0)).toHaveLength(0);
  });

  it("takes a buffer as well", () => {
    expect(bytesSource(data.buffer).read(fileOffset(6), 2)).toEqual(Uint8Array.of(6, 7));
  });
});
