import fc from "fast-check";
import {
  type Abi,
  bits,
  type Field,
  le,
  padding,
  type Scalar,
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
import { big, little, source } from "./support.js";

/** An integer member, and where its bits are: worked out here, by bits counted from the start of the struct. */
export interface Place {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
  readonly order: "little" | "big";
  readonly shift: number;
  readonly width: number;
  readonly signed: boolean;
}

export interface Shape {
  readonly layout: Struct;
  readonly abi: Abi;
  readonly size: number;
  readonly places: readonly Place[];
}

const scalars = [u8, s8, u16, s16, u32, s32, u64, s64, le.u32, le.u64] as Scalar[];

/** Widths that fill a unit: one, two or three fields cut anywhere. */
const widthsOf = (room: number) =>
  fc
    .uniqueArray(fc.integer({ min: 1, max: room - 1 }), { maxLength: 2 })
    .map((cuts) => [0, ...cuts.sort((a, b) => a - b), room])
    .map((edges) => edges.slice(1).map((edge, i) => edge - edges[i]!));

type Part =
  | { kind: "scalar"; of: Scalar }
  | { kind: "bits"; of: Scalar; widths: number[] }
  | { kind: "padding"; length: number };

const anyPart: fc.Arbitrary<Part> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...scalars).map((of) => ({ kind: "scalar" as const, of })) },
  {
    weight: 4,
    arbitrary: fc
      .constantFrom(u64, u64, u32, u16, u8, s64, le.u64)
      .chain((of) =>
        widthsOf(of.bytes * 8).map((widths) => ({ kind: "bits" as const, of: of as Scalar, widths })),
      ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(1, 2, 4).map((length): Part => ({ kind: "padding", length })),
  },
);

/** Half of them are filled up to words of 4 bytes, as most of the kernel's are. */
export const anyShape: fc.Arbitrary<Shape> = fc
  .tuple(fc.array(anyPart, { minLength: 1, maxLength: 5 }), fc.constantFrom(little, big), fc.boolean())
  .map(([parts, abi, whole]) => shapeOf(parts, abi, whole));

function shapeOf(parts: readonly Part[], abi: Abi, whole: boolean): Shape {
  const fields: Record<string, Field> = {};
  const places: Place[] = [];
  let offset = 0;
  for (const part of parts) {
    const name = `m${Object.keys(fields).length}`;
    if (part.kind === "padding") {
      fields[name] = padding(part.length);
      offset += part.length;
      continue;
    }
    const { bytes } = part.of;
    const order = part.of.order === "native" ? abi.byteOrder : part.of.order;
    const common = { offset, bytes, order };
    if (part.kind === "scalar") {
      fields[name] = part.of;
      places.push({ name, ...common, shift: 0, width: bytes * 8, signed: part.of.signed });
    } else {
      let taken = 0;
      for (const [i, width] of part.widths.entries()) {
        fields[`${name}_${i}`] = bits(part.of, width);
        const shift = order === "little" ? taken : bytes * 8 - taken - width;
        places.push({ name: `${name}_${i}`, ...common, shift, width, signed: false });
        taken += width;
      }
    }
    offset += bytes;
  }
  if (whole && offset % 4 !== 0) {
    fields.rest = padding(4 - (offset % 4));
    offset += 4 - (offset % 4);
  }
  return { layout: struct("shape", fields, source) as Struct, abi, size: offset, places };
}

/** The value of a member, from its bytes by multiplication and division alone. */
export function exactly(
  bytes: Uint8Array,
  row: number,
  { offset, bytes: size, order, shift, width, signed }: Place,
) {
  const unit = [...bytes.subarray(row + offset, row + offset + size)];
  if (order === "little") unit.reverse();
  const whole = unit.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  const value = (whole / 2n ** BigInt(shift)) % 2n ** BigInt(width);
  return signed && value >= 2n ** BigInt(width - 1) ? value - 2n ** BigInt(width) : value;
}

export const arrayName = ({ width, signed }: Place): string =>
  width > 32 ? "Float64Array" : `${signed ? "Int" : "Uint"}${width <= 8 ? 8 : width <= 16 ? 16 : 32}Array`;

/** Bytes of rows: random ones, all ones, and numbers around 2^53 come up. */
export const someBytes = (length: number, seed: number): Uint8Array => {
  let state = seed | 1;
  return Uint8Array.from({ length }, () => {
    state = Math.imul(state, 1103515245) + 12345;
    const byte = (state >>> 16) & 0xff;
    return state % 5 === 0 ? 0xff : state % 7 === 0 ? 0 : byte;
  });
};

export const border = 2n ** 53n;
