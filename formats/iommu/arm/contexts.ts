/** Tables of context descriptors: one array, or blocks of them behind descriptors of a first level. */
import { littleWords, sizeOf, view } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import type { DeviceWords } from "../device.js";
import { halvesOf, iommuAbi, maskOf, unpackWord } from "../entry.js";
import type { PageTable } from "../format.js";
import { reportReserved } from "../structures.js";
import { addressFrom, armSmmuCd, armSmmuCdtabL1 } from "./layout.js";
import type { Cd } from "./page-tables.js";
import type { StructureReader } from "./reader.js";

export interface ContextTable {
  readonly base: PhysAddr;
  /** Bits of SubstreamIDs: S1CDMax. With 0 there is one descriptor, for requests without. */
  readonly bits: number;
  /** Base-2 logarithm of the descriptors in a block; absent for one array. */
  readonly blockLg2?: number;
  /** Stage 2, which translates the addresses of a guest's tables. */
  readonly parent?: PageTable;
}

/** A context descriptor with what leads to it. */
export interface FoundCd {
  readonly ssid: number;
  /** The last are those of the descriptor. */
  readonly words: readonly DeviceWords[];
  readonly cd: Cd;
}

const cdBytes = sizeOf(armSmmuCd, iommuAbi);
const l1Bytes = sizeOf(armSmmuCdtabL1, iommuAbi);
/** V, in the first word of either. */
const valid = halvesOf(maskOf(armSmmuCd, "V")).lo;
const validL1 = halvesOf(maskOf(armSmmuCdtabL1, "V")).lo;

/** The descriptor of a SubstreamID; undefined where there is no memory for one. */
export function contextOf(
  reader: StructureReader,
  table: ContextTable,
  ssid: number,
  path: string,
): FoundCd | undefined {
  const { base, bits, blockLg2, parent } = table;
  if (!(Number.isInteger(ssid) && ssid >= 0 && ssid < 2 ** bits)) return undefined;
  if (blockLg2 === undefined) return readCd(reader, table, base, ssid, ssid, [], path);
  const pa = physAddr(base + BigInt(Math.floor(ssid / 2 ** blockLg2) * l1Bytes));
  const bytes = reader.read(pa, l1Bytes, path, parent);
  const block = bytes && blockAt(reader, table, pa, bytes, path);
  return block && readCd(reader, table, block.pa, ssid % 2 ** blockLg2, ssid, [block.l1], path);
}

function readCd(
  reader: StructureReader,
  { parent }: ContextTable,
  base: PhysAddr,
  index: number,
  ssid: number,
  before: readonly DeviceWords[],
  path: string,
): FoundCd | undefined {
  const pa = physAddr(base + BigInt(index * cdBytes));
  const bytes = reader.read(pa, cdBytes, path, parent);
  return bytes && found(ssid, before, reader.real(pa, parent), bytes);
}

function found(ssid: number, before: readonly DeviceWords[], pa: PhysAddr, bytes: Uint8Array): FoundCd {
  const words = [...before, { layout: armSmmuCd, pa, bytes }];
  return { ssid, words, cd: view(armSmmuCd, bytes, 0, iommuAbi) };
}

interface Block {
  readonly pa: PhysAddr;
  readonly l1: DeviceWords;
}

/** The block that a descriptor of the first level leads to, if any. */
function blockAt(
  reader: StructureReader,
  { parent }: ContextTable,
  pa: PhysAddr,
  bytes: Uint8Array,
  path: string,
): Block | undefined {
  const { V, L2Ptr } = unpackWord(armSmmuCdtabL1, wordIn(bytes));
  if (!V) return undefined;
  const l1 = { layout: armSmmuCdtabL1, pa: reader.real(pa, parent), bytes };
  reportReserved(reader.ctx, l1, path);
  return { pa: addressFrom(armSmmuCdtabL1, "L2Ptr", L2Ptr), l1 };
}

const wordIn = (bytes: Uint8Array): bigint =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(0, true);

/** The valid descriptors of a table, ascending. */
export function* contextsOf(reader: StructureReader, table: ContextTable, path: string): Generator<FoundCd> {
  const { base, bits, blockLg2, parent } = table;
  if (blockLg2 === undefined) {
    yield* validIn(reader, table, base, 2 ** bits, 0, [], path);
    return;
  }
  const perBlock = 2 ** Math.min(bits, blockLg2);
  const blocks = 2 ** (bits - Math.log2(perBlock));
  for (const { at, bytes } of reader.pieces(base, blocks, l1Bytes, path, parent)) {
    const words = littleWords(bytes);
    for (let i = 0; i < bytes.length; i += l1Bytes) {
      if ((words[i / 4]! & validL1) === 0) continue;
      if (!reader.look()) return;
      const descriptor = bytes.subarray(i, i + l1Bytes);
      const block = blockAt(reader, table, physAddr(base + BigInt(at + i)), descriptor, path);
      const first = ((at + i) / l1Bytes) * 2 ** blockLg2;
      if (block) yield* validIn(reader, table, block.pa, perBlock, first, [block.l1], path);
    }
  }
}

function* validIn(
  reader: StructureReader,
  { parent }: ContextTable,
  base: PhysAddr,
  count: number,
  first: number,
  before: readonly DeviceWords[],
  path: string,
): Generator<FoundCd> {
  for (const { at, bytes } of reader.pieces(base, count, cdBytes, path, parent)) {
    const words = littleWords(bytes);
    for (let i = 0; i < bytes.length; i += cdBytes) {
      if ((words[i / 4]! & valid) === 0) continue;
      const pa = reader.real(physAddr(base + BigInt(at + i)), parent);
      yield found(first + (at + i) / cdBytes, before, pa, bytes.subarray(i, i + cdBytes));
    }
  }
}
