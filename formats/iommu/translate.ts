import type { Struct } from "../../src/layout/index.js";
import { type Memory, type PhysAddr, physAddr } from "../../src/memory/index.js";
import { isKhoError } from "../../src/report/error.js";
import { addressOfFrame, frameOf, wordOf } from "./entry.js";
import { EMPTY, INVALID, itemFrames, itemLg2, LEAF, type PageTable, rootEntries } from "./format.js";
import { type Access, readWrite } from "./prot.js";

/** An entry that a translation looked at. */
export interface Step {
  readonly level: number;
  readonly index: number;
  /** Where the entry is. */
  readonly pa: PhysAddr;
  readonly word: bigint;
  readonly layout: Struct;
}

/** Where an address leads. */
export interface Translated {
  /** Entries from the top table on. */
  readonly steps: readonly Step[];
  /** Absent where the address leads nowhere. */
  readonly pa?: PhysAddr;
  /** Bytes of the page that it is in, from its first byte on. */
  readonly size?: bigint;
  readonly access: Access;
  /** Why it leads nowhere. */
  readonly fault?: "out-of-range" | "not-present" | "invalid-entry" | "table-absent" | "no-access";
}

/** Looks one address up, as hardware does. */
export function translate(memory: Memory, table: PageTable, iova: bigint): Translated {
  const { format, levels, vaBits, signExtend } = table;
  const steps: Step[] = [];
  const upper = BigInt.asUintN(64, iova) >> BigInt(vaBits - (signExtend ? 1 : 0));
  const all = (1n << BigInt(64 - vaBits + (signExtend ? 1 : 0))) - 1n;
  if (upper !== 0n && !(signExtend && upper === all)) return { steps, access: 0, fault: "out-of-range" };
  const at = frameOf(BigInt.asUintN(vaBits, iova));
  let access = readWrite;
  let level = levels - 1;
  let frame = frameOf(table.root);
  let entries = rootEntries(table);
  for (;;) {
    const index = Math.floor(at / itemFrames(format, level)) % entries;
    const pa = physAddr(addressOfFrame(frame) + BigInt(index * 8));
    let bytes: Uint8Array;
    try {
      bytes = memory.read(pa, 8);
    } catch (error) {
      if (!isKhoError(error, "memory-absent")) throw error;
      return { steps, access: 0, fault: "table-absent" };
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
    const lo = view.getInt32(0, true);
    const hi = view.getInt32(4, true);
    const kind = (lo & format.present) === 0 ? EMPTY : format.kindOf(lo, hi, level);
    const layout = kind === LEAF ? format.leafLayout(level) : format.tableLayout;
    steps.push({ level, index, pa, word: wordOf(lo, hi), layout });
    if (kind === EMPTY) return { steps, access: 0, fault: "not-present" };
    if (kind === INVALID) return { steps, access: 0, fault: "invalid-entry" };
    if (kind === LEAF) {
      access &= format.leafAccess(lo, hi);
      if (access === 0) return { steps, access, fault: "no-access" };
      const size = 1n << BigInt(format.leafLg2(lo, hi, level));
      const first = addressOfFrame(format.leafFrame(lo, hi, level)) & ~(size - 1n);
      return { steps, pa: physAddr(first | (iova & (size - 1n))), size, access };
    }
    access &= format.tableAccess(lo, hi);
    const below = format.childLevel(lo, hi, level);
    // Where a table skips levels, the bits of the address that these would have looked at have to be zero.
    const skipped = Math.floor((at % itemFrames(format, level)) / itemFrames(format, below + 1));
    if (skipped !== 0) return { steps, access: 0, fault: "not-present" };
    frame = format.childFrame(lo, hi);
    entries = 2 ** (itemLg2(format, below + 1) - itemLg2(format, below));
    level = below;
  }
}
