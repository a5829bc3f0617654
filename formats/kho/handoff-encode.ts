import { be, encode, sizeOf } from "../../src/layout/index.js";
import { type MemoryRange, type PhysAddr, physAddr } from "../../src/memory/index.js";
import { KhoError } from "../../src/report/error.js";
import { buildSequential, fdtAbi, type TreeSource } from "../fdt/index.js";
import type { Target } from "../target.js";
import { type HandoffRecord, KHO_FDT_PROP, KHO_SCRATCH_PROP, x86Abi } from "./handoff.js";
import { khoData, khoScratch, SETUP_KEXEC_KHO, setupData } from "./layout.js";

/** Bytes of the x86 hand-off record. */
export const handoffSize = sizeOf(setupData, x86Abi) + sizeOf(khoData, x86Abi);

/**
 * Writes the x86 hand-off record at its `recordPa`: a node of the setup_data list, `next` being the one behind it, 0 for
 * none. It needs no alignment, and what is around it belongs to others.
 */
export function encodeHandoff(target: Target, record: HandoffRecord, next: PhysAddr = physAddr(0)): void {
  const { recordPa, fdtPa, fdtSize, scratchPa, scratchSize } = record;
  const header = sizeOf(setupData, x86Abi);
  const len = sizeOf(khoData, x86Abi);
  const bytes = new Uint8Array(handoffSize);
  const data = new Uint8Array(0);
  bytes.set(encode(setupData, { next, type: SETUP_KEXEC_KHO, len, data }, x86Abi));
  bytes.set(
    encode(
      khoData,
      { fdt_addr: fdtPa, fdt_size: fdtSize, scratch_addr: scratchPa, scratch_size: scratchSize },
      x86Abi,
    ),
    header,
  );
  target.write(recordPa, bytes);
}

/** Bytes of the array of `count` scratch areas, which is what the hand-off says of it. */
export const scratchSize = (count: number): bigint => BigInt(count * sizeOf(khoScratch, x86Abi));

/** Writes the array of scratch areas at `pa`; what is around it belongs to others. */
export function encodeScratch(target: Target, pa: PhysAddr, areas: readonly MemoryRange[]): void {
  const { abi } = target;
  const size = sizeOf(khoScratch, abi);
  const bytes = new Uint8Array(areas.length * size);
  for (const [i, area] of areas.entries())
    bytes.set(encode(khoScratch, { addr: area.pa, size: area.size }, abi), i * size);
  if (bytes.length > 0) target.write(pa, bytes);
}

/** How many cells, big-endian words of 32 bits, an address and a size have in a device tree: 1 or 2 each. */
export interface Cells {
  readonly address: number;
  readonly size: number;
}

/**
 * The hand-off as properties of /chosen, for a device tree whose root has these `#address-cells` and `#size-cells`.
 * @throws KhoError `value-range` if a number has more bits than there are cells for
 */
export function chosenProperties(record: HandoffRecord, cells: Cells): TreeSource["properties"] {
  const pair = (name: string, pa: bigint, size: bigint): Uint8Array =>
    Uint8Array.from([
      ...cellsOf(pa, cells.address, `/chosen/${name}`),
      ...cellsOf(size, cells.size, `/chosen/${name}`),
    ]);
  return [
    [KHO_FDT_PROP, pair(KHO_FDT_PROP, record.fdtPa, record.fdtSize)],
    [KHO_SCRATCH_PROP, pair(KHO_SCRATCH_PROP, record.scratchPa, record.scratchSize)],
  ];
}

/** The smallest device tree with a hand-off: what a reader needs, and nothing of the machine. */
export function encodeChosen(record: HandoffRecord, cells: Cells = { address: 2, size: 2 }): Uint8Array {
  return buildSequential({
    name: "",
    properties: [
      ["#address-cells", cellsOf(BigInt(cells.address), 1, "/#address-cells")],
      ["#size-cells", cellsOf(BigInt(cells.size), 1, "/#size-cells")],
    ],
    children: [{ name: "chosen", properties: chosenProperties(record, cells), children: [] }],
  });
}

function cellsOf(value: bigint, count: number, path: string): Uint8Array {
  if (count === 2) return encode(be.u64, value, fdtAbi);
  if (count === 1 && value < 1n << 32n) return encode(be.u32, Number(value), fdtAbi);
  throw new KhoError("value-range", `${path}: ${value} does not fit into ${count} cells`, {
    path,
    expected: count === 1 ? "below 2^32" : "1 or 2 cells",
    actual: String(value),
  });
}
