import type { IommuRoot, VendorName } from "../../../formats/iommu/device.js";
import { deviceName, parseDevice } from "../../iommu/names.js";
import { KhoError } from "../../report/error.js";

/** The IOMMU of a machine, and what is behind it. */
export interface IommuHardwareOptions {
  /** Who made it. All but SMMUv3 go with 4K pages alone. */
  readonly vendor: VendorName;
  /** PCI addresses: `00:05.0`. Behind an SMMUv3 on bus 0 alone. */
  readonly devices: readonly string[];
}

/** Bits of device ids. An SMMUv3 of a simulated machine has few, and so one stream table for all: bus 0. */
const idBits: Readonly<Record<VendorName, number>> = { vtd: 16, amd: 16, smmuv3: 8, riscv: 16 };

/** An IOMMU without a kernel. What its registers say outlives every kernel. */
export interface IommuHardware {
  readonly vendor: VendorName;
  /** Requester ids of the devices behind it, ascending. */
  readonly devices: readonly number[];
  /** What a kernel has told it about its tables; before the first one did, it lets nothing through. */
  registers?: IommuRoot;
}

/** @throws KhoError `usage` for what is no device, and for pages that no machine with such an IOMMU has */
export function newIommuHardware(options: IommuHardwareOptions, pageSize: number): IommuHardware {
  const { vendor } = options;
  if (vendor !== "smmuv3" && pageSize !== 4096)
    throw new KhoError("usage", `no machine with pages of ${pageSize} bytes has such an IOMMU`, {
      expected: "smmuv3, or pages of 4096 bytes",
      actual: vendor,
    });
  const devices = [...new Set(options.devices.map(parseDevice))].sort((a, b) => a - b);
  const odd = devices.find((device) => device >= 2 ** idBits[vendor]);
  if (odd !== undefined || devices.length === 0)
    throw new KhoError("usage", "an IOMMU needs devices that it can tell apart", {
      expected: `PCI addresses of ${idBits[vendor]} bits, such as 00:05.0`,
      actual: odd === undefined ? "none" : deviceName(odd),
    });
  return { vendor, devices };
}

/** The id of a device behind an IOMMU. @throws KhoError `machine-misuse` if the machine does not have it */
export function deviceIn({ devices }: IommuHardware, name: string): number {
  const device = parseDevice(name);
  if (devices.includes(device)) return device;
  throw new KhoError("machine-misuse", "the machine has no such device behind its IOMMU", {
    expected: devices.map(deviceName).join(", "),
    actual: name,
  });
}

/** The IOMMU of a machine. @throws KhoError `machine-misuse` if there is none */
export function mustHaveIommu({ iommu }: { readonly iommu?: IommuHardware }): IommuHardware {
  if (!iommu) throw new KhoError("machine-misuse", "the machine has no IOMMU");
  return iommu;
}
