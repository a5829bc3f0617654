import { amdv1 } from "../../formats/iommu/amd/v1.js";
import { armFormat } from "../../formats/iommu/arm/table.js";
import type { DeviceEntry } from "../../formats/iommu/device.js";
import type { DomainOptions } from "../../formats/iommu/domain.js";
import type { TableFormat } from "../../formats/iommu/format.js";
import { IOMMU_CACHE } from "../../formats/iommu/prot.js";
import { vtdss } from "../../formats/iommu/vtd/second-stage.js";

/**
 * The domain that a kernel makes for a device on the captured machines, of which none walks tables coherently but ARM's.
 * `vfio` is what the kernel itself said of it: page sizes, and addresses that it takes. `always` is what VFIO adds to every
 * mapping.
 */
export function domainLike(
  { table }: DeviceEntry,
  release: string,
  vfio: string,
): { readonly options: DomainOptions; readonly always: number } {
  const { format, levels, vaBits } = table!;
  const [major = 0, minor = 0] = release.split(".").map(Number);
  const isOld = major < 6 || (major === 6 && minor < 19);
  const pgsizeBitmap = BigInt(/pgsizes (0x[0-9a-f]+)/.exec(vfio)![1]!);
  const last = BigInt(/-(0x[0-9a-f]+)\]$/.exec(vfio)![1]!);
  const common = { vaBits, levels, pgsizeBitmap, signExtend: false };
  switch (format.name) {
    case "vtdss": {
      const own = vtdss({ coherent: false, marksFlushed: !isOld, writeImpliesRead: isOld });
      return { options: { ...common, format: own, paBits: 52 }, always: IOMMU_CACHE };
    }
    case "amdv1":
      return {
        options: {
          ...common,
          format: amdv1(),
          levels: 3,
          vaBits: last.toString(2).length,
          paBits: 52,
          grows: true,
        },
        always: IOMMU_CACHE,
      };
    case "arm_s1": {
      const own: TableFormat = armFormat({ stage: 1, granuleLg2: format.granuleLg2 });
      return { options: { ...common, format: own, paBits: 48 }, always: IOMMU_CACHE };
    }
    default:
      throw new Error(`no capture has tables of ${format.name}`);
  }
}
