import { defaultLimits, type Limits, reporter } from "../../formats/context.js";
import { openAmd } from "../../formats/iommu/amd/devices.js";
import { openSmmuv3 } from "../../formats/iommu/arm/devices.js";
import type { IommuRoot, OpenUnit, Unit, VendorName } from "../../formats/iommu/device.js";
import { openRiscv } from "../../formats/iommu/riscv/devices.js";
import { openVtd } from "../../formats/iommu/vtd/devices.js";
import type { IommuContext } from "../../formats/iommu/walk.js";
import type { Memory } from "../memory/index.js";
import type { Finding } from "../report/finding.js";

/** How each maker's tables are opened. */
const vendors: Readonly<Record<VendorName, OpenUnit>> = {
  vtd: openVtd,
  amd: openAmd,
  smmuv3: openSmmuv3,
  riscv: openRiscv,
};

export const vendorNames = Object.keys(vendors) as readonly VendorName[];

export interface IommuOptions {
  readonly limits?: Partial<Limits>;
  readonly onProgress?: (phase: string, done: number, total: number) => void;
}

/** What is read of an IOMMU in a capture goes through this, and what is wrong with it is gathered here. */
export interface IommuReading {
  readonly ctx: IommuContext;
  /** In the order of discovery. */
  readonly findings: readonly Finding[];
}

export function newReading(memory: Memory, { limits, onProgress }: IommuOptions = {}): IommuReading {
  const findings: Finding[] = [];
  const all: Limits = { ...defaultLimits, ...limits };
  const ctx: IommuContext = {
    memory,
    limits: all,
    report: reporter(findings, false, all.maxFindings),
    ...(onProgress && { progress: onProgress }),
  };
  return { ctx, findings };
}

/** Opens an IOMMU by its root. @throws KhoError `iommu-root-malformed` if nothing can be read from there on */
export const openIommu = ({ ctx }: IommuReading, vendor: VendorName, root: IommuRoot): Unit =>
  vendors[vendor](ctx, root);
