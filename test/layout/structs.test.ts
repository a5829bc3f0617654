import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Abi,
  array,
  bits,
  bytes,
  capacity,
  chars,
  decode,
  encode,
  encodeInto,
  isTerminated,
  memberOf,
  offsetOf,
  pa,
  padding,
  pageShift,
  pageSizes,
  sizeOf,
  struct,
  u8,
  u16,
  u32,
  u64,
} from "../../src/layout/index.js";
import { anySample, anyStruct, big, failure, hexBytes, little, source } from "./support.js";

const session = struct("luo_session_ser", { name: chars(64), files: pa, count: u64 }, source);
const inner = struct("inner", { a: u16, b: u8, pad: padding(1), c: u32 }, source);
const outer = struct(
  "outer",
  {
    tag: u8,
    pad: padding(7),
    one: inner,
    many: array(inner, 2),
    raw: bytes(3),
    text: chars(4),
    low: bits(u16, 9),
    high: bits(u16, 7),
    end: u64,
  },
  source,
);

describe("sizes and offsets", () => {
  it("of a session", () => {
    expect(sizeOf(session, little)).toBe(80);
    expect(offsetOf(session, "name", little)).toBe(0);
    expect(offsetOf(session, "files", little)).toBe(64);
    expect(offsetOf(session, "count", little)).toBe(72);
  });

  it("of nested, repeated and packed members", () => {
    expect(sizeOf(inner, little)).toBe(8);
    expect(offsetOf(inner, "c", little)).toBe(4);
    expect(sizeOf(outer, little)).toBe(49);
    const offsets = {
      tag: 0,
      pad: 1,
      one: 8,
      many: 16,
      raw: 32,
      text: 35,
      low: 39,
      high: 39,
      end: 41,
    } as const;
    for (const [name, offset] of Object.entries(offsets))
      expect(offsetOf(outer, name as keyof typeof offsets, little), name).toBe(offset);
    expect(memberOf(outer, "many", little).size).toBe(16);
  });

  it("says which member is unknown", () => {
    expect(failure(() => offsetOf(session, "nam" as "name", little))).toMatchObject({
      code: "unknown-layout",
    });
  });

  it.each([
    [4096, 12, 512, 511, 255],
    [16384, 14, 2048, 2047, 1023],
    [65536, 16, 8192, 8191, 4095],
  ])("follow pages of %d bytes", (pageSize, shift, words, list, pairs) => {
    const abi: Abi = { byteOrder: "little", pageSize };
    const bitmap = struct("bitmap", { preserve: array(u64, (a) => a.pageSize / 8) }, source);
    const chunk = struct(
      "chunk",
      { next: pa, phys: array(pa, (a) => a.pageSize / 8 - 1), end: bytes(0) },
      source,
    );
    const pair = struct("pair", { start: pa, bitmap: pa }, source);
    expect(pageShift(abi)).toBe(shift);
    expect(sizeOf(bitmap, abi)).toBe(pageSize);
    expect(sizeOf(chunk, abi)).toBe(pageSize);
    expect(offsetOf(chunk, "end", abi)).toBe(pageSize);
    expect(capacity(pair, pageSize - 16, abi)).toBe(pairs);
    const page = new Uint8Array(pageSize);
    page[pageSize - 8] = 7;
    expect(decode(bitmap, page, 0, abi).preserve).toHaveLength(words);
    expect(decode(chunk, page, 0, abi).phys).toHaveLength(list);
    expect(decode(chunk, page, 0, abi).phys[list - 1]).toBe(7n);
    expect(pageSizes).toContain(pageSize);
  });

  it("one layout serves several page sizes in turn", () => {
    const page = struct("page", { head: u64, rest: bytes((abi) => abi.pageSize - 8) }, source);
    for (const pageSize of [4096, 65536, 4096, 16384, 65536])
      expect(sizeOf(page, { byteOrder: "big", pageSize })).toBe(pageSize);
  });

  it("refuse lengths that are no whole number", () => {
    const thirds = struct("thirds", { items: array(u8, (abi) => abi.pageSize / 3) }, source);
    expect(failure(() => sizeOf(thirds, little)).code).toBe("layout-malformed");
    expect(failure(() => sizeOf(bytes(-1), little)).code).toBe("layout-malformed");
  });

  it("refuse names whose order an object does not keep", () => {
    expect(failure(() => sizeOf(struct("x", { b: u8, 1: u16 }, source), little)).code).toBe(
      "layout-malformed",
    );
    const inherited = struct("x", { ["__proto__"]: u8 }, source);
    expect(failure(() => sizeOf(inherited, little)).code).toBe("layout-malformed");
  });
});

