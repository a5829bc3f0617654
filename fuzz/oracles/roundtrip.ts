/** What was decoded can be written, and reads as it was. */
import { bootParamsSize } from "../../formats/kho/handoff.js";
import { handoffSize } from "../../formats/kho/handoff-encode.js";
import { fail } from "../../src/fuzz/finding.js";
import { encodeHandover } from "../../src/handover/encode.js";
import { type Decoded, decodeHandover, type Handover } from "../../src/handover/index.js";
import { structureRanges } from "../../src/handover/pack-ranges.js";
import { placedAs } from "../../src/handover/placement.js";
import { type Memory, type MemoryRange, physAddr, sparseMemory } from "../../src/memory/index.js";
import { mergedRanges, rangesIn } from "../../src/memory/ranges.js";
import type { Code } from "../../src/report/codes.js";
import { frameSize } from "../mutate/core.js";
import { differenceOf } from "./equal.js";
import { guarded } from "./errors.js";
import type { Opened } from "./open.js";

/** True for a handover that nobody has anything to say against. */
export const isSound = ({ findings }: Decoded): boolean =>
  findings.every(({ severity }) => severity === "info");

/**
 * Writes a handover over what it was decoded from, and reads it again. Bytes can differ where no reader looks, and trees
 * in how they are laid out; a machine's own bytes are compared to the last one, see machine.ts.
 */
export function checkRoundtrip({ image, options }: Opened, decoded: Decoded): void {
  const { memory } = image;
  const { handover, structures } = decoded;
  if (memory.ranges.length === 0 || !areApart(decoded, options.handoff ?? 0n)) return;
  const { value: encoded } = guarded("encode", () => encodeHandover(handover, placedAs(structures)));
  const changed = encoded && isWithin(encoded.written, structureRanges(decoded)) && copyOf(memory);
  if (!changed) return;
  for (const { pa, size } of encoded.written) changed.write(pa, encoded.memory.read(pa, Number(size)));
  const again = guarded("decode again", () =>
    decodeHandover({ ...image, memory: changed }, { ...options, mode: "forensic" }),
  );
  if (again.error)
    fail("roundtrip", `what was written cannot be read: ${again.error.code}, ${again.error.message}`);
  const difference = differenceOf(compared(handover), compared(again.value.handover));
  if (difference !== undefined) fail("roundtrip", `written and read again: ${difference}`);
}

/** A handover without what differs for a tree that another tool laid out. */
const compared = (handover: Handover): unknown => ({
  ...handover,
  subtrees: handover.subtrees.map(({ name, pa, kind, blob, size }) =>
    kind === "unknown" ? { name, pa, kind, blob, size } : { name, pa, kind },
  ),
});

/** How decoding says that two structures are one. */
const shared: ReadonlySet<Code> = new Set([
  "structure-reused",
  "map-cycle",
  "block-list-cycle",
  "limit-exceeded",
]);

/** True if nothing is written over anything else: no structure over another, nor over what leads to them. */
function areApart({ handover, structures, findings }: Decoded, handoff: bigint): boolean {
  if (findings.some(({ code }) => shared.has(code))) return false;
  const ranges = structureRanges({ handover, structures }).slice(0, structures.length);
  const { recordPa, scratchPa, scratchSize } = handover.handoff;
  const sorted = ranges.sort((a, b) => (a.pa < b.pa ? -1 : 1));
  const boot = [
    { pa: recordPa, size: BigInt(handoffSize) },
    { pa: scratchPa, size: scratchSize },
    { pa: handoff, size: BigInt(bootParamsSize) },
  ].filter(({ pa }) => pa !== 0n);
  return (
    sorted.every((range, i) => i === 0 || !overlap(sorted[i - 1]!, range)) &&
    boot.every((part) => sorted.every((range) => !overlap(part, range))) &&
    !(recordPa !== 0n && overlap(boot[0]!, { pa: scratchPa, size: scratchSize }))
  );
}

interface Stretch {
  readonly pa: bigint;
  readonly size: bigint;
}

const overlap = (a: Stretch, b: Stretch): boolean => a.pa < b.pa + b.size && b.pa < a.pa + a.size;

/** True if nothing is written beside the pages of structures, as what is not aligned is. */
const isWithin = (written: readonly MemoryRange[], structures: readonly MemoryRange[]): boolean =>
  rangesIn(mergedRanges(written), mergedRanges(structures)).reduce((sum, { size }) => sum + size, 0n) ===
  mergedRanges(written).reduce((sum, { size }) => sum + size, 0n);

/** Larger memories are not copied: zeros that nothing stores. */
const mostCopied = 1n << 24n;

function copyOf(memory: Memory) {
  const copy = sparseMemory();
  let total = 0n;
  for (const { size } of memory.ranges) if ((total += size) > mostCopied) return undefined;
  // A page that is there in part would be there as a whole.
  const frame = BigInt(frameSize);
  if (mergedRanges(memory.ranges).some(({ pa, size }) => pa % frame !== 0n || size % frame !== 0n))
    return undefined;
  for (const { pa, size } of memory.ranges) copy.write(physAddr(pa), memory.read(pa, Number(size)));
  return copy;
}
