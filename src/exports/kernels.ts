/**
 * Which kernel release writes and accepts which version of each format, and which structures that makes.
 * @module
 */
export {
  findKernel,
  isAtLeast,
  type Kernel,
  type KhoVersion,
  kernelOf,
  kernels,
  type LuoVersion,
  type MemfdVersion,
} from "../../formats/kernels.js";
export { layoutsOf } from "../../formats/registry.js";
