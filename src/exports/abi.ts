/**
 * Which structures a kernel hands over, by its own word: its types (BTF), read from vmlinux, /sys/kernel/btf/vmlinux or a
 * bzImage, held against the layouts of the releases, against each other, and against what breaks handovers.
 *
 * ```ts
 * const image = readKernelImage(readFileSync("/sys/kernel/btf/vmlinux"));
 * for (const { rule, struct, message } of lintAbi({ name: "running", source: image.abi, kernel: image.kernel }))
 *   console.log(rule, struct, message);
 * ```
 * @module
 */
export { type HandedOver, handedOver, layoutsOf } from "../../formats/registry.js";
export { encodeBtf } from "../btf/encode.js";
export { looksLikeBtf, readBtf } from "../btf/read.js";
export { reduceBtf } from "../btf/reduce.js";
export type { Btf, BtfId, BtfMember, BtfType } from "../btf/types.js";
export {
  type AbiCitation,
  type AbiClaim,
  type AbiRule,
  type AbiSide,
  abiRules,
} from "../compat/abi/claim.js";
export {
  type AbiDifference,
  compareStructures,
  type MemberDifference,
  type MemberPlace,
} from "../compat/abi/compare.js";
export { structureOfBtf } from "../compat/abi/from-btf.js";
export { structureOfLayout } from "../compat/abi/from-layout.js";
export { lintAbi, lintAbis } from "../compat/abi/lint.js";
export { printStructure } from "../compat/abi/print.js";
export { type AbiSource, abiOfBtf, abiOfRelease } from "../compat/abi/source.js";
export type { Member, Structure, Type } from "../compat/abi/structure.js";
export {
  abiOf,
  type KernelImage,
  type KernelImageOptions,
  kernelImageOf,
  readKernelImage,
} from "../compat/kernel-image.js";
