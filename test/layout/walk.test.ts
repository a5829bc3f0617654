import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  array,
  bits,
  chars,
  decode,
  type Leaf,
  padding,
  sizeOf,
  struct,
  u8,
  u16,
  u32,
  u64,
  walk,
} from "../../src/layout/index.js";
import { anySample, big, failure, hexBytes, little, source } from "./support.js";

const inner = struct("inner", { a: u16, pad: padding(2) }, source);
const outer = struct(
  "outer",
  { pfn: bits(u32, 20), flags: bits(u32, 12), many: array(inner, 2), words: array(u16, 2), name: chars(2) },
  source,
);

describe("walk", () => {
  it("names each innermost field with its place and value", () => {
    const bytes = hexBytes("ee  56341200  0100ffff 0200ffff  0300 0400  6100");
    const leaves = [...walk(outer, bytes, 1, little)].map(({ path, offset, size, bit, value }) => [
      ...[path, offset, size, value],
      ...(bit ? [bit.shift, bit.width] : []),
    ]);
    expect(leaves).toEqual([
      ["pfn", 1, 4, 0x23456, 0, 20],
      ["flags", 1, 4, 1, 20, 12],
      ["many[0].a", 5, 2, 1],
      ["(padding)", 7, 2, undefined],
      ["many[1].a", 9, 2, 2],
      ["(padding)", 11, 2, undefined],
      ["words[0]", 13, 2, 3],
      ["words[1]", 15, 2, 4],
      ["name", 17, 2, "a"],
    ]);
    expect([...walk(outer, bytes, 1, big)].slice(0, 2).map((leaf) => [leaf.path, leaf.bit?.shift])).toEqual([
      ["pfn", 12],
      ["flags", 0],
    ]);
  });

  it("of an array and of a single scalar", () => {
    const bytes = hexBytes("0102 0304");
    expect([...walk(array(u16, 2), bytes, 0, big)].map(({ path, value }) => [path, value])).toEqual([
      ["[0]", 0x0102],
      ["[1]", 0x0304],
    ]);
    expect([...walk(u8, bytes, 3, big)]).toEqual([{ path: "", offset: 3, size: 1, layout: u8, value: 4 }]);
  });

  it("tiles any layout without gap or overlap, and every leaf is what decode gives", () => {
    fc.assert(
      fc.property(
        anySample,
        fc.constantFrom(little, big),
        fc.nat(5),
        fc.infiniteStream(fc.nat(255)),
        ({ layout }, abi, at, stream) => {
          const size = sizeOf(layout, abi);
          const bytes = Uint8Array.from({ length: at + size + 2 }, () => stream.next().value as number);
          const decoded = decode(layout, bytes, at, abi);
          let position = at;
          /** The bits of the unit at `position` that leaves have named so far. */
          let named = 0n;
          for (const leaf of walk(layout, bytes, at, abi)) {
            expect(leaf.offset, leaf.path).toBe(position);
            if (leaf.bit) {
              const mask = ((1n << BigInt(leaf.bit.width)) - 1n) << BigInt(leaf.bit.shift);
              expect(named & mask, leaf.path).toBe(0n);
              named |= mask;
              if (named !== (1n << BigInt(8 * leaf.size)) - 1n) continue;
            } else expect(named, leaf.path).toBe(0n);
            named = 0n;
            position += leaf.size;
          }
          expect(named).toBe(0n);
          expect(position).toBe(at + size);
          for (const leaf of walk(layout, bytes, at, abi))
            if (leaf.layout.kind === "padding")
              expect(leaf).toMatchObject({ path: "(padding)", value: undefined });
            else expect(leaf.value, leaf.path).toEqual(valueAt(decoded, leaf));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("does no more than is asked of it", () => {
    const large = array(u64, 1 << 20);
    const first = walk(large, new Uint8Array(8 << 20), 0, little).next();
    expect((first.value as Leaf).path).toBe("[0]");
  });

  it("throws bytes-short at the first step", () => {
    const leaves = walk(outer, new Uint8Array(17), 0, little);
    expect(failure(() => leaves.next()).code).toBe("bytes-short");
  });
});

/** Follows a path such as `many[1].a` through a decoded value. */
function valueAt(whole: unknown, { path }: Leaf): unknown {
  let value = whole;
  for (const step of path.match(/[^.[\]]+/g) ?? []) value = (value as Record<string, unknown>)[step];
  return value;
}
