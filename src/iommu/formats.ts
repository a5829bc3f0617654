import { amdv1 } from "../../formats/iommu/amd/v1.js";
import { armFormat } from "../../formats/iommu/arm/table.js";
import type { EntryReader } from "../../formats/iommu/format.js";
import { riscv64 } from "../../formats/iommu/riscv/table.js";
import { vtdss } from "../../formats/iommu/vtd/second-stage.js";
import { x86Format } from "../../formats/iommu/x86.js";

/** Formats of page tables as they are named on their own; ARM's with their granule. */
const named = {
  vtdss: () => vtdss(),
  x86_64: (smeMask: bigint) => x86Format({ smeMask }),
  amdv1: (smeMask: bigint) => amdv1({ smeMask }),
  riscv64: () => riscv64(),
  arm_s1: () => armFormat({ stage: 1, granuleLg2: 12 }),
  "arm_s1-16k": () => armFormat({ stage: 1, granuleLg2: 14 }),
  "arm_s1-64k": () => armFormat({ stage: 1, granuleLg2: 16 }),
  arm_s2: () => armFormat({ stage: 2, granuleLg2: 12 }),
  "arm_s2-16k": () => armFormat({ stage: 2, granuleLg2: 14 }),
  "arm_s2-64k": () => armFormat({ stage: 2, granuleLg2: 16 }),
} as const;

export type TableName = keyof typeof named;
export const tableNames = Object.keys(named) as readonly TableName[];

/** A format by its name. `smeMask` is the encryption bit of AMD's addresses, as a mask. */
export const formatNamed = (name: TableName, smeMask = 0n): EntryReader => named[name](smeMask);
