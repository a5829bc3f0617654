/**
 * The `memblock` subtree: areas reserved by name with `reserve_mem=`. A reader takes the context that `kho/kho`
 * makes, a writer a {@link Target}.
 * @module
 */
export type { Context } from "../../formats/context.js";
export { encodeReserveMem } from "../../formats/memblock/encode.js";
export {
  decodeReserveMem,
  MEMBLOCK_KHO_FDT,
  MEMBLOCK_KHO_NODE_COMPATIBLE,
  RESERVE_MEM_KHO_NODE_COMPATIBLE,
  RESERVE_MEM_MAX_ENTRIES,
  type ReserveMem,
} from "../../formats/memblock/memblock.js";
export type { Target } from "../../formats/target.js";
export type { Undefined } from "../../formats/undefined.js";
