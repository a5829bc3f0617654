/** What a stream table tells about its form where STRTAB_BASE_CFG does not. */
import { offsetOf, sizeOf, view } from "../../../src/layout/index.js";
import { type Memory, type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { KhoError } from "../../../src/report/error.js";
import { hex } from "../../../src/report/hex.js";
import { frameLg2, iommuAbi } from "../entry.js";
import { isZero } from "../structures.js";
import type { IommuContext } from "../walk.js";
import {
  addressFrom,
  armSmmuSte,
  armSmmuStrtabL1,
  STE_CFG_ABORT,
  STE_CFG_BYPASS,
  STE_CFG_S1_TRANS,
  STRTAB_MAX_L1_ENTRIES,
  STRTAB_SPLIT,
} from "./layout.js";
import type { StreamTable } from "./stream-table.js";

const steBytes = sizeOf(armSmmuSte, iommuAbi);
const l1Bytes = sizeOf(armSmmuStrtabL1, iommuAbi);
const pageBytes = 2 ** frameLg2;
/** Linux uses no word of an entry from here on. */
const usedBytes = offsetOf(armSmmuSte, "ign256", iommuAbi);
/** Largest array that is considered: one of so many bits is 64 MiB large already. */
const mostLinearBits = 20;

/**
 * Takes a table for what Linux would have made of it. It leaves no entry of an array zero and no bypassing one with a context
 * pointer, so that an array and a first level, whose descriptors look like that, cannot be mistaken for each other.
 * @throws KhoError `iommu-root-malformed` if it is neither
 */
export function guessStreamTable(ctx: IommuContext, base: PhysAddr): StreamTable {
  const entries = countWhile(ctx.memory, base, steBytes, 2 ** mostLinearBits, looksLikeSte);
  if (entries > 0) {
    const bits = Math.floor(Math.log2(entries));
    guessed(
      ctx,
      base,
      `an array of ${2 ** bits} entries`,
      `${entries} stream table entries one behind the other`,
    );
    return { base, bits };
  }
  const descriptors = countWhile(ctx.memory, base, l1Bytes, STRTAB_MAX_L1_ENTRIES, (bytes, at) =>
    looksLikeL1(ctx.memory, bytes, at),
  );
  if (descriptors === 0)
    throw new KhoError("iommu-root-malformed", `there is no stream table at ${hex(base)}`, {
      path: "root",
      pa: base,
      length: steBytes,
      expected: "a stream table entry, or the descriptor of a first level",
      actual: ctx.memory.has(base, l1Bytes) ? "neither" : "not captured",
    });
  const bits = Math.floor(Math.log2(descriptors)) + STRTAB_SPLIT;
  guessed(ctx, base, `the first level of two`, `${descriptors} descriptors that are zero or lead to entries`);
  return { base, bits, split: STRTAB_SPLIT };
}

const guessed = ({ report }: IommuContext, pa: PhysAddr, what: string, actual: string): void =>
  report("info", "iommu-mode-guessed", `without STRTAB_BASE_CFG the stream table is taken for ${what}`, {
    path: "root",
    pa,
    expected: "STRTAB_BASE_CFG",
    actual,
  });

/** How many structures from `pa` on, at most `most`, are there and look right. */
function countWhile(
  memory: Memory,
  pa: PhysAddr,
  size: number,
  most: number,
  looksRight: (bytes: Uint8Array, at: number) => boolean,
): number {
  for (let count = 0; count < most; ) {
    const here = physAddr(pa + BigInt(count * size));
    const room = pageBytes - Number(here % BigInt(pageBytes));
    const wanted = Math.min(room, (most - count) * size);
    // A capture can end with the table, in the middle of a page.
    const length = memory.has(here, wanted) ? wanted : size;
    if (!memory.has(here, length)) return count;
    const bytes = memory.read(here, length);
    for (let at = 0; at < length; at += size, count++) if (!looksRight(bytes, at)) return count;
  }
  return most;
}

/** True for a valid entry of a known kind, with nothing in it that this kind does not have. */
function looksLikeSte(bytes: Uint8Array, at: number): boolean {
  const ste = view(armSmmuSte, bytes, at, iommuAbi);
  if (ste.V === 0 || ste.rsvd52 !== 0) return false;
  if (!isZero(bytes.subarray(at + usedBytes, at + steBytes))) return false;
  const { Config } = ste;
  if (Config >= STE_CFG_S1_TRANS) return true;
  const hasContexts = ste.S1Fmt !== 0 || ste.S1ContextPtr !== 0 || ste.S1CDMax !== 0;
  return (Config === STE_CFG_ABORT || Config === STE_CFG_BYPASS) && !hasContexts;
}

/** True for a descriptor as Linux writes it: zero, or of as many entries as it has, the first of which is there. */
function looksLikeL1(memory: Memory, bytes: Uint8Array, at: number): boolean {
  const { Span, rsvd5, L2Ptr, rsvd52 } = view(armSmmuStrtabL1, bytes, at, iommuAbi);
  if (rsvd5 !== 0 || rsvd52 !== 0) return false;
  if (Span === 0 && L2Ptr === 0) return true;
  if (Span !== STRTAB_SPLIT + 1 || L2Ptr === 0) return false;
  const pa = addressFrom(armSmmuStrtabL1, "L2Ptr", L2Ptr);
  return memory.has(pa, steBytes) && looksLikeSte(memory.read(pa, steBytes), 0);
}
