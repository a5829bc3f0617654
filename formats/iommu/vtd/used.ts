import { littleWords } from "../../../src/layout/index.js";
import type { DeviceWords } from "../device.js";
import { maskOf } from "../entry.js";
import { contextEntry } from "./layout.js";

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
