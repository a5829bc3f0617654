/**
 * Flattened device trees: the blob that KHO hands over as its root, and that LUO (to 7.1) and memblock hand over
 * as their subtrees.
 * @module
 */
export { cells, child, findNode, nativeU32, nativeU64, property, stringList, stringValue } from "./access.js";
export {
  buildSequential,
  nativeU32Property,
  nativeU64Property,
  stringProperty,
  type TreeSource,
} from "./build.js";
export { checkFdt } from "./check.js";
export { type Dts, type DtsOptions, toDts } from "./dts.js";
export { editFdt, type FdtEditor, type NodePath, openFdt, overwriteProperty } from "./edit.js";
export {
  FDT_BEGIN_NODE,
  FDT_END,
  FDT_END_NODE,
  FDT_FIRST_SUPPORTED_VERSION,
  FDT_LAST_SUPPORTED_VERSION,
  FDT_MAGIC,
  FDT_MAX_TOTALSIZE,
  FDT_NOP,
  FDT_OLDEST_READABLE_VERSION,
  FDT_PROP,
  FDT_TAGSIZE,
  type FdtHeader,
  fdtAbi,
  fdtHeader,
  fdtNodeHeader,
  fdtPropertyHeader,
  fdtReserveEntry,
} from "./layout.js";
export { hasFdtMagic } from "./magic.js";
export type { FdtProblem } from "./problem.js";
export { type FdtReadOptions, readFdt } from "./read.js";
export type { Fdt, FdtNode, FdtProperty, FdtReservation } from "./tree.js";
