/** The RISC-V IOMMU with tables of 48 bits. */
import { packWord } from "../../../formats/iommu/entry.js";
import { newRiscvUnit } from "../../../formats/iommu/riscv/encode.js";
import { riscvDomain } from "../../../formats/iommu/riscv/geometry.js";
import { riscvCapabilities } from "../../../formats/iommu/riscv/layout.js";
import { isAtLeast, type Kernel } from "../../../formats/kernels.js";
import type { Vendor } from "./driver.js";

const optionsFor = (kernel: Kernel) => ({
  capabilities: packWord(riscvCapabilities, { version: 0x10, Sv39: 1, Sv48: 1, MSI_FLAT: 1, PAS: 56 }),
  before71: !isAtLeast(kernel, "7.1"),
});

export const riscv: Vendor = {
  firstDomainId: 1,
  domainOptions: ({ kernel }) => riscvDomain(optionsFor(kernel))!,
  open({ kernel }, _, store) {
    const unit = newRiscvUnit(optionsFor(kernel), store);
    if (!unit) return undefined;
    return {
      registers: { root: unit.root, cfg: unit.cfg },
      attach: (device, domain, domainId) => unit.attach(device, { kind: "table", domain, domainId }),
      block(device) {
        unit.attach(device, { kind: "blocked" });
      },
    };
  },
};
