/** Structures of 64-bit words: found in memory, and judged. */
import {
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
import { iommuAbi } from "../entry.js";
import type { IommuContext } from "../walk.js";

/** A structure with what it says; a member is decoded when it is looked at. */
export interface Found<S extends Struct = Struct> extends DeviceWords {
  readonly layout: S;
  readonly value: Readonly<ValueOf<S>>;
}

export const found = <S extends Struct>(layout: S, pa: PhysAddr, bytes: Uint8Array): Found<S> => ({
  layout,
  pa,
  bytes,
  value: view(layout, bytes, 0, iommuAbi),
});

/** The bits of those members that `wanted` takes, as little-endian 32-bit words. All members are bit fields of 64-bit words. */
export function maskWords(layout: Struct, wanted: (name: string) => boolean): Int32Array {
  const bytes = new Uint8Array(sizeOf(layout, iommuAbi));
  const data = new DataView(bytes.buffer);
  for (const member of resolve(layout, iommuAbi).members)
    if (wanted(member.name))
      data.setBigUint64(member.offset, data.getBigUint64(member.offset, true) | maskOf(member), true);
  return littleWords(bytes);
}

const maskOf = ({ layout, shift = 0 }: Member): bigint =>
  layout.kind === "bits" ? ((1n << BigInt(layout.width)) - 1n) << BigInt(shift) : 0n;

export const isReserved = (name: string): boolean => name.startsWith("rsvd");

/** Members that have to be zero and are not. */
export const reservedIn = ({ layout, value }: Found): [name: string, bits: number | bigint][] =>
  resolve(layout, iommuAbi)
    .members.filter(({ name }) => isReserved(name))
    .map(({ name }): [string, number | bigint] => [name, value[name] as number | bigint])
    .filter(([, bits]) => BigInt(bits) !== 0n);

/** Says which members have bits that have to be zero. What else a structure says is taken all the same. */
export function reportReserved({ report }: IommuContext, of: Found, path: string): void {
  const { layout, pa, bytes } = of;
  const set = reservedIn(of);
  if (set.length === 0) return;
  report("error", "iommu-reserved-bits", `${layout.name} at ${hex(pa)} has bits set that have to be zero`, {
    path,
    pa,
    length: bytes.length,
    expected: set.map(([name]) => `${name}=0x0`).join(" "),
    actual: set.map(([name, bits]) => `${name}=${hex(bits)}`).join(" "),
  });
}

/** Bounds what a listing does: false, and a finding, once there is more of it than `limits.maxRecords`. */
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

/** Where the structure at an index of a table of them is. */
export const atIndex = (layout: Struct, table: PhysAddr, index: number): PhysAddr =>
  physAddr(table + BigInt(index * sizeOf(layout, iommuAbi)));
