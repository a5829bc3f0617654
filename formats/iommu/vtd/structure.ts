/** Structures of several words: taken out of tables, judged, and written. */
import {
  decode,
  encode,
  littleWords,
  type Member,
  resolve,
  type Struct,
  sizeOf,
  type ValueOf,
  view,
} from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { hex } from "../../../src/report/hex.js";
import type { DeviceWords } from "../device.js";
import { iommuAbi, maskOf } from "../entry.js";
import type { IommuContext } from "../walk.js";
import { contextEntry } from "./layout.js";

/** Bytes of memory and where they are. */
export interface Bytes {
  readonly pa: PhysAddr;
  readonly bytes: Uint8Array;
}

/** A structure with what it says, which is read where it is looked at. */
export interface Found<S extends Struct> extends DeviceWords {
  readonly layout: S;
  readonly value: Readonly<ValueOf<S>>;
}

/** Entry `index` of a table of structures. */
export function entryOf<S extends Struct>(layout: S, { pa, bytes }: Bytes, index: number): Found<S> {
  const size = sizeOf(layout, iommuAbi);
  const at = index * size;
  return {
    layout,
    pa: physAddr(pa + BigInt(at)),
    bytes: bytes.subarray(at, at + size),
    value: view(layout, bytes, at, iommuAbi),
  };
}

/** FPD is at the same place in all structures that have it. */
const faultsOff = Number(maskOf(contextEntry, "FPD"));

/**
 * Indices of the entries of a table that are not as the driver leaves unused ones: zero, or FPD alone. Ascending.
 * @param size bytes of an entry, a multiple of 8
 */
export function* usedEntries(bytes: Uint8Array, size: number): Generator<number> {
  const words = littleWords(bytes);
  const each = size / 4;
  for (let at = 0; at < words.length; at += each) {
    let any = words[at]! & ~faultsOff;
    for (let i = at + 1; i < at + each; i++) any |= words[i]!;
    if (any !== 0) yield at / each;
  }
}

/** True for an entry that is not as the driver leaves unused ones. */
export const isUsed = ({ bytes }: DeviceWords): boolean => !usedEntries(bytes, bytes.length).next().done;

const isReserved = ({ name }: Member): boolean => name.startsWith("rsvd");

/** By layout, the bits that have to be zero, in the order of memory. */
const reservedBits = new WeakMap<Struct, Int32Array>();

function reservedWords(layout: Struct): Int32Array {
  let words = reservedBits.get(layout);
  if (!words) {
    const bytes = new Uint8Array(sizeOf(layout, iommuAbi));
    const data = new DataView(bytes.buffer);
    for (const { offset, layout: field, shift = 0 } of resolve(layout, iommuAbi).members.filter(isReserved)) {
      const mask = BigInt.asUintN(field.kind === "bits" ? field.width : 64, -1n) << BigInt(shift);
      data.setBigUint64(offset, data.getBigUint64(offset, true) | mask, true);
    }
    reservedBits.set(layout, (words = littleWords(bytes)));
  }
  return words;
}

/** Says which bits are set that have to be zero. The entry is read all the same: later hardware may give them a meaning. */
export function reportReserved({ report }: IommuContext, found: Found<Struct>, path: string): void {
  const { layout, pa, bytes } = found;
  const words = littleWords(bytes);
  if (!reservedWords(layout).some((mask, i) => (words[i]! & mask) !== 0)) return;
  const value = found.value as Readonly<Record<string, number | bigint>>;
  const set = resolve(layout, iommuAbi)
    .members.filter(isReserved)
    .map(({ name }) => [name, value[name]!] as const)
    .filter(([, bits]) => Number(bits) !== 0);
  report("error", "iommu-reserved-bits", `${layout.name} at ${hex(pa)} has bits set that have to be zero`, {
    path,
    pa,
    length: bytes.length,
    expected: "0",
    actual: set.map(([name, bits]) => `${name}=${hex(bits)}`).join(" "),
  });
}

/** Says what is wrong with an entry that hardware does not take. */
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

/**
 * The bytes of a structure; members that are not given are zero.
 * @throws KhoError `value-range` if a value does not fit its field
 */
export function structureBytes<S extends Struct>(layout: S, values: Partial<ValueOf<S>>): Uint8Array {
  const zeros = decode(layout, new Uint8Array(sizeOf(layout, iommuAbi)), 0, iommuAbi) as object;
  return encode(layout, { ...zeros, ...values } as ValueOf<S>, iommuAbi);
}

/** A count of work that ends. */
export type Budget = () => boolean;

/** A budget of `limits.maxRecords` structures: false, and a finding the first time, once there are more. */
export function newBudget({ limits, report }: IommuContext): Budget {
  let spent = 0;
  return () => {
    if (spent++ < limits.maxRecords) return true;
    if (spent === limits.maxRecords + 1) {
      const most = `the unit has more than ${limits.maxRecords} entries and tables`;
      report("error", "limit-exceeded", most, { path: "devices" });
    }
    return false;
  };
}
