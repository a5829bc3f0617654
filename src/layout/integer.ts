import { KhoError } from "../report/error.js";
import type { Abi } from "./abi.js";
import { isLittle, type Member } from "./resolve.js";

/** Where an integer member is, in the smallest unit that holds it: a bit field in one half of a u64 is in a u32. */
export interface Integer {
  /** Bytes from the start of the struct to its unit, and of the unit. */
  readonly offset: number;
  readonly bytes: 1 | 2 | 4 | 8;
  /** The unit's low byte comes first. */
  readonly little: boolean;
  /** Bits of the unit below it, and its own. */
  readonly shift: number;
  readonly width: number;
  readonly signed: boolean;
}

/**
 * The place of an integer member.
 * @throws KhoError `layout-malformed` for any other
 */
export function integerOf({ name, layout, offset, shift = 0 }: Member, abi: Abi): Integer {
  const of = layout.kind === "bits" ? layout.of : layout;
  if (of.kind !== "scalar") throw new KhoError("layout-malformed", `${name} is not an integer`);
  const little = isLittle(of, abi);
  const { bytes } = of;
  const width = layout.kind === "bits" ? layout.width : bytes * 8;
  // A bit field is unsigned whatever it is stored in.
  const signed = of.signed && layout.kind === "scalar";
  if (bytes === 8 && (shift >= 32 || shift + width <= 32)) {
    const isHigh = shift >= 32;
    return {
      offset: offset + (isHigh === little ? 4 : 0),
      bytes: 4,
      little,
      shift: shift % 32,
      width,
      signed,
    };
  }
  return { offset, bytes, little, shift, width, signed };
}

/** The bits of a field of up to 32 bits, in its place at 0. */
export const maskOf = (width: number): number => (width === 32 ? -1 : 2 ** width - 1);
