/** Writes the structures of a unit as the driver does, byte for byte. */
import { decode, sizeOf } from "../../../src/layout/index.js";
import type { PhysAddr } from "../../../src/memory/index.js";
import type { TableStore } from "../domain.js";
import { frameOf, iommuAbi, packWord } from "../entry.js";
import { structureBytes } from "../structures.js";
import { contextValues, pasidValues, type VtdAttachment } from "./attachment.js";
import { abilitiesOf, type VtdAbilities, type VtdCapabilities } from "./capabilities.js";
import { type ContextEntries, newContextEntries } from "./context-writer.js";
import {
  contextEntry,
  contextEntryScalable,
  pasidEntry,
  rtaddrReg,
  TTM_LEGACY,
  TTM_SCALABLE,
  tableBytes,
} from "./layout.js";
import { findPasid, freeDirectory, makePasid, newDirectory, usablePasids } from "./pasid-writer.js";

/** `EINVAL`: the driver does not do that with this unit, or this device. */
export type VtdErrno = "ENOMEM" | "EINVAL";

/** What the driver finds out about a device. All false or 0 unless given. */
export interface VtdDevice {
  /** It can cache translations, whether it does or not. */
  readonly ats?: boolean;
  /** It can ask for pages. */
  readonly pri?: boolean;
  /** How many PASIDs it can have; the driver takes up to 2^20. */
  readonly pasids?: number;
}

/** A unit under construction. Devices are requester ids, 0 to 65535. What a call returns is what it fails with. */
export interface VtdUnit {
  /** DMAR_RTADDR_REG. */
  readonly root: bigint;
  /**
   * Makes a device known, which is to happen once, before it is attached: attaching one that is not known takes it for one that
   * can nothing. In scalable mode it gets its PASID directory and its context entry.
   */
  probe(device: number, abilities?: VtdDevice): VtdErrno | undefined;
  /**
   * Attaches a device to what its requests, or those with a PASID, are translated by from now on.
   * @throws KhoError `value-range` for a domain id of more than 16 bits
   */
  attach(device: number, what: VtdAttachment, pasid?: number): VtdErrno | undefined;
  /** Clears the entry of a PASID. Without one, forgets the device: its entry is cleared, its PASID tables are given back. */
  detach(device: number, pasid?: number): void;
}

/** The part of a unit that its mode decides about. Devices are known and in range. */
interface ModeWriter {
  probe(device: number, abilities: VtdDevice): VtdErrno | undefined;
  attach(device: number, abilities: VtdDevice, what: VtdAttachment, pasid?: number): VtdErrno | undefined;
  detach(device: number, abilities: VtdDevice, pasid?: number): void;
}

/**
 * Makes a unit, and its root table first of all. Undefined without memory for that, and for a unit that the driver does not
 * take: one without an address width that all of its tables can have.
 */
export function newVtdUnit(capabilities: VtdCapabilities, store: TableStore): VtdUnit | undefined {
  const unit = abilitiesOf(capabilities);
  const { agaw, scalable } = unit;
  const rootPa = agaw === undefined ? undefined : store.allocate(tableBytes, 0);
  if (agaw === undefined || rootPa === undefined) return undefined;
  const contexts = newContextEntries(store, rootPa, scalable ? "scalable" : "legacy");
  const mode = scalable ? scalableMode(unit, agaw, store, contexts) : legacyMode(agaw, store, contexts);
  const known = new Map<number, VtdDevice>();

  const probe = (device: number, { pasids = 0, ...rest }: VtdDevice = {}): VtdErrno | undefined => {
    const isDevice = Number.isInteger(device) && device >= 0 && device < 2 ** 16;
    if (!isDevice || known.has(device) || !Number.isInteger(pasids) || pasids < 0) return "EINVAL";
    const abilities = { ...rest, pasids: usablePasids(pasids) };
    const failed = mode.probe(device, abilities);
    if (!failed) known.set(device, abilities);
    return failed;
  };
  return {
    root: packWord(rtaddrReg, { TTM: scalable ? TTM_SCALABLE : TTM_LEGACY, RTA: frameOf(rootPa) }),
    probe,
    attach: (device, what, pasid) =>
      (known.has(device) ? undefined : probe(device)) ?? mode.attach(device, known.get(device)!, what, pasid),
    detach(device, pasid) {
      const abilities = known.get(device);
      if (!abilities) return;
      mode.detach(device, abilities, pasid);
      if (pasid === undefined) known.delete(device);
    },
  };
}

function legacyMode(agaw: number, store: TableStore, contexts: ContextEntries): ModeWriter {
  const clear = (device: number): undefined => {
    const pa = contexts.find(device);
    if (pa !== undefined) store.write(pa, structureBytes(contextEntry, {}));
  };
  return {
    probe: () => undefined,
    attach(device, { ats = false }, what, pasid) {
      const values = pasid === undefined ? contextValues(what, agaw, ats) : undefined;
      if (!values) return "EINVAL";
      if (what.kind === "blocked") return clear(device);
      const bytes = structureBytes(contextEntry, values);
      const pa = contexts.make(device);
      if (pa === undefined) return "ENOMEM";
      store.write(pa, bytes);
      return undefined;
    },
    detach(device, _, pasid) {
      if (pasid === undefined) clear(device);
    },
  };
}

/** PASID 0 is that of requests without one. */
const isPasid = ({ pasids = 0 }: VtdDevice, pasid: number): boolean =>
  Number.isInteger(pasid) && pasid >= 0 && pasid < Math.max(pasids, 1);

function scalableMode(
  unit: VtdAbilities,
  agaw: number,
  store: TableStore,
  contexts: ContextEntries,
): ModeWriter {
  const contextOf = (pa: PhysAddr) =>
    decode(contextEntryScalable, store.read(pa, sizeOf(contextEntryScalable, iommuAbi)), 0, iommuAbi);
  const clear = (device: number, pasid: number): undefined => {
    const pa = findPasid(store, contextOf(contexts.find(device)!), pasid);
    if (pa !== undefined) store.write(pa, structureBytes(pasidEntry, {}));
  };
  return {
    probe(device, { ats, pri, pasids = 0 }) {
      const directory = newDirectory(store, pasids);
      const pa = directory && contexts.make(device);
      if (pa === undefined) {
        if (directory) freeDirectory(store, directory);
        return "ENOMEM";
      }
      const abilities = { DTE: ats ? 1 : 0, PASIDE: pasids > 0 ? 1 : 0, PRE: pri ? 1 : 0 };
      store.write(pa, structureBytes(contextEntryScalable, { P: 1, ...abilities, ...directory }));
      return undefined;
    },
    attach(device, abilities, what, pasid = 0) {
      const values = pasidValues(what, agaw, unit);
      if (!values || !isPasid(abilities, pasid)) return "EINVAL";
      if (what.kind === "blocked") return clear(device, pasid);
      const bytes = structureBytes(pasidEntry, values);
      const pa = makePasid(store, contextOf(contexts.find(device)!), pasid);
      if (pa === undefined) return "ENOMEM";
      store.write(pa, bytes);
      return undefined;
    },
    detach(device, abilities, pasid) {
      if (pasid !== undefined) {
        if (isPasid(abilities, pasid)) clear(device, pasid);
        return;
      }
      const pa = contexts.find(device)!;
      freeDirectory(store, contextOf(pa));
      store.write(pa, structureBytes(contextEntryScalable, {}));
    },
  };
}