describe("hand-written bytes", () => {
  const value = {
    tag: 0x7f,
    one: { a: 0x0102, b: 3, c: 0x04050607 },
    many: [
      { a: 0x1112, b: 0x13, c: 0x14151617 },
      { a: 0x2122, b: 0x23, c: 0x24252627 },
    ],
    raw: Uint8Array.of(9, 8, 7),
    text: "abc",
    low: 0x155,
    high: 0x2a,
    end: 0x3132333435363738n,
  };
  const onLittle = hexBytes(`
    7f 00000000000000
    0201 03 00 07060504
    1211 13 00 17161514
    2221 23 00 27262524
    090807 61626300 5555 3837363534333231`);
  const onBig = hexBytes(`
    7f 00000000000000
    0102 03 00 04050607
    1112 13 00 14151617
    2122 23 00 24252627
    090807 61626300 aaaa 3132333435363738`);

  it.each([
    ["little", little, onLittle],
    ["big", big, onBig],
  ] as const)("%s-endian", (_, abi, wanted) => {
    expect(encode(outer, value, abi)).toEqual(wanted);
    expect(decode(outer, wanted, 0, abi)).toEqual(value);
  });

  it("encodeInto leaves what is around alone and clears padding and the room behind text", () => {
    const bytes = new Uint8Array(55).fill(0xee);
    encodeInto(outer, value, bytes, 3, little);
    expect(bytes.subarray(3, 52)).toEqual(onLittle);
    expect([...bytes.subarray(0, 3), ...bytes.subarray(52)]).toEqual(new Array(6).fill(0xee));
  });

  it("what padding holds is not decoded", () => {
    const dirty = onLittle.slice();
    dirty.fill(0xff, 1, 8);
    expect(decode(outer, dirty, 0, little)).toEqual(value);
  });

  it("bytes are a view, all else is a copy", () => {
    const bytes = onLittle.slice();
    const decoded = decode(outer, bytes, 0, little);
    bytes.fill(0);
    expect(decoded.raw).toEqual(Uint8Array.of(0, 0, 0));
    expect(decoded.raw.buffer).toBe(bytes.buffer);
    expect({ ...decoded, raw: value.raw }).toEqual(value);
  });

  it("decoded values are plain objects with their own members", () => {
    const named = struct("named", { constructor: u8, toString: u8, hasOwnProperty: u8 }, source);
    const decoded = decode(named, Uint8Array.of(1, 2, 3), 0, little);
    expect(Object.entries(decoded)).toEqual([
      ["constructor", 1],
      ["toString", 2],
      ["hasOwnProperty", 3],
    ]);
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
    expect({}.constructor).toBe(Object);
  });
});

describe("errors", () => {
  const paths: [string, (value: Record<string, unknown>) => void, string][] = [
    ["a scalar", (v) => (v.tag = 256), "outer.tag"],
    ["a nested scalar", (v) => (v.one = { a: 1, b: -1, c: 1 }), "outer.one.b"],
    [
      "an element's scalar",
      (v) =>
        (v.many = [
          { a: 1, b: 1, c: 1 },
          { a: 1, b: 1, c: 2 ** 32 },
        ]),
      "outer.many[1].c",
    ],
    ["too few elements", (v) => (v.many = [{ a: 1, b: 1, c: 1 }]), "outer.many"],
    ["a missing element", (v) => (v.many = [{ a: 1, b: 1, c: 1 }, undefined]), "outer.many[1]"],
    ["too many bytes", (v) => (v.raw = new Uint8Array(4)), "outer.raw"],
    ["too few bytes", (v) => (v.raw = new Uint8Array(2)), "outer.raw"],
    ["text that is too long", (v) => (v.text = "abcde"), "outer.text"],
    ["text that is too long in UTF-8", (v) => (v.text = "äöü"), "outer.text"],
    ["text with a NUL in it", (v) => (v.text = "a\0b"), "outer.text"],
    ["text with half a character", (v) => (v.text = "a\ud83d"), "outer.text"],
    ["a bit field", (v) => (v.low = 512), "outer.low"],
    ["a negative bit field", (v) => (v.high = -1), "outer.high"],
    ["a fraction in a bit field", (v) => (v.high = 0.5), "outer.high"],
    ...["tag", "one", "many", "raw", "text", "low", "end"].map(
      (name): [string, (v: Record<string, unknown>) => void, string] => [
        `no ${name}`,
        (v) => delete v[name],
        `outer.${name}`,
      ],
    ),
  ];
  it.each(paths)("encode names the path of %s", (_, spoil, path) => {
    const element = { a: 1, b: 1, c: 1 };
    const value: Record<string, unknown> = {
      ...{
        tag: 1,
        one: element,
        many: [element, element],
        raw: new Uint8Array(3),
        text: "",
        low: 0,
        high: 0,
        end: 0n,
      },
    };
    expect(encode(outer, value as never, little)).toHaveLength(49);
    spoil(value);
    const error = failure(() => encode(outer, value as never, little));
    expect(error).toMatchObject({ code: "value-range", path });
    expect(error.message).toContain(path);
  });

  it("bytes-short names what was needed and what there is", () => {
    const error = failure(() => decode(session, new Uint8Array(100), 21, little));
    expect(error).toMatchObject({
      code: "bytes-short",
      length: 80,
      expected: "101 bytes",
      actual: "100 bytes",
    });
    expect(error.message).toBe("struct luo_session_ser needs 80 bytes at offset 21, there are 100");
    expect(decode(session, new Uint8Array(100), 20, little).count).toBe(0n);
    expect(failure(() => decode(u64, new Uint8Array(8), -1, little)).code).toBe("bytes-short");
    expect(failure(() => decode(u64, new Uint8Array(8), Number.NaN, little)).code).toBe("bytes-short");
    expect(failure(() => encodeInto(u32, 1, new Uint8Array(8), 5, little)).code).toBe("bytes-short");
  });

  it("a part of a buffer is not read past its end", () => {
    const bytes = new Uint8Array(16).subarray(4, 11);
    expect(failure(() => decode(u64, bytes, 0, little)).code).toBe("bytes-short");
  });
});

