/** From the register to the context tables. */
import { sizeOf } from "../../../src/layout/index.js";
import type { PhysAddr } from "../../../src/memory/index.js";
import { KhoError } from "../../../src/report/error.js";
import { hex } from "../../../src/report/hex.js";
import { addressOfFrame, iommuAbi, unpackWord } from "../entry.js";
import { type Bytes, entryOf, type Found } from "../structures.js";
import type { IommuContext } from "../walk.js";
import {
  contextEntry,
  contextEntryScalable,
  entriesOfTable,
  rootEntry,
  rootEntryScalable,
  rtaddrReg,
  TTM_ABORT,
  TTM_LEGACY,
  TTM_SCALABLE,
  tableBytes,
} from "./layout.js";
import { usedEntries } from "./used.js";

/** A root table, and how it is to be read. */
export interface RootTable extends Bytes {
  readonly mode: "legacy" | "scalable";
}

/** Devices of a bus, which one context table of legacy mode has entries for. */
const devicesOfBus = entriesOfTable(contextEntry);

/** A context table: of `count` devices, from device and function `first` on. */
export interface ContextTable {
  readonly pa: PhysAddr;
  readonly first: number;
  readonly count: number;
}

/**
 * Reads the root table that the register names. A register that says legacy mode may as well be an address without a mode:
 * if the tables are those of scalable mode they are taken for that, and a finding says so.
 * @returns `abort` if the unit does not read any table, and lets nothing through
 * @param register DMAR_RTADDR_REG
 * @throws KhoError `iommu-root-malformed` if there is no root table, or its mode is reserved
 */
export function openRootTable(ctx: IommuContext, register: bigint): RootTable | "abort" {
  const { rsvd0, TTM, RTA } = unpackWord(rtaddrReg, register);
  const pa = addressOfFrame(RTA);
  const path = "root";
  const refused = (message: string, expected: string, actual: string): KhoError =>
    new KhoError("iommu-root-malformed", message, { path, pa, length: tableBytes, expected, actual });
  if (TTM === TTM_ABORT) return "abort";
  if (TTM !== TTM_LEGACY && TTM !== TTM_SCALABLE)
    throw refused(`RTADDR says translation table mode ${TTM}`, "TTM 0, 1 or 3", `TTM ${TTM}`);
  if (RTA === 0) throw refused("RTADDR names no root table", "an address", hex(register));
  if (!ctx.memory.has(pa, tableBytes))
    throw refused(
      `the root table at ${hex(pa)} is not captured`,
      `${tableBytes} bytes at ${hex(pa)}`,
      "not captured",
    );
  if (rsvd0 !== 0)
    ctx.report("error", "iommu-reserved-bits", "RTADDR has bits set that have to be zero", {
      path,
      expected: "0",
      actual: `rsvd0=${hex(rsvd0)}`,
    });
  const bytes = ctx.memory.read(pa, tableBytes);
  if (TTM === TTM_SCALABLE) return { mode: "scalable", pa, bytes };
  const table: RootTable = { mode: "legacy", pa, bytes };
  const { legacy, scalable } = votesOn(ctx, table);
  if (scalable <= legacy) return table;
  ctx.report(
    "info",
    "iommu-mode-guessed",
    "the root says legacy mode, but leads to tables of scalable mode",
    {
      path,
      pa,
      length: tableBytes,
      expected: "a domain id and an address width in every context entry, and no upper context tables",
      actual: `${scalable} entries that only scalable mode has, ${legacy} that only legacy mode has`,
    },
  );
  return { ...table, mode: "scalable" };
}

/**
 * How many entries speak for either mode. Upper context tables exist in scalable mode only. A context entry of legacy mode has
 * a domain id, and the kernel never gives out 0; in scalable mode that half is zero in all that the kernel writes.
 */
function votesOn({ memory }: IommuContext, root: RootTable): { legacy: number; scalable: number } {
  let legacy = 0;
  let scalable = 0;
  const each = sizeOf(contextEntryScalable, iommuAbi) / sizeOf(contextEntry, iommuAbi);
  for (let bus = 0; bus < entriesOfTable(rootEntry); bus++) {
    const { LP, LCTP, UP } = entryOf(rootEntryScalable, root, bus).value;
    if (UP) scalable++;
    const pa = addressOfFrame(LCTP);
    if (!LP || !memory.has(pa, tableBytes)) continue;
    const table = { pa, bytes: memory.read(pa, tableBytes) };
    for (const index of usedEntries(table.bytes, sizeOf(contextEntry, iommuAbi))) {
      const { P, AW, DID } = entryOf(contextEntry, table, index).value;
      if (!P) continue;
      if (AW !== 0 || DID !== 0) legacy++;
      else if (index % each === 0) scalable++;
    }
  }
  return { legacy, scalable };
}

type RootEntry = Found<typeof rootEntry> | Found<typeof rootEntryScalable>;

/** The entry of a bus, and the context tables that it leads to. */
export interface Bus {
  readonly found: RootEntry;
  readonly tables: readonly ContextTable[];
}

export function busOf(root: RootTable, bus: number): Bus {
  if (root.mode === "legacy") {
    const found = entryOf(rootEntry, root, bus);
    const { P, CTP } = found.value;
    return { found, tables: P ? [{ pa: addressOfFrame(CTP), first: 0, count: devicesOfBus }] : [] };
  }
  const found = entryOf(rootEntryScalable, root, bus);
  const { LP, LCTP, UP, UCTP } = found.value;
  const half = entriesOfTable(contextEntryScalable);
  const lower = LP ? [{ pa: addressOfFrame(LCTP), first: 0, count: half }] : [];
  const upper = UP ? [{ pa: addressOfFrame(UCTP), first: half, count: half }] : [];
  return { found, tables: [...lower, ...upper] };
}

/** The parts of a requester id: its bus, and device and function as one number. */
export const busNumber = (device: number): number => Math.floor(device / devicesOfBus);
export const devfnOf = (device: number): number => device % devicesOfBus;
export const requesterId = (bus: number, devfn: number): number => bus * devicesOfBus + devfn;

/** The context table of a bus that has the entry of a device of it, and which one that is. */
export function contextTableOf(
  { tables }: Bus,
  device: number,
): { readonly table: ContextTable; readonly index: number } | undefined {
  const devfn = devfnOf(device);
  const table = tables.find(({ first, count }) => first <= devfn && devfn < first + count);
  return table && { table, index: devfn - table.first };
}
