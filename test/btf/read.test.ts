import { describe, expect, it } from "vitest";
import { encodeBtf } from "../../src/btf/encode.js";
import { looksLikeBtf, readBtf } from "../../src/btf/read.js";
import { pointerSize, sizeOfType } from "../../src/btf/sizes.js";
import type { BtfType } from "../../src/btf/types.js";
import { structureOfBtf } from "../../src/compat/abi/from-btf.js";
import { flatMembers, isPacked } from "../../src/compat/abi/structure.js";
import { thrown } from "../image/expect.js";
import { arrayOf, btfOf, int, nastyBytes, reference, structOf } from "./support.js";

/** Offsets and sizes as pahole prints them of what the compiler made; bit fields as `bit:width`. */
const compiled: Record<string, { size: number; packed?: true; members: [name: string, place: string][] }> = {
  pointers_ser: {
    size: 64,
    members: [
      ["count", "0 8"],
      ["slots", "8 48"],
      ["release", "56 8"],
    ],
  },
  config_ser: {
    size: 328,
    members: [
      ["lock", "0 4"],
      ["cpus", "8 32"],
      ["inner", "40 256"],
      ["plain", "296 32"],
    ],
  },
  address_ser: {
    size: 16,
    members: [
      ["first", "0 8"],
      ["count", "8 8"],
    ],
  },
  odd_bits_ser: {
    size: 11,
    packed: true,
    members: [
      ["a", "0:3"],
      ["b", "3:30"],
      ["c", "5 1"],
      ["d", "48:40"],
    ],
  },
  even_bits_ser: {
    size: 16,
    members: [
      ["pfn", "0:52"],
      ["flags", "52:12"],
      ["index", "8 8"],
    ],
  },
  text_ser: {
    size: 34,
    packed: true,
    members: [
      ["name", "0 13"],
      ["moved", "13 4"],
      ["more", "17 4"],
      ["also_moved", "21 4"],
      ["even", "25 8"],
      ["byte", "33 1"],
    ],
  },
  shapes: {
    size: 80,
    members: [
      ["first", "0 1"],
      ["word", "4 4"],
      ["low", "4 2"],
      ["high", "6 2"],
      ["grid", "8 30"],
      ["colour", "40 4"],
      ["huge", "48 8"],
      ["restrict_me", "56 8"],
      ["yes", "512:1"],
      ["no", "513:1"],
      ["small", "65 1"],
      ["real", "72 8"],
      ["tail", "80 0"],
    ],
  },
};

describe("what a compiler made of nasty.c", () => {
  const btf = readBtf(nastyBytes());

  it.each(Object.entries(compiled))("struct %s", (name, { size, packed = false, members }) => {
    const [id] = btf.find("STRUCT", name);
    const structure = structureOfBtf(btf, id!);
    expect(structure.size).toBe(size);
    expect(isPacked(structure)).toBe(packed);
    const places = [...flatMembers(structure)].map(({ name: member, bit, bits, bitField }) => [
      member,
      bitField ? `${bit}:${bits}` : `${bit / 8} ${bits / 8}`,
    ]);
    expect(places).toEqual(members);
  });

  it("enumerations of 4 and of 8 bytes", () => {
    const values = (name: string) => {
      const found = Array.from({ length: btf.count }, (_, i) => btf.type(i + 1)).find(
        (type) => "name" in type && type.name === name,
      );
      return found && "values" in found
        ? [found.size, found.signed, found.values.map(({ value }) => value)]
        : [];
    };
    expect(values("colour")).toEqual([4, true, [0n, -1n, 70000n]]);
    expect(values("huge")).toEqual([8, false, [1n, 0x123456789abcdefn]]);
  });

  it("all structs that have a name", () => {
    expect(btf.structNames()).toEqual(
      expect.arrayContaining(["cpumask", "list_head", ...Object.keys(compiled)]),
    );
    expect(pointerSize(btf)).toBe(8);
  });
});

/** One of every kind, as it is numbered. */
const everyKind: readonly BtfType[] = [
  int("char", 1, { char: true, signed: true }),
  int("_Bool", 1, { bool: true }),
  { kind: "PTR", type: 0 },
  arrayOf(1, 7),
  structOf("outer", 32, ["inner", 6, 0], ["next", 3, 128]),
  { kind: "UNION", name: "choice", size: 16, flag: false, members: [{ name: "", type: 4, bitOffset: 0 }] },
  {
    kind: "STRUCT",
    name: "bits",
    size: 8,
    flag: true,
    members: [
      { name: "low", type: 1, bitOffset: 0, bitSize: 255 },
      { name: "high", type: 1, bitOffset: 0xffffff },
    ],
  },
  { kind: "ENUM", name: "sign", size: 4, signed: true, values: [{ name: "MINUS", value: -(2n ** 31n) }] },
  { kind: "ENUM", name: "plain", size: 4, signed: false, values: [{ name: "MOST", value: 2n ** 32n - 1n }] },
  { kind: "FWD", name: "page", union: false },
  { kind: "FWD", name: "either", union: true },
  reference("TYPEDEF", 1, "letter"),
  reference("VOLATILE", 12),
  reference("CONST", 13),
  reference("RESTRICT", 3),
  reference("TYPE_TAG", 1, "user"),
  {
    kind: "FUNC_PROTO",
    type: 0,
    params: [
      { name: "of", type: 3 },
      { name: "", type: 0 },
    ],
  },
  { kind: "FUNC", name: "run", type: 17, linkage: 1 },
  { kind: "VAR", name: "counter", type: 1, linkage: 1 },
  { kind: "DATASEC", name: ".data", size: 4096, variables: [{ type: 19, offset: 16, size: 1 }] },
  { kind: "FLOAT", name: "double", size: 8 },
  { kind: "DECL_TAG", name: "kfunc", type: 18, component: -1, flag: false },
  { kind: "DECL_TAG", name: "attribute", type: 5, component: 1, flag: true },
  {
    kind: "ENUM64",
    name: "huge",
    size: 8,
    signed: true,
    values: [
      { name: "LEAST", value: -(2n ** 63n) },
      { name: "MOST", value: 2n ** 63n - 1n },
    ],
  },
  { kind: "ENUM64", name: "more", size: 8, signed: false, values: [{ name: "ALL", value: 2n ** 64n - 1n }] },
];