describe("text in fields", () => {
  const name = chars(8);
  it.each([
    ["00 00 00 00 00 00 00 00", ""],
    ["76 6d 30 00 00 00 00 00", "vm0"],
    ["76 6d 30 00 78 78 78 78", "vm0"],
    ["61 62 63 64 65 66 67 00", "abcdefg"],
    ["61 62 63 64 65 66 67 68", "abcdefgh"],
    ["00 62 63 64 65 66 67 68", ""],
  ])("%s is %o", (text, wanted) => {
    expect(decode(name, hexBytes(text), 0, little)).toBe(wanted);
  });

  it("fills its field to the last byte", () => {
    expect(encode(name, "abcdefgh", little)).toEqual(hexBytes("6162636465666768"));
    expect(failure(() => encode(name, "abcdefghi", little))).toMatchObject({
      expected: "at most 8 bytes",
      actual: "9 bytes",
    });
  });

  it("isTerminated looks at the field alone", () => {
    const bytes = hexBytes("6162 6300 6465");
    expect(isTerminated(bytes, 0, 3)).toBe(false);
    expect(isTerminated(bytes, 0, 4)).toBe(true);
    expect(isTerminated(bytes, 3, 1)).toBe(true);
    expect(isTerminated(bytes, 4, 2)).toBe(false);
  });

  it("any bytes that are zeros behind the first NUL come back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (raw) => {
        const end = raw.indexOf(0);
        if (end >= 0) raw.fill(0, end);
        const layout = chars(raw.length);
        expect(encode(layout, decode(layout, raw, 0, little), little)).toEqual(raw);
      }),
    );
  });
});

describe.each(["little", "big"] as const)("any layout, %s-endian", (byteOrder) => {
  const abi: Abi = { byteOrder, pageSize: 4096 };

  it("encodes to the bytes and decodes to the value that were worked out by hand", () => {
    fc.assert(
      fc.property(anySample, fc.nat(9), ({ layout, value, bytes }, at) => {
        const wanted = Uint8Array.from(bytes(byteOrder));
        expect(sizeOf(layout, abi)).toBe(wanted.length);
        expect(encode(layout, value as never, abi)).toEqual(wanted);
        const around = new Uint8Array(at + wanted.length + 3).fill(0xa5);
        around.set(wanted, at);
        expect(decode(layout, around, at, abi)).toEqual(value);
      }),
      { numRuns: 400 },
    );
  });

  it("decodes any bytes; encoding them again gives the same but for padding and the room behind text", () => {
    fc.assert(
      fc.property(anyStruct, fc.infiniteStream(fc.nat(255)), ({ layout }, stream) => {
        const raw = Uint8Array.from({ length: sizeOf(layout, abi) }, () => stream.next().value as number);
        const once = encode(layout, decode(layout, raw, 0, abi) as never, abi);
        expect(decode(layout, once, 0, abi)).toEqual(decode(layout, raw, 0, abi));
        expect(encode(layout, decode(layout, once, 0, abi) as never, abi)).toEqual(once);
      }),
      { numRuns: 200 },
    );
  });
});
