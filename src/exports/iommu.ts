/**
 * IOMMU page tables and the structures that lead to them: Intel VT-d, AMD, ARM SMMUv3 and RISC-V, as Linux writes them.
 *
 * ```ts
 * import { openImage } from "kho";
 * import { mappingsOf, newReading, openIommu, parseDevice, reachOf } from "kho/iommu";
 *
 * const reading = newReading(openImage("vmcore.elf").memory);
 * const unit = openIommu(reading, "vtd", { root: 0x140226000n });
 * const entry = unit.device(parseDevice("0000:00:05.0"));
 * if (entry) for (const { iova, pa, size } of mappingsOf(reachOf(reading.ctx, entry).runs)) console.log(iova, pa, size);
 * ```
 *
 * A format ({@link TableFormat}) is what entries look like; a {@link PageTable} says where a table is and how large, a
 * {@link Domain} builds one call by call as the kernel does, in memory that the caller supplies. Addresses and lengths inside
 * are doubles that count frames of 4 KiB; at the edge they are bigints that count bytes.
 * @module
 */
export { openAmd } from "../../formats/iommu/amd/devices.js";
export { type AmdTarget, type AmdUnit, newAmdUnit } from "../../formats/iommu/amd/encode.js";
export { v1Options, v2Options } from "../../formats/iommu/amd/geometry.js";
export * as amdLayouts from "../../formats/iommu/amd/layout.js";
export { devtblText, parseDevtbl } from "../../formats/iommu/amd/text.js";
export { amdv1 } from "../../formats/iommu/amd/v1.js";
export { openSmmuv3 } from "../../formats/iommu/arm/devices.js";
export * as armLayouts from "../../formats/iommu/arm/layout.js";
export { type ArmOptions, armFormat } from "../../formats/iommu/arm/table.js";
export {
  decodeTable,
  encodeTable,
  type LeafColumns,
  type TableColumns,
  type TableContent,
} from "../../formats/iommu/content.js";
export type {
  DeviceEntry,
  DeviceWords,
  IommuRoot,
  OpenUnit,
  TranslationKind,
  Unit,
  VendorName,
} from "../../formats/iommu/device.js";
export {
  type Domain,
  type DomainOptions,
  domainOf,
  type MapErrno,
  newDomain,
  type TableStore,
  tableOf,
} from "../../formats/iommu/domain.js";
export type {
  EntryReader,
  EntryWriter,
  FormatName,
  PageTable,
  TableFormat,
} from "../../formats/iommu/format.js";
export type { FrameSet } from "../../formats/iommu/frames.js";
export { iommuMap, type MapResult, mapTable, unmapTable } from "../../formats/iommu/map.js";
export { type Mapping, type MappingRuns, mappingAt, mappingsOf } from "../../formats/iommu/mappings.js";
export { compose, throughParent } from "../../formats/iommu/nested.js";
export {
  IOMMU_CACHE,
  IOMMU_MMIO,
  IOMMU_NOEXEC,
  IOMMU_PRIV,
  IOMMU_READ,
  IOMMU_WRITE,
} from "../../formats/iommu/prot.js";
export { openRiscv } from "../../formats/iommu/riscv/devices.js";
export { newRiscvUnit } from "../../formats/iommu/riscv/encode.js";
export * as riscvLayouts from "../../formats/iommu/riscv/layout.js";
export { type RiscvOptions, riscv64 } from "../../formats/iommu/riscv/table.js";
export { type Step, type Translated, translate } from "../../formats/iommu/translate.js";
export { openVtd } from "../../formats/iommu/vtd/devices.js";
export { newVtdUnit } from "../../formats/iommu/vtd/encode.js";
export * as vtdLayouts from "../../formats/iommu/vtd/layout.js";
export { type SecondStageOptions, vtdss } from "../../formats/iommu/vtd/second-stage.js";
export { dmarTranslationStruct, domainTranslationStruct } from "../../formats/iommu/vtd/text.js";
export { decodeMappings, type IommuContext, type LeafSink, walkTable } from "../../formats/iommu/walk.js";
export { type X86Options, x86Format } from "../../formats/iommu/x86.js";
export { decodeIommuState } from "../../formats/proposed/iommu/decode.js";
export { encodeIommuState, pagesFor } from "../../formats/proposed/iommu/encode.js";
export { decodeIommufd, encodeIommufd } from "../../formats/proposed/iommu/iommufd.js";
export {
  type IommuSeries,
  iommuLayoutsOf,
  iommuSeries,
  seriesOf,
  seriesWithCompatible,
} from "../../formats/proposed/iommu/series.js";
export type { IommuDevice, IommuDomain, IommuState } from "../../formats/proposed/iommu/state.js";
export { checkReach, checkTables, type Kept, keptBy } from "../iommu/cross-check.js";
export { type Change, diffMappings } from "../iommu/diff.js";
export { deviceName, parseDevice } from "../iommu/names.js";
export { type IommuOptions, type IommuReading, newReading, openIommu, vendorNames } from "../iommu/open.js";
export { type PersistedDomain, type PersistedIommus, readPersisted } from "../iommu/persisted.js";
export { mappedBytes, type Reach, reachOf } from "../iommu/reach.js";
