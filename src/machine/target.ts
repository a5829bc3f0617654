import type { Kernel } from "../../formats/kernels.js";
import type { Target } from "../../formats/target.js";
import type { Abi } from "../layout/index.js";
import type { Ram } from "./ram.js";

/** What encoders write to in a machine: RAM, where what they leave stays as it was. */
export const targetOf = ({ abi, kernel, ram }: { abi: Abi; kernel: Kernel; ram: Ram }): Target => ({
  abi,
  kernel,
  write: (pa, bytes) => ram.write(pa, bytes),
  leave: () => {},
});
