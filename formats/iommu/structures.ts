/** Structures of 64-bit words that lead to page tables: found in memory, judged, and made. */
import {
  decode,
  encode,
  littleWords,
  resolve,
  type Struct,
  sizeOf,
  type ValueOf,
  view,
} from "../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../src/memory/index.js";
import { hex } from "../../src/report/hex.js";
import type { DeviceWords } from "./device.js";
import { halvesOf, iommuAbi, isReserved, maskOf } from "./entry.js";
import type { IommuContext } from "./walk.js";

/** Bytes of memory and where they are. */
export interface Bytes {
  readonly pa: PhysAddr;
  readonly bytes: Uint8Array;
}

/** A structure with what it says; a member is decoded when it is looked at. */
export interface Found<S extends Struct = Struct> extends DeviceWords {
  readonly layout: S;
  readonly value: Readonly<ValueOf<S>>;
}

/** The structure that some bytes begin with. */
export const found = <S extends Struct>(layout: S, pa: PhysAddr, bytes: Uint8Array): Found<S> => ({
  layout,
  pa,
  bytes: bytes.subarray(0, sizeOf(layout, iommuAbi)),
  value: view(layout, bytes, 0, iommuAbi),
});

/** Where the structure at an index of a table of them is. */
export const atIndex = (layout: Struct, table: PhysAddr, index: number): PhysAddr =>
  physAddr(table + BigInt(index * sizeOf(layout, iommuAbi)));

/** Entry `index` of a table of structures. */
export const entryOf = <S extends Struct>(layout: S, { pa, bytes }: Bytes, index: number): Found<S> =>
  found(layout, atIndex(layout, pa, index), bytes.subarray(index * sizeOf(layout, iommuAbi)));

/** The bits of those members that `wanted` takes, as little-endian 32-bit words. All members are bit fields of 64-bit words. */
export function maskWords(layout: Struct, wanted: (name: string) => boolean): Int32Array {
  const words = new Int32Array(sizeOf(layout, iommuAbi) / 4);
  for (const { name, offset, size } of resolve(layout, iommuAbi).members) {
    if (!wanted(name)) continue;
    const { lo, hi } = halvesOf(maskOf(layout, name));
    words[offset / 4]! |= lo;
    if (size > 4) words[offset / 4 + 1]! |= hi;
  }
  return words;
}

/** By layout, the bits that have to be zero. */
const reservedBits = new WeakMap<Struct, Int32Array>();

function reservedWords(layout: Struct): Int32Array {
  let words = reservedBits.get(layout);
  if (!words) reservedBits.set(layout, (words = maskWords(layout, isReserved)));
  return words;
}

/** Members that have to be zero and are not. */
export function reservedIn({ layout, bytes }: DeviceWords): [name: string, bits: number | bigint][] {
  const mask = reservedWords(layout);
  if (littleWords(bytes).every((word, i) => (word & mask[i]!) === 0)) return [];
  const value = decode(layout, bytes, 0, iommuAbi) as Readonly<Record<string, number | bigint>>;
  return Object.entries(value).filter(([name, bits]) => isReserved(name) && BigInt(bits) !== 0n);
}

/**
 * Says which members have bits that have to be zero. What else a structure says is taken all the same: later hardware may
 * give them a meaning.
 */
export function reportReserved({ report }: IommuContext, of: DeviceWords, path: string): void {
  const set = reservedIn(of);
  if (set.length === 0) return;
  const { layout, pa, bytes } = of;
  report("error", "iommu-reserved-bits", `${layout.name} at ${hex(pa)} has bits set that have to be zero`, {
    path,
    pa,
    length: bytes.length,
    expected: "0",
    actual: set.map(([name, bits]) => `${name}=${hex(bits)}`).join(" "),
  });
}

/** Says what is wrong with a structure that hardware does not take. */
export function reportBad(
  { report }: IommuContext,
  { layout, pa, bytes }: DeviceWords,
  path: string,
  what: string,
  expected: string,
  actual: string,
): void {
  report("error", "iommu-bad-context", `${layout.name} at ${hex(pa)}: ${what}`, {
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

/** Bounds what a listing does: false, and a finding the first time, once there is more of it than `limits.maxRecords`. */
export type Budget = () => boolean;

export function newBudget({ limits, report }: IommuContext): Budget {
  let spent = 0;
  return () => {
    if (spent++ < limits.maxRecords) return true;
    if (spent === limits.maxRecords + 1)
      report("error", "limit-exceeded", `more than ${limits.maxRecords} devices, PASIDs and tables of them`, {
        path: "devices",
      });
    return false;
  };
}
