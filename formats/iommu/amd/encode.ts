/** Device structures as the driver writes them. */
import { decode, encode, sizeOf, type ValueOf } from "../../../src/layout/index.js";
import type { PhysAddr } from "../../../src/memory/index.js";
import type { Domain, TableStore } from "../domain.js";
import { frameLg2, frameOf, iommuAbi, packWord } from "../entry.js";
import { atIndex } from "../structures.js";
import { pasidsOf } from "./gcr3.js";
import { type Gcr3Writer, newGcr3 } from "./gcr3-encode.js";
import { deviceTableBytes, gcr3LevelsFor } from "./geometry.js";
import { devTableEntry, fewestGuestLevels, gcr3Split, HAD_ACCESSED_DIRTY, mmioDevTable } from "./layout.js";

type Values = ValueOf<typeof devTableEntry>;

/** What the firmware's table IVRS wants of a device; kept whatever the device is attached to. */
export type Firmware = Partial<
  Pick<Values, "SysMgt" | "INITPass" | "EINTPass" | "NMIPass" | "Lint0Pass" | "Lint1Pass">
>;

export interface AmdUnitOptions {
  /** Highest requester id that there is, below 2^16. */
  readonly lastBdf: number;
  /** The bit of an address that says that memory is encrypted, as a mask; 0 unless the host encrypts memory. */
  readonly smeMask?: bigint;
  /** Levels of v2 tables, 4 or 5, as `guestLevels` of geometry.ts says. 4 unless given. */
  readonly guestLevels?: number;
  /** Interrupts are remapped: those of a device are blocked until it has a table for them. */
  readonly interruptRemapping?: boolean;
  /** SEV-SNP is in use: at boot TV is not set. */
  readonly snp?: boolean;
  readonly firmware?: ReadonlyMap<number, Firmware>;
  /** By device, further requester ids that its requests can come with, none above `lastBdf`. */
  readonly aliases?: ReadonlyMap<number, readonly number[]>;
  /** True for 6.16 to 6.18, which enable page requests of devices with v1 tables, too. */
  readonly pageRequestsWithV1?: boolean;
}

/** What of a device is enabled. */
export interface AmdDevice {
  /** ATS: the device has a TLB of its own. */
  readonly ats?: boolean;
  /** PRI: the device asks for pages that are not there. */
  readonly pageRequests?: boolean;
  /** Number of PASIDs that the device has, at most 2^20. Nothing comes of them with a v1 table. */
  readonly pasids?: number;
}

/** What a device can be attached to. `domainId` is below 2^16; where there is a GCR3 table it is the device's own. */
export type AmdTarget =
  | { readonly kind: "blocked" }
  | (AmdDevice & { readonly kind: "identity"; readonly domainId: number })
  | (AmdDevice & {
      readonly kind: "table";
      readonly domain: Domain;
      readonly domainId: number;
      /** Hardware notes in the leaves of a v1 table what was written to. */
      readonly dirtyTracking?: boolean;
    })
  /** One PASID above 0 of a device that has a GCR3 table. */
  | { readonly kind: "table"; readonly domain: Domain; readonly pasid: number };

/** The kernel's errno. */
export type AttachErrno = "EINVAL" | "ENOMEM";

export interface AmdUnit {
  /** The device table base register. */
  readonly root: bigint;
  /** Attaches a device, or one of its PASIDs. A device is detached from what it was attached to first. */
  attach(device: number, target: AmdTarget): AttachErrno | undefined;
  /** Detaches a device with all of its PASIDs, or one PASID. */
  detach(device: number, pasid?: number): AttachErrno | undefined;
  /** Tells the devices of a domain that its v1 table has grown. */
  changeTop(domain: Domain): void;
}

type DeviceTarget = Extract<AmdTarget, { readonly domainId: number }>;

const entryBytes = sizeOf(devTableEntry, iommuAbi);
const blank = decode(devTableEntry, new Uint8Array(entryBytes), 0, iommuAbi);

const isV1 = ({ format }: Domain): boolean => format.name === "amdv1";

