/** A stream table, as the driver keeps it. */
import { sizeOf } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { KhoError } from "../../../src/report/error.js";
import type { TableStore } from "../domain.js";
import { iommuAbi, packWord } from "../entry.js";
import { structureBytes } from "../structures.js";
import { abortSte } from "./contents.js";
import {
  addressField,
  armSmmuSte,
  armSmmuStrtabL1,
  mostStreamBits,
  STRTAB_MAX_L1_ENTRIES,
  STRTAB_SPLIT,
  strtabBase,
} from "./layout.js";
import { cfgOf } from "./root.js";

export interface StreamStore {
  /** STRTAB_BASE. */
  readonly root: bigint;
  /** STRTAB_BASE_CFG. */
  readonly cfg: bigint;
  /**
   * Where the entry of a stream is; undefined if there is no memory for the array that it is in.
   * @throws KhoError `usage` for a StreamID that the table does not cover
   */
  entryAt(sid: number): PhysAddr | undefined;
}

const steBytes = sizeOf(armSmmuSte, iommuAbi);
const l1Bytes = sizeOf(armSmmuStrtabL1, iommuAbi);
const perArray = 2 ** STRTAB_SPLIT;

/**
 * Makes a table for StreamIDs of `sidBits` bits: one array if a descriptor of a first level would cover as many, or if nothing
 * else is possible. Undefined if there is no memory for it.
 * @throws KhoError `usage` if `sidBits` is not 0 to 32
 */
export function newStreamStore(
  store: TableStore,
  sidBits: number,
  twoLevelStreams: boolean,
): StreamStore | undefined {
  if (!(Number.isInteger(sidBits) && sidBits >= 0 && sidBits <= mostStreamBits))
    throw new KhoError("usage", `StreamIDs of ${sidBits} bits`, {
      expected: `0 to ${mostStreamBits}`,
      actual: `${sidBits}`,
    });
  const isLinear = !twoLevelStreams || sidBits <= STRTAB_SPLIT;
  const bits = isLinear ? sidBits : Math.min(sidBits, Math.log2(STRTAB_MAX_L1_ENTRIES) + STRTAB_SPLIT);

  /** An array of entries, none of which lets anything through. */
  const newArray = (count: number): PhysAddr | undefined => {
    const pa = store.allocate(count * steBytes, 0);
    if (pa === undefined) return undefined;
    const abort = structureBytes(armSmmuSte, abortSte);
    const bytes = new Uint8Array(count * steBytes);
    for (let at = 0; at < bytes.length; at += steBytes) bytes.set(abort, at);
    store.write(pa, bytes);
    return pa;
  };
  const base = isLinear ? newArray(2 ** bits) : store.allocate(2 ** (bits - STRTAB_SPLIT) * l1Bytes, 1);
  if (base === undefined) return undefined;

  /** Arrays behind the first level, by index. */
  const arrays = new Map<number, PhysAddr>();
  const addArray = (index: number): PhysAddr | undefined => {
    const array = newArray(perArray);
    if (array === undefined) return undefined;
    arrays.set(index, array);
    const L2Ptr = addressField(armSmmuStrtabL1, "L2Ptr", array);
    const bytes = structureBytes(armSmmuStrtabL1, { Span: STRTAB_SPLIT + 1, L2Ptr });
    store.write(physAddr(base + BigInt(index * l1Bytes)), bytes);
    return array;
  };
  return {
    root: packWord(strtabBase, { ADDR: addressField(strtabBase, "ADDR", base), RA: 1 }),
    cfg: cfgOf(isLinear ? { bits } : { bits, split: STRTAB_SPLIT }),
    entryAt(sid) {
      if (!(Number.isInteger(sid) && sid >= 0 && sid < 2 ** bits))
        throw new KhoError("usage", `there is no stream ${sid}`, {
          expected: `0 to ${2 ** bits - 1}`,
          actual: `${sid}`,
        });
      if (isLinear) return physAddr(base + BigInt(sid * steBytes));
      const index = Math.floor(sid / perArray);
      const array = arrays.get(index) ?? addArray(index);
      return array === undefined ? undefined : physAddr(array + BigInt((sid % perArray) * steBytes));
    },
  };
}
