/**
 * The Live Update Orchestrator: sessions, their files, and FLBs, in every version from `luo-v1` to `luo-v5`. A reader
 * takes the context that `kho/kho` makes, a writer a {@link Target}.
 * @module
 */
export type { Context } from "../../formats/context.js";
export {
  encodeFileArea,
  encodeFlbPage,
  encodeLuoRoot,
  encodeSessionArea,
  fileAreaCapacity,
  flbCapacity,
  type LuoRootSource,
  sessionAreaCapacity,
} from "../../formats/luo/encode.js";
export {
  luoFileSer,
  luoFileSetSer,
  luoFlbHeaderSer,
  luoFlbSer,
  luoSer,
  luoSerV2,
  luoSessionHeaderSer,
  luoSessionSer,
} from "../../formats/luo/layout.js";
export {
  LUO_KHO_ENTRY_NAME,
  type Luo,
  type LuoFile,
  type LuoFlb,
  type LuoSession,
} from "../../formats/luo/luo.js";
export {
  decodeFlbs,
  decodeLuo,
  LUO_FILE_PGCNT,
  LUO_FLB_PGCNT,
  LUO_SESSION_PGCNT,
} from "../../formats/luo/records.js";
export { decodeLuoRoot, type LuoRoot, looksLikeLuo, type Storage } from "../../formats/luo/root.js";
export type { Target } from "../../formats/target.js";
export type { Undefined } from "../../formats/undefined.js";