describe.each(["little", "big"] as const)("%s-endian", (order) => {
  const bytes = encodeBtf(everyKind, order);
  const btf = readBtf(bytes);

  it("every kind comes back", () => {
    expect(btf.byteOrder).toBe(order);
    expect(btf.count).toBe(everyKind.length);
    for (const [i, type] of everyKind.entries()) expect(btf.type(i + 1)).toEqual(type);
  });

  it("a header that has grown is taken by its length", () => {
    const grown = new Uint8Array(bytes.length + 8);
    grown.set(bytes.subarray(0, 24));
    grown.set(bytes.subarray(24), 32);
    new DataView(grown.buffer).setUint32(4, 32, order === "little");
    expect(readBtf(grown).type(12)).toEqual(everyKind[11]);
  });

  it.each([
    ["a length of the header that is too small", 4, 20],
    ["a length of the header beyond the file", 4, 1 << 20],
    ["types beyond the file", 12, 0xfffffff0],
    ["strings beyond the file", 20, 0xfffffff0],
    ["strings that are empty", 20, 0],
    ["a record of a kind that there is not", 24 + 4, 31 << 24],
    ["a record of more parts than there are bytes", 24 + 4, (4 << 24) + 0xffff],
  ])("%s is refused", (_, at, value) => {
    const broken = Uint8Array.from(bytes);
    new DataView(broken.buffer).setUint32(at, value, order === "little");
    thrown(() => readBtf(broken), "btf-malformed");
  });

  it("a name outside of the strings is refused when it is looked at", () => {
    const broken = Uint8Array.from(bytes);
    new DataView(broken.buffer).setUint32(24, 0xffffffff, order === "little");
    const types = readBtf(broken);
    thrown(() => types.type(1), "btf-malformed");
    thrown(() => types.find("INT", "char"), "btf-malformed");
    expect(types.type(2)).toEqual(everyKind[1]);
  });

  it("types of a module are told from damage", () => {
    const module = Uint8Array.from(bytes);
    module[24 + new DataView(bytes.buffer).getUint32(12, order === "little")] = 0x78;
    expect(thrown(() => readBtf(module), "btf-split").message).toMatch(/module/);
  });
});

it("is recognised in either byte order and refused in no version but the first", () => {
  expect(looksLikeBtf(Uint8Array.of(0x9f, 0xeb, 1, 0))).toBe(true);
  expect(looksLikeBtf(Uint8Array.of(0xeb, 0x9f, 1, 0))).toBe(true);
  expect(looksLikeBtf(Uint8Array.of(0x9f))).toBe(false);
  expect(looksLikeBtf(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46))).toBe(false);
  const next = Uint8Array.from(encodeBtf([], "little"));
  expect(readBtf(next).count).toBe(0);
  next[2] = 2;
  thrown(() => readBtf(next), "btf-malformed");
  thrown(() => readBtf(next.subarray(0, 23)), "btf-malformed");
});

it("there is no type 0 and none behind the last", () => {
  const btf = btfOf(int("u8", 1));
  for (const id of [0, 2, -1, 0.5, 2 ** 32]) thrown(() => btf.type(id), "btf-malformed");
});

describe("sizes", () => {
  it.each<[string, BtfType[], number | "refused"]>([
    ["an integer", [int("u64", 8)], 8],
    ["a pointer, as long as unsigned long", [{ kind: "PTR", type: 0 }, int("long unsigned int", 4)], 4],
    ["an array of arrays", [arrayOf(2, 3), arrayOf(3, 5), int("u16", 2)], 30],
    ["an array of none", [arrayOf(2, 0), int("u16", 2)], 0],
    [
      "behind a typedef and qualifiers",
      [reference("TYPEDEF", 2, "t"), reference("CONST", 3), int("u32", 4)],
      4,
    ],
    ["void", [reference("CONST", 0)], 0],
    ["a function", [{ kind: "FUNC_PROTO", type: 0, params: [] }], 0],
    ["a typedef of itself", [reference("TYPEDEF", 1, "t")], "refused"],
    ["typedefs in a circle", [reference("TYPEDEF", 2, "a"), reference("CONST", 1)], "refused"],
    ["an array of itself", [arrayOf(1, 1)], "refused"],
    ["an array larger than BTF can say", [arrayOf(2, 0x20000000), int("u64", 8)], "refused"],
    [
      "arrays whose product overflows",
      [arrayOf(2, 0xffffffff), arrayOf(3, 0xffffffff), int("u8", 1)],
      "refused",
    ],
    ["a type that there is not", [reference("TYPEDEF", 9, "t")], "refused"],
  ])("%s", (_, types, size) => {
    const btf = btfOf(...types);
    if (size === "refused") thrown(() => sizeOfType(btf, 1), "btf-malformed");
    else expect(sizeOfType(btf, 1)).toBe(size);
  });
});

it("a bit field of the older form has the width of its integer", () => {
  const btf = btfOf(int("bits", 4, { bits: 5, offset: 2 }), structOf("old", 4, ["field", 1, 8]));
  expect(structureOfBtf(btf, 2).members).toMatchObject([{ name: "field", bit: 10, bits: 5, bitField: true }]);
});
