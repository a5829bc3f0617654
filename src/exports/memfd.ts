/**
 * Preserved memfds, `memfd-v1` and `memfd-v2`: the header and the folio list. A reader takes the context that
 * `kho/kho` makes, a writer a {@link Target}.
 * @module
 */
export type { Context } from "../../formats/context.js";
export { encodeFolios, encodeMemfd, folioCount, folioListSize } from "../../formats/memfd/encode.js";
export type { FolioRoom } from "../../formats/memfd/folio-list.js";
export { byIndex, type FolioRuns, pagesOf } from "../../formats/memfd/folios.js";
export {
  MEMFD_LUO_ALL_SEALS,
  MEMFD_LUO_FOLIO_DIRTY,
  MEMFD_LUO_FOLIO_UPTODATE,
  memfdLuoFolioSer,
  memfdLuoSerV1,
  memfdLuoSerV2,
  seals,
} from "../../formats/memfd/layout.js";
export { decodeMemfd, isMemfd, type Memfd, memfdLayouts } from "../../formats/memfd/memfd.js";
export type { Target } from "../../formats/target.js";
export type { Undefined } from "../../formats/undefined.js";
