import fc from "fast-check";
import { expect } from "vitest";
import {
  type Abi,
  array,
  be,
  bits,
  bytes,
  chars,
  type Field,
  type Layout,
  le,
  padding,
  type Scalar,
  type Source,
  type Struct,
  s8,
  s16,
  s32,
  s64,
  struct,
  u8,
  u16,
  u32,
  u64,
} from "../../src/layout/index.js";
import { isKhoError, type KhoError } from "../../src/report/error.js";

export const little: Abi = { byteOrder: "little", pageSize: 4096 };
export const big: Abi = { byteOrder: "big", pageSize: 4096 };
export const source: Source = { header: "test/support.h", since: "6.16" };

/** Bytes from hex text with blanks: `56 34 12`. */
export const hexBytes = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replace(/\s/g, ""), "hex"));

/** The error that a call ends with; fails if it ends without. */
export function failure(call: () => unknown): KhoError {
  try {
    call();
  } catch (error) {
    if (isKhoError(error)) return error;
    throw error;
  }
  return expect.fail("the call did not throw");
}

/** `size` bytes of an integer, by division alone. */
export function integerBytes(value: bigint, size: number, order: "little" | "big"): number[] {
  const result: number[] = [];
  let rest = value < 0n ? value + 256n ** BigInt(size) : value;
  for (let i = 0; i < size; i++) {
    result.push(Number(rest % 256n));
    rest /= 256n;
  }
  return order === "little" ? result : result.reverse();
}

/** Bytes of a full unit of bit fields, spelled out bit by bit: first field lowest (little) or highest (big). */
export function bitFieldBytes(fields: { width: number; value: bigint }[], order: "little" | "big"): number[] {
  const texts = fields.map(({ width, value }) => value.toString(2).padStart(width, "0"));
  const ones = (order === "little" ? texts.reverse() : texts).join("");
  const result = (ones.match(/.{8}/g) ?? []).map((octet) => Number.parseInt(octet, 2));
  return order === "little" ? result.reverse() : result;
}

/** A layout, a value of it, and the bytes that they must be, worked out without the code under test. */
export interface Sample<L extends Layout = Layout> {
  readonly layout: L;
  readonly value: unknown;
  readonly bytes: (order: "little" | "big") => number[];
}

const scalars = [
  u8,
  s8,
  u16,
  u32,
  u64,
  s16,
  s32,
  s64,
  ...Object.values(le),
  ...Object.values(be),
] as Scalar[];
const arrayTypes: Record<string, new (length: number) => { [i: number]: number | bigint }> = {
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
  u64: BigUint64Array as never,
  s8: Int8Array,
  s16: Int16Array,
  s32: Int32Array,
  s64: BigInt64Array as never,
};

const integerOf = (scalar: Scalar): fc.Arbitrary<bigint> => {
  const span = 1n << BigInt(8 * scalar.bytes);
  const min = scalar.signed ? -span / 2n : 0n;
  return fc.bigInt({ min, max: min + span - 1n });
};
const inOrder = (scalar: Scalar, order: "little" | "big") =>
  scalar.order === "native" ? order : scalar.order;
const asValue = (scalar: Scalar, exact: bigint) => (scalar.bytes === 8 ? exact : Number(exact));

const scalarSample: fc.Arbitrary<Sample> = fc.constantFrom(...scalars).chain((layout) =>
  integerOf(layout).map((exact) => ({
    layout,
    value: asValue(layout, exact),
    bytes: (order) => integerBytes(exact, layout.bytes, inOrder(layout, order)),
  })),
);

const scalarArraySample: fc.Arbitrary<Sample> = fc.constantFrom(...scalars).chain((element) =>
  fc.array(integerOf(element), { maxLength: 6 }).map((exact) => {
    const value = new arrayTypes[element.name]!(exact.length);
    exact.forEach((item, i) => {
      value[i] = asValue(element, item);
    });
    return {
      layout: array(element, exact.length),
      value,
      bytes: (order) => exact.flatMap((item) => integerBytes(item, element.bytes, inOrder(element, order))),
    };
  }),
);

