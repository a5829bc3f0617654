/** Stream tables: one array of entries, or arrays of them behind descriptors of a first level. */
import { littleWords, sizeOf } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import type { DeviceWords } from "../device.js";
import { halvesOf, iommuAbi, maskOf, unpackWord, wordOf } from "../entry.js";
import { isZero, reportBad, reportReserved } from "../structures.js";
import { addressFrom, armSmmuSte, armSmmuStrtabL1 } from "./layout.js";
import type { StructureReader } from "./reader.js";

export interface StreamTable {
  readonly base: PhysAddr;
  /** Bits of StreamIDs that it covers. */
  readonly bits: number;
  /** Base-2 logarithm of the streams that a descriptor of the first level decides over; absent for one array. */
  readonly split?: number;
}

/** A stream table entry with what leads to it. */
export interface FoundSte {
  readonly sid: number;
  /** The last are those of the entry. */
  readonly words: readonly DeviceWords[];
}

const steBytes = sizeOf(armSmmuSte, iommuAbi);
const l1Bytes = sizeOf(armSmmuStrtabL1, iommuAbi);

/** The entry of a stream; undefined where there is no memory for one. */
export function streamOf(
  reader: StructureReader,
  { base, bits, split }: StreamTable,
  sid: number,
  where: string,
): FoundSte | undefined {
  if (!(Number.isInteger(sid) && sid >= 0 && sid < 2 ** bits)) return undefined;
  if (split === undefined) return readSte(reader, base, sid, sid, [], where);
  const pa = physAddr(base + BigInt(Math.floor(sid / 2 ** split) * l1Bytes));
  const bytes = reader.read(pa, l1Bytes, where);
  const array = bytes && arrayAt(reader, pa, bytes, split, where);
  const index = sid % 2 ** split;
  if (!array || index >= array.count) return undefined;
  return readSte(reader, array.pa, index, sid, [array.l1], where);
}

function readSte(
  reader: StructureReader,
  base: PhysAddr,
  index: number,
  sid: number,
  before: readonly DeviceWords[],
  where: string,
): FoundSte | undefined {
  const pa = physAddr(base + BigInt(index * steBytes));
  const bytes = reader.read(pa, steBytes, where);
  return bytes && { sid, words: [...before, { layout: armSmmuSte, pa, bytes }] };
}

interface SteArray {
  readonly pa: PhysAddr;
  readonly count: number;
  readonly l1: DeviceWords;
}

/** The entries that a descriptor of the first level leads to, if any. */
function arrayAt(
  { ctx }: StructureReader,
  pa: PhysAddr,
  bytes: Uint8Array,
  split: number,
  where: string,
): SteArray | undefined {
  const [lo = 0, hi = 0] = littleWords(bytes);
  const { Span, L2Ptr } = unpackWord(armSmmuStrtabL1, wordOf(lo, hi));
  if (Span === 0) return undefined;
  const l1 = { layout: armSmmuStrtabL1, pa, bytes };
  reportReserved(ctx, l1, where);
  if (Span > split + 1) {
    reportBad(ctx, l1, where, "it leads to too many streams", `Span 0 to ${split + 1}`, `Span ${Span}`);
    return undefined;
  }
  const count = 2 ** (Span - 1);
  // Hardware takes the bits of the address that the size takes for zeros.
  const array = addressFrom(armSmmuStrtabL1, "L2Ptr", L2Ptr);
  return { pa: physAddr(array - (array % BigInt(count * steBytes))), count, l1 };
}

/** The entries of a table that are neither zero nor as the driver leaves those of unused streams, ascending. */
export function* streamsOf(
  reader: StructureReader,
  { base, bits, split }: StreamTable,
  where: string,
): Generator<FoundSte> {
  if (split === undefined) {
    yield* usedIn(reader, base, 2 ** bits, 0, [], where);
    return;
  }
  const descriptors = 2 ** Math.max(0, bits - split);
  const most = 2 ** Math.min(bits, split);
  for (const { at, bytes } of reader.pieces(base, descriptors, l1Bytes, where)) {
    const words = littleWords(bytes);
    for (let i = 0; i < bytes.length; i += l1Bytes) {
      if (words[i / 4] === 0) continue;
      if (!reader.look()) return;
      const pa = physAddr(base + BigInt(at + i));
      const array = arrayAt(reader, pa, bytes.subarray(i, i + l1Bytes), split, where);
      const first = ((at + i) / l1Bytes) * 2 ** split;
      if (array) yield* usedIn(reader, array.pa, Math.min(array.count, most), first, [array.l1], where);
    }
  }
}

/** V and Config, in the first word, and what they are for a stream that is not used: valid, and STE_CFG_ABORT is 0. */
const config = halvesOf(maskOf(armSmmuSte, "V", "Config")).lo;
const unused = halvesOf(maskOf(armSmmuSte, "V")).lo;

function* usedIn(
  reader: StructureReader,
  base: PhysAddr,
  count: number,
  first: number,
  before: readonly DeviceWords[],
  where: string,
): Generator<FoundSte> {
  for (const { at, bytes } of reader.pieces(base, count, steBytes, where)) {
    const words = littleWords(bytes);
    for (let i = 0; i < bytes.length; i += steBytes) {
      if ((words[i / 4]! & config) === unused) continue;
      const ste = bytes.subarray(i, i + steBytes);
      if (words[i / 4] === 0 && isZero(ste)) continue;
      const pa = physAddr(base + BigInt(at + i));
      yield { sid: first + (at + i) / steBytes, words: [...before, { layout: armSmmuSte, pa, bytes: ste }] };
    }
  }
}
