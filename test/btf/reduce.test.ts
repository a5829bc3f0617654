import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, it } from "vitest";
import { encodeBtf } from "../../src/btf/encode.js";
import { readBtf } from "../../src/btf/read.js";
import { reduceBtf } from "../../src/btf/reduce.js";
import type { Btf, BtfType } from "../../src/btf/types.js";
import { abiOfBtf } from "../../src/compat/abi/source.js";
import { shapeOf, typeName } from "../../src/compat/abi/structure.js";
import { arrayOf, btfOf, int, nastyBytes, reference, structOf } from "./support.js";

const fixtures = new URL("../../fixtures/btf/", import.meta.url);
const typesOf = (btf: Btf): BtfType[] => Array.from({ length: btf.count }, (_, i) => btf.type(i + 1));
const kindsOf = (btf: Btf): string[] =>
  typesOf(btf).map((type) => `${type.kind} ${"name" in type ? type.name : ""}`.trim());

it.each(readdirSync(fixtures))("%s is reduced already, to the byte", (file) => {
  const bytes = new Uint8Array(readFileSync(new URL(file, fixtures)));
  const btf = readBtf(bytes);
  expect(reduceBtf(btf, [...abiOfBtf(btf).structures.keys()])).toEqual(bytes);
  expect(encodeBtf(typesOf(btf), btf.byteOrder)).toEqual(bytes);
});

it("what is kept says the same of itself", () => {
  const whole = abiOfBtf(readBtf(nastyBytes()));
  const small = abiOfBtf(readBtf(reduceBtf(readBtf(nastyBytes()), [...whole.structures.keys()])));
  expect([...small.structures.keys()]).toEqual([...whole.structures.keys()]);
  for (const [name, [before]] of whole.structures) {
    const [after] = small.structures.get(name)!;
    const facts = (structure: typeof before) =>
      structure!.members.map(({ name: member, bit, bits, type }) => [
        member,
        bit,
        bits,
        shapeOf(type),
        typeName(type),
      ]);
    expect(facts(after)).toEqual(facts(before));
  }
});

it("what structures point to keeps its name alone, and what they are made of is kept", () => {
  const btf = btfOf(
    structOf(
      "kept",
      40,
      ["other", 3, 0],
      ["own", 4, 64],
      ["inner", 5, 128],
      ["call", 7, 192],
      ["far", 11, 256],
    ),
    structOf("other", 4, ["x", 6, 0]),
    { kind: "PTR", type: 10 },
    { kind: "PTR", type: 1 },
    structOf("inner", 8, ["y", 6, 0]),
    int("int", 4, { signed: true }),
    { kind: "PTR", type: 8 },
    { kind: "FUNC_PROTO", type: 6, params: [{ name: "of", type: 3 }] },
    structOf("unrelated", 4, ["x", 6, 0]),
    reference("CONST", 2),
    { kind: "PTR", type: 3 },
  );
  const small = readBtf(reduceBtf(btf, ["kept", "no such structure"]));
  expect(kindsOf(small)).toEqual(
    expect.arrayContaining(["STRUCT kept", "STRUCT inner", "FWD other", "INT int"]),
  );
  expect(kindsOf(small)).not.toContain("STRUCT other");
  expect(kindsOf(small)).not.toContain("STRUCT unrelated");
  expect(typesOf(small).find(({ kind }) => kind === "FUNC_PROTO")).toEqual({
    kind: "FUNC_PROTO",
    type: 0,
    params: [],
  });
});

it("structures in a circle are kept once", () => {
  const btf = btfOf(
    structOf("a", 16, ["b", 3, 0], ["list", 5, 64]),
    structOf("b", 8, ["a", 4, 0]),
    { kind: "PTR", type: 2 },
    { kind: "PTR", type: 1 },
    arrayOf(4, 1),
  );
  expect(kindsOf(readBtf(reduceBtf(btf, ["a", "b"])))).toEqual([
    "STRUCT a",
    "STRUCT b",
    "PTR",
    "ARRAY",
    "PTR",
  ]);
});

/** Any types at all: references lead anywhere, also to what there is not. */
const anyName = fc.oneof(
  fc.constant(""),
  fc.string({ maxLength: 12 }).filter((text) => !text.includes("\0")),
);
const anyId = fc.integer({ min: 0, max: 12 });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const anyType: fc.Arbitrary<BtfType> = fc.oneof(
  fc.record({
    kind: fc.constant("INT" as const),
    name: anyName,
    size: u32,
    signed: fc.boolean(),
    char: fc.boolean(),
    bool: fc.boolean(),
    bits: fc.integer({ min: 0, max: 255 }),
    offset: fc.integer({ min: 0, max: 255 }),
  }),
  fc.record({ kind: fc.constant("PTR" as const), type: anyId }),
  fc.record({
    kind: fc.constantFrom("TYPEDEF" as const, "CONST" as const, "TYPE_TAG" as const),
    name: anyName,
    type: anyId,
    flag: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("ARRAY" as const), type: anyId, indexType: anyId, length: u32 }),
  fc.record({
    kind: fc.constantFrom("STRUCT" as const, "UNION" as const),
    name: anyName,
    size: u32,
    flag: fc.constant(false),
    members: fc.array(fc.record({ name: anyName, type: anyId, bitOffset: u32 }), { maxLength: 4 }),
  }),
  fc.record({
    kind: fc.constant("ENUM64" as const),
    name: anyName,
    size: u32,
    signed: fc.constant(false),
    values: fc.array(fc.record({ name: anyName, value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }), {
      maxLength: 3,
    }),
  }),
  fc.record({ kind: fc.constant("FWD" as const), name: anyName, union: fc.boolean() }),
);

it("whatever types there are come back as they were, in either byte order", () => {
  fc.assert(
    fc.property(
      fc.array(anyType, { maxLength: 12 }),
      fc.constantFrom("little" as const, "big" as const),
      (types, order) => {
        const bytes = encodeBtf(types, order);
        const btf = readBtf(bytes);
        expect(typesOf(btf)).toEqual(types);
        expect(encodeBtf(typesOf(btf), order)).toEqual(bytes);
      },
    ),
  );
});