/** Makes a device table in which every device is blocked; undefined if there is no memory for it. */
export function newAmdUnit(options: AmdUnitOptions, store: TableStore): AmdUnit | undefined {
  const { lastBdf, smeMask = 0n, guestLevels = fewestGuestLevels, aliases } = options;
  const tableBytes = deviceTableBytes(lastBdf);
  const table = store.allocate(tableBytes, 0);
  if (table === undefined) return undefined;
  const targets = new Map<number, DeviceTarget>();
  const gcr3s = new Map<number, Gcr3Writer>();

  store.write(table, initialTable(options));
  const addressOf = (device: number): PhysAddr => atIndex(devTableEntry, table, device);
  /** Writes the entry of a device and of its aliases: these values, and what stays. */
  const update = (device: number, values: Partial<Values>): void => {
    const old = decode(devTableEntry, store.read(addressOf(device), entryBytes), 0, iommuAbi);
    const bytes = encode(devTableEntry, { ...blank, ...keptOf(old), V: 1, ...values }, iommuAbi);
    for (const id of [device, ...(aliases?.get(device) ?? [])]) store.write(addressOf(id), bytes);
  };

  const isV2 = ({ format, levels }: Domain): boolean => format.name === "x86_64" && levels === guestLevels;
  const hostValues = ({ root, levels }: Domain, tracked: boolean): Partial<Values> => ({
    Mode: levels,
    HostRoot: frameOf(root | smeMask),
    HAD: tracked ? HAD_ACCESSED_DIRTY : 0,
  });
  const guestValues = (gcr3: Gcr3Writer, takesAll: boolean): Partial<Values> => ({
    GV: 1,
    GIOV: takesAll ? 1 : 0,
    GLX: gcr3.levels - 1,
    ...gcr3Split(frameOf(gcr3.root | smeMask)),
    GuestPagingMode: guestLevels - fewestGuestLevels,
  });
  /** Writes the entry of a device as what it is attached to has it now. */
  const refresh = (device: number, target: DeviceTarget): void => {
    const domain = target.kind === "table" ? target.domain : undefined;
    const isTracked = target.kind === "table" && target.dirtyTracking === true;
    const gcr3 = gcr3s.get(device);
    update(device, {
      TV: 1,
      IR: 1,
      IW: 1,
      DomainID: target.domainId,
      I: target.ats ? 1 : 0,
      PPR: target.pageRequests && (gcr3 || options.pageRequestsWithV1) ? 1 : 0,
      ...(domain && isV1(domain) && hostValues(domain, isTracked)),
      ...(gcr3 && guestValues(gcr3, domain !== undefined)),
    });
  };

  const detachDevice = (device: number): undefined => {
    targets.delete(device);
    update(device, {});
    gcr3s.get(device)?.free();
    gcr3s.delete(device);
    return undefined;
  };
  const attachDevice = (device: number, target: DeviceTarget): AttachErrno | undefined => {
    const domain = target.kind === "table" ? target.domain : undefined;
    if (domain && !isV1(domain) && !isV2(domain)) return "EINVAL";
    const pasids = domain && isV1(domain) ? 0 : Math.max(target.pasids ?? 0, domain ? 1 : 0);
    detachDevice(device);
    if (pasids > 0) {
      const gcr3 = newGcr3(store, gcr3LevelsFor(pasids), smeMask);
      if (!gcr3) return "ENOMEM";
      if (domain && gcr3.set(0, domain.root)) {
        gcr3.free();
        return "ENOMEM";
      }
      gcr3s.set(device, gcr3);
    }
    targets.set(device, target);
    refresh(device, target);
    return undefined;
  };

  const isDevice = (device: number): boolean => Number.isInteger(device) && device >= 0 && device <= lastBdf;
  /** The GCR3 table that a PASID is in, if there is one. PASID 0 is the device's own. */
  const gcr3With = (device: number, pasid: number): Gcr3Writer | undefined => {
    const gcr3 = gcr3s.get(device);
    return gcr3 && pasid > 0 && pasid < pasidsOf(gcr3) ? gcr3 : undefined;
  };

  return {
    root: packWord(mmioDevTable, {
      Size: tableBytes / 2 ** frameLg2 - 1,
      DevTabBase: frameOf(table | smeMask),
    }),
    attach(device, target) {
      if (!isDevice(device)) return "EINVAL";
      if (target.kind === "blocked") return detachDevice(device);
      if (!("pasid" in target)) return attachDevice(device, target);
      const gcr3 = gcr3With(device, target.pasid);
      return gcr3 && isV2(target.domain) ? gcr3.set(target.pasid, target.domain.root) : "EINVAL";
    },
    detach(device, pasid) {
      if (!isDevice(device)) return "EINVAL";
      if (pasid === undefined) return detachDevice(device);
      const gcr3 = gcr3With(device, pasid);
      gcr3?.clear(pasid);
      return gcr3 ? undefined : "EINVAL";
    },
    changeTop(domain) {
      for (const [device, target] of targets)
        if (target.kind === "table" && target.domain === domain && isV1(domain)) refresh(device, target);
    },
  };
}

/** The entries of all devices as they are at boot. */
function initialTable({ lastBdf, interruptRemapping, snp, firmware }: AmdUnitOptions): Uint8Array {
  const initial = (wishes: Firmware = {}): Uint8Array => {
    const entry = { ...blank, ...wishes, V: 1, TV: snp ? 0 : 1, IV: interruptRemapping ? 1 : 0 };
    return encode(devTableEntry, { ...entry, ...keptOf(entry) }, iommuAbi);
  };
  const usual = initial();
  const bytes = new Uint8Array(deviceTableBytes(lastBdf));
  for (let device = 0; device <= lastBdf; device++)
    bytes.set(firmware?.has(device) ? initial(firmware.get(device)) : usual, device * entryBytes);
  return bytes;
}

/** What stays of an entry whatever a device is attached to: what interrupts do, and what the firmware wants. */
function keptOf(entry: Values): Partial<Values> {
  const {
    SysMgt,
    IV,
    IntTabLen,
    IG,
    IntTableRoot,
    INITPass,
    EINTPass,
    NMIPass,
    IntCtl,
    Lint0Pass,
    Lint1Pass,
  } = entry;
  return {
    SysMgt,
    IW: SysMgt === 1 ? 1 : 0,
    IV,
    IntTabLen,
    IG,
    IntTableRoot,
    INITPass,
    EINTPass,
    NMIPass,
    IntCtl,
    Lint0Pass,
    Lint1Pass,
  };
}
