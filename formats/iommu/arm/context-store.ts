/** A device's table of context descriptors, as the driver keeps it. */
import { sizeOf } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { KhoError } from "../../../src/report/error.js";
import type { TableStore } from "../domain.js";
import { iommuAbi } from "../entry.js";
import { structureBytes } from "../structures.js";
import type { CdFields, ContextRoot } from "./contents.js";
import {
  addressField,
  armSmmuCd,
  armSmmuCdtabL1,
  cdBlockLg2,
  mostSubstreamBits,
  STE_S1FMT_64K_L2,
} from "./layout.js";

export interface ContextStore {
  readonly root: ContextRoot;
  /** False if there is no memory for the block that the descriptor is in. */
  write(ssid: number, fields: CdFields): boolean;
  /** Makes a descriptor zero, if it has memory. */
  clear(ssid: number): void;
  /** Gives back all memory. */
  free(): void;
}

const cdBytes = sizeOf(armSmmuCd, iommuAbi);
const l1Bytes = sizeOf(armSmmuCdtabL1, iommuAbi);
/** Descriptors of a block. */
const perBlock = 2 ** cdBlockLg2[STE_S1FMT_64K_L2];

/**
 * Makes an empty table for SubstreamIDs of `bits` bits: one array if it is no larger than a block, or if nothing else is
 * possible. Undefined if there is no memory for it.
 * @throws KhoError `usage` if `bits` is not 0 to 20
 */
export function newContextStore(
  store: TableStore,
  bits: number,
  twoLevelContexts: boolean,
): ContextStore | undefined {
  if (!(Number.isInteger(bits) && bits >= 0 && bits <= mostSubstreamBits))
    throw new KhoError("usage", `PASIDs of ${bits} bits`, {
      expected: `0 to ${mostSubstreamBits}`,
      actual: `${bits}`,
    });
  const twoLevel = twoLevelContexts && 2 ** bits > perBlock;
  const bytes = twoLevel ? (2 ** bits / perBlock) * l1Bytes : 2 ** bits * cdBytes;
  const base = store.allocate(bytes, twoLevel ? 1 : 0);
  if (base === undefined) return undefined;
  const blocks = new Map<number, PhysAddr>();

  /** The array that a descriptor is in. */
  const arrayOf = (ssid: number): PhysAddr | undefined =>
    twoLevel ? blocks.get(Math.floor(ssid / perBlock)) : base;
  const addBlock = (ssid: number): PhysAddr | undefined => {
    const index = Math.floor(ssid / perBlock);
    const block = store.allocate(perBlock * cdBytes, 0);
    if (block === undefined) return undefined;
    blocks.set(index, block);
    const pointer = { V: 1, L2Ptr: addressField(armSmmuCdtabL1, "L2Ptr", block) };
    store.write(physAddr(base + BigInt(index * l1Bytes)), structureBytes(armSmmuCdtabL1, pointer));
    return block;
  };
  const writeAt = (array: PhysAddr, ssid: number, fields: CdFields): void => {
    const index = twoLevel ? ssid % perBlock : ssid;
    store.write(physAddr(array + BigInt(index * cdBytes)), structureBytes(armSmmuCd, fields));
  };
  return {
    root: { base, bits, twoLevel },
    write(ssid, fields) {
      if (ssid >= 2 ** bits)
        throw new KhoError("usage", `the device has no PASID ${ssid}`, {
          expected: `up to ${2 ** bits - 1}`,
          actual: `${ssid}`,
        });
      const array = arrayOf(ssid) ?? addBlock(ssid);
      if (array === undefined) return false;
      writeAt(array, ssid, fields);
      return true;
    },
    clear(ssid) {
      const array = arrayOf(ssid);
      if (array !== undefined) writeAt(array, ssid, {});
    },
    free() {
      for (const block of blocks.values()) store.free(block, perBlock * cdBytes);
      store.free(base, bytes);
    },
  };
}
