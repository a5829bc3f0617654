/** AMD's IOMMU with v1 tables. */
import { type AmdUnitOptions, newAmdUnit } from "../../../formats/iommu/amd/encode.js";
import { v1Options } from "../../../formats/iommu/amd/geometry.js";
import { isAtLeast, type Kernel } from "../../../formats/kernels.js";
import type { Vendor } from "./driver.js";

/** The extended feature register: v1 tables of 48 bits, and nothing else. */
const efr = 0n;

/** Up to 6.18 the driver has tables of its own instead of those of drivers/iommu/generic_pt. */
const isOld = (kernel: Kernel): boolean => !isAtLeast(kernel, "6.19");

export const amd: Vendor = {
  firstDomainId: 1,
  domainOptions: ({ kernel }) => v1Options({ efr }, { anyWidth: isOld(kernel) })!,
  open({ kernel }, { devices }, store) {
    const options: AmdUnitOptions = { lastBdf: devices.at(-1)!, pageRequestsWithV1: isOld(kernel) };
    const unit = newAmdUnit(options, store);
    if (!unit) return undefined;
    return {
      registers: { root: unit.root },
      attach: (device, domain, domainId) => unit.attach(device, { kind: "table", domain, domainId }),
      block(device) {
        unit.attach(device, { kind: "blocked" });
      },
      topChanged: (domain) => unit.changeTop(domain),
    };
  },
};