const charsSample: fc.Arbitrary<Sample> = fc
  .tuple(fc.string({ unit: "binary", maxLength: 8 }), fc.nat(4))
  .map(([text, room]) => {
    const value = text.replaceAll("\0", "");
    const filled = [...Buffer.from(value, "utf8")];
    return {
      layout: chars(filled.length + room),
      value,
      bytes: () => [...filled, ...new Array<number>(room).fill(0)],
    };
  });

const bytesSample: fc.Arbitrary<Sample> = fc
  .uint8Array({ maxLength: 9 })
  .map((value) => ({ layout: bytes(value.length), value, bytes: () => [...value] }));

/** Widths that fill a unit exactly, and a value for each. */
export const fullUnit = (unitBits: number): fc.Arbitrary<{ width: number; value: bigint }[]> =>
  fc
    .uniqueArray(fc.integer({ min: 1, max: unitBits - 1 }), { maxLength: 5 })
    .map((cuts) => [0, ...cuts.sort((a, b) => a - b), unitBits])
    .map((edges) => edges.slice(1).map((edge, i) => edge - edges[i]!))
    .chain((widths) =>
      fc.tuple(
        ...widths.map((width) =>
          fc.bigInt({ min: 0n, max: (1n << BigInt(width)) - 1n }).map((value) => ({ width, value })),
        ),
      ),
    );

/** Members that stand together: one field, some bytes of padding, or the bit fields of one unit. */
interface Group {
  readonly members: { field: Field; value?: unknown }[];
  readonly bytes: (order: "little" | "big") => number[];
}

const bitsGroup: fc.Arbitrary<Group> = fc.constantFrom(...scalars).chain((unit) =>
  fullUnit(unit.bytes * 8).map((fields) => ({
    members: fields.map(({ width, value }) => ({
      field: bits(unit, width),
      value: width > 53 ? value : Number(value),
    })),
    bytes: (order) => bitFieldBytes(fields, inOrder(unit, order)),
  })),
);
const paddingGroup: fc.Arbitrary<Group> = fc.integer({ min: 1, max: 5 }).map((length) => ({
  members: [{ field: padding(length) }],
  bytes: () => new Array<number>(length).fill(0),
}));

const { sample, structSample } = fc.letrec<{ sample: Sample; structSample: Sample<Struct> }>((tie) => {
  const fieldGroup: fc.Arbitrary<Group> = (tie("sample") as fc.Arbitrary<Sample>).map(
    ({ layout, value, bytes }) => ({
      members: [{ field: layout, value }],
      bytes,
    }),
  );
  return {
    sample: fc.oneof(
      { maxDepth: 3, depthIdentifier: "layout" },
      scalarSample,
      scalarArraySample,
      charsSample,
      bytesSample,
      (tie("structSample") as fc.Arbitrary<Sample>).map((one) => one),
      // Elements of one layout have values of one layout: the same value several times.
      fc.tuple(tie("structSample") as fc.Arbitrary<Sample>, fc.nat(3)).map(([one, count]) => ({
        layout: array(one.layout, count),
        value: new Array<unknown>(count).fill(one.value),
        bytes: (order: "little" | "big") => new Array<number[]>(count).fill(one.bytes(order)).flat(),
      })),
    ),
    structSample: fc
      .array(fc.oneof({ depthIdentifier: "layout", maxDepth: 3 }, paddingGroup, bitsGroup, fieldGroup), {
        maxLength: 6,
        depthIdentifier: "layout",
      })
      .map((groups) => {
        const fields: Record<string, Field> = {};
        const value: Record<string, unknown> = {};
        for (const [i, { members }] of groups.entries())
          for (const [k, member] of members.entries()) {
            fields[`m${i}_${k}`] = member.field;
            if (member.field.kind !== "padding") value[`m${i}_${k}`] = member.value;
          }
        return {
          layout: struct("generated", fields, source),
          value,
          bytes: (order: "little" | "big") => groups.flatMap((group) => group.bytes(order)),
        };
      }),
  };
});

export const anySample = sample;
export const anyStruct = structSample;
