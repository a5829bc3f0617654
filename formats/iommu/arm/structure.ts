/** Structures of several words: judged and made. */
import {
  decode,
  encode,
  littleWords,
  resolve,
  type Struct,
  sizeOf,
  type ValueOf,
} from "../../../src/layout/index.js";
import { hex } from "../../../src/report/hex.js";
import type { DeviceWords } from "../device.js";
import { halvesOf, iommuAbi, maskOf } from "../entry.js";
import type { IommuContext } from "../walk.js";

const masks = new WeakMap<Struct, Int32Array>();

/** Which bits of a structure have to be zero, as 32-bit words. */
function reservedWords(layout: Struct): Int32Array {
  let words = masks.get(layout);
  if (!words) {
    words = new Int32Array(sizeOf(layout, iommuAbi) / 4);
    for (const { name, offset } of reservedMembers(layout)) {
      const { lo, hi } = halvesOf(maskOf(layout, name));
      words[offset / 4]! |= lo;
      if (hi !== 0) words[offset / 4 + 1]! |= hi;
    }
    masks.set(layout, words);
  }
  return words;
}

const reservedMembers = (layout: Struct) =>
  resolve(layout, iommuAbi).members.filter(({ name }) => name.startsWith("rsvd"));

/** Says which bits are set that have to be zero. The entry is read all the same: later SMMUs may give them a meaning. */
export function reportReserved(
  { report }: IommuContext,
  { layout, pa, bytes }: DeviceWords,
  path: string,
): void {
  const mask = reservedWords(layout);
  if (littleWords(bytes).every((word, i) => (word & mask[i]!) === 0)) return;
  const value = decode(layout, bytes, 0, iommuAbi) as Record<string, number | bigint>;
  const set = reservedMembers(layout).filter(({ name }) => BigInt(value[name]!) !== 0n);
  report("warning", "iommu-reserved-bits", `${layout.name} has bits set that have to be zero`, {
    path,
    pa,
    length: bytes.length,
    expected: "0",
    actual: set.map(({ name }) => `${name}=${hex(value[name]!)}`).join(" "),
  });
}

/** Says what hardware does not take. */
export function reportBad(
  { report }: IommuContext,
  { layout, pa, bytes }: DeviceWords,
  path: string,
  what: string,
  expected: string,
  actual: string,
): void {
  report("error", "iommu-bad-context", `${layout.name}: ${what}`, {
    path,
    pa,
    length: bytes.length,
    expected,
    actual,
  });
}

/** True if no bit is set. */
export const isZero = (bytes: Uint8Array): boolean => littleWords(bytes).every((word) => word === 0);

/**
 * The bytes of a structure; members that are not given are zero.
 * @throws KhoError `value-range` if a value does not fit its field
 */
export function structureBytes<S extends Struct>(layout: S, values: Partial<ValueOf<S>>): Uint8Array {
  const zeros = decode(layout, new Uint8Array(sizeOf(layout, iommuAbi)), 0, iommuAbi) as object;
  return encode(layout, { ...zeros, ...values } as ValueOf<S>, iommuAbi);
}
