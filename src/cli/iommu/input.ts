import type { DeviceEntry, IommuRoot, Unit, VendorName } from "../../../formats/iommu/device.js";
import { devicePath } from "../../../formats/iommu/device.js";
import { addressOfFrame } from "../../../formats/iommu/entry.js";
import type { PageTable } from "../../../formats/iommu/format.js";
import { itemLg2 } from "../../../formats/iommu/format.js";
import { decodeHandover } from "../../handover/index.js";
import type { Image } from "../../image/image.js";
import { type Kept, keptBy } from "../../iommu/cross-check.js";
import { formatNamed, type TableName } from "../../iommu/formats.js";
import { deviceName, parseDevice } from "../../iommu/names.js";
import { type IommuReading, newReading, openIommu } from "../../iommu/open.js";
import { physAddr } from "../../memory/index.js";
import { isKhoError, KhoError } from "../../report/error.js";
import { decodeOptions, describeImage, type InputOptions, readMeta } from "../input.js";
import type { Run } from "../run.js";

/** The options of every verb of `kho iommu`. */
export interface IommuOptions extends InputOptions {
  readonly vendor?: VendorName;
  readonly root?: bigint;
  readonly cfg?: bigint;
  /** Bit of an address that says that memory is encrypted. */
  readonly cBit?: number;
  readonly json?: boolean;
  /** Compare with the handover in the capture; looked for there unless options name it. */
  readonly handover?: boolean;
}

/** The options that name one address space. */
export interface SpaceOptions extends IommuOptions {
  readonly device?: string;
  readonly pasid?: number;
  readonly table?: bigint;
  readonly format?: TableName;
  readonly levels?: number;
  readonly vaBits?: number;
}

/** An IOMMU in an image, and what is read and found of it. */
export interface OpenedIommu {
  readonly vendor: VendorName;
  readonly unit: Unit;
  readonly reading: IommuReading;
}

/** A device's address space; one that is named by its table has no IOMMU around it. */
export interface OpenedSpace {
  readonly vendor: string;
  readonly unit?: Unit;
  readonly reading: IommuReading;
  readonly entry: DeviceEntry;
}

/** Refuses what has no memory to read tables from. */
function needsMemory(image: Image): void {
  if (image.kind === "debugfs" || image.kind === "fdt")
    throw new KhoError("usage", `${describeImage(image)}: there are no page tables in it`);
}

/** The IOMMU that the options name, or the side file does. @throws KhoError `usage` */
export function whereIs(options: IommuOptions): { readonly vendor: VendorName; readonly root: IommuRoot } {
  const meta = options.meta === undefined ? undefined : readMeta(options.meta).iommu;
  const vendor = options.vendor ?? meta?.vendor;
  const root = options.root ?? meta?.root;
  if (vendor === undefined || root === undefined)
    throw new KhoError("usage", "nothing says where the IOMMU's tables are", {
      expected: "--vendor and --root, or --meta with a side file that has them",
    });
  const cfg = options.cfg ?? (options.root === undefined ? meta?.cfg : undefined);
  return {
    vendor,
    root: {
      root,
      ...(cfg !== undefined && { cfg }),
      ...(options.cBit !== undefined && { smeMask: 1n << BigInt(options.cBit) }),
    },
  };
}

/** Opens the IOMMU that the options name. @throws KhoError `usage`, `iommu-root-malformed` */
export function openUnit(run: Run, image: Image, options: IommuOptions): OpenedIommu {
  needsMemory(image);
  const { vendor, root } = whereIs(options);
  const reading = newReading(image.memory, { onProgress: run.progress.update });
  return { vendor, unit: openIommu(reading, vendor, root), reading };
}

/** Opens one address space: a device's, or the one of a table that the options describe. */
export function openSpace(run: Run, image: Image, options: SpaceOptions): OpenedSpace {
  if (options.table !== undefined) {
    needsMemory(image);
    const reading = newReading(image.memory, { onProgress: run.progress.update });
    const entry = tableEntry(options.table, options);
    return { vendor: "", reading, entry };
  }
  if (options.device === undefined)
    throw new KhoError("usage", "nothing says which device is meant", {
      expected: "--device 0000:00:05.0; kho iommu devices lists all of them",
    });
  const device = parseDevice(options.device);
  const opened = openUnit(run, image, options);
  const entry = opened.unit.device(device, options.pasid);
  if (entry) return { ...opened, entry };
  throw missing(opened.unit, device, options.pasid);
}

/** How many names an error lists. */
const shownNames = 8;

/** There is no such entry, and what there is instead. */
function missing(unit: Unit, device: number, pasid: number | undefined): KhoError {
  const name = deviceName(device);
  const others = new Set<string>();
  for (const entry of unit.devices()) {
    if (pasid !== undefined && entry.device === device) others.add(`PASID ${entry.pasid ?? "none"}`);
    else if (pasid === undefined) others.add(deviceName(entry.device));
    if (others.size > shownNames) break;
  }
  const some = [...others].slice(0, shownNames).join(", ");
  return new KhoError(
    "not-found",
    `the IOMMU has no entry of ${name}${pasid === undefined ? "" : ` with PASID ${pasid}`}`,
    {
      path: devicePath(device, pasid),
      expected:
        others.size === 0 ? "a device that has one" : `${some}${others.size > shownNames ? " ..." : ""}`,
    },
  );
}

function tableEntry(root: bigint, options: SpaceOptions): DeviceEntry {
  const { format: name, levels, cBit } = options;
  if (name === undefined || levels === undefined)
    throw new KhoError("usage", "a table alone does not say how it is to be read", {
      expected: "--format and --levels beside --table",
    });
  const format = formatNamed(name, cBit === undefined ? 0n : 1n << BigInt(cBit));
  const vaBits = options.vaBits ?? Math.min(64, itemLg2(format, levels));
  const lowest = itemLg2(format, levels - 1);
  if (vaBits <= lowest || vaBits > Math.min(64, itemLg2(format, levels) + 4))
    throw new KhoError("usage", `a table of ${levels} levels does not translate ${vaBits} bits`, {
      expected: `${lowest + 1} to ${Math.min(64, itemLg2(format, levels) + 4)}`,
    });
  const signExtend = format.name === "x86_64" || format.name === "riscv64";
  const table: PageTable = { format, root: physAddr(root), levels, vaBits, signExtend };
  if ((root & (addressOfFrame(1) - 1n)) !== 0n && (root & 63n) !== 0n)
    throw new KhoError("usage", "a table is aligned", { actual: `0x${root.toString(16)}` });
  return { device: 0, kind: "table", table, words: [], path: "table" };
}

/**
 * The handover in the image that reaches have to be compared with: where options name it, or ask for it. Undefined without
 * that. Its own faults are of `kho check`, not of this.
 */
export function keptIn(run: Run, image: Image, options: IommuOptions): Kept | undefined {
  const meta = options.meta === undefined ? undefined : readMeta(options.meta);
  const named = options.fdt ?? options.handoff ?? meta?.fdtPhys ?? meta?.setupDataHead ?? meta?.setupDataPhys;
  if (!options.handover && named === undefined) return undefined;
  try {
    const { handover } = decodeHandover(image, decodeOptions(options, run.progress, "forensic"));
    run.progress.clear();
    return keptBy(handover, image.memory.ranges);
  } catch (error) {
    if (named === undefined && isKhoError(error, "not-a-handover"))
      throw new KhoError("not-a-handover", "there is no handover in this capture to compare with", {
        cause: error,
      });
    throw error;
  }
}
