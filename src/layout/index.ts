export { type Abi, pageShift, pageSizes } from "./abi.js";
export { type Column, columns } from "./columns.js";
export { decode, decodeMany, isTerminated } from "./decode.js";
export { encode, encodeInto } from "./encode.js";
export { encodeColumns } from "./encode-columns.js";
export { printLayout } from "./print.js";
export {
  capacity,
  extent,
  type Member,
  memberOf,
  offsetOf,
  type Resolved,
  resolve,
  sizeOf,
} from "./resolve.js";
export { bytesFromText, escapeText, textFromBytes } from "./text.js";
export {
  type ArrayOf,
  array,
  type Bits,
  type Bytes,
  be,
  bits,
  bytes,
  type Chars,
  chars,
  type Extent,
  type Field,
  type Fields,
  type Layout,
  le,
  type Meaning,
  type Padding,
  pa,
  padding,
  type Scalar,
  type Source,
  type Struct,
  s8,
  s16,
  s32,
  s64,
  struct,
  u8,
  u16,
  u32,
  u64,
  type ValueOf,
} from "./types.js";
export { type Rows, rows, view } from "./view.js";
export { type Leaf, walk } from "./walk.js";
export { hostIsLittle, littleWords } from "./words.js";
