import type { Struct } from "../../src/layout/index.js";
import { devTableEntry, gcr3Entry } from "./amd/layout.js";
import { amdv1Leaf, amdv1Table } from "./amd/v1.js";
import { armSmmuCd, armSmmuCdtabL1, armSmmuSte, armSmmuStrtabL1 } from "./arm/layout.js";
import { armStage1Leaf, armStage2Leaf, armTable } from "./arm/table.js";
import {
  riscvIommuDc,
  riscvIommuDcBase,
  riscvIommuDdte,
  riscvIommuPc,
  riscvIommuPdte,
} from "./riscv/layout.js";
import { riscvLeaf, riscvTable } from "./riscv/table.js";
import {
  contextEntry,
  contextEntryScalable,
  pasidDirEntry,
  pasidEntry,
  rootEntry,
  rootEntryScalable,
} from "./vtd/layout.js";
import { vtdssLarge, vtdssPage, vtdssTable } from "./vtd/second-stage.js";
import { x86Large, x86Page, x86Table } from "./x86.js";

/**
 * Every structure that an IOMMU reads from memory, by maker, in the order they are reached. They are the hardware's, and the
 * same in every release; the same name can stand twice, for two modes.
 */
export const iommuLayouts: readonly Struct[] = [
  ...[rootEntry, rootEntryScalable, contextEntry, contextEntryScalable, pasidDirEntry, pasidEntry],
  ...[vtdssTable, vtdssLarge, vtdssPage, x86Table, x86Large, x86Page],
  ...[devTableEntry, gcr3Entry, amdv1Table, amdv1Leaf],
  ...[armSmmuStrtabL1, armSmmuSte, armSmmuCdtabL1, armSmmuCd, armTable, armStage1Leaf, armStage2Leaf],
  ...[riscvIommuDdte, riscvIommuDc, riscvIommuDcBase, riscvIommuPdte, riscvIommuPc, riscvTable, riscvLeaf],
];
