import { existsSync, readdirSync, readFileSync } from "node:fs";
import { isAtLeast, type Kernel, kernelOf } from "../../../formats/kernels.js";
import { fixtures } from "../../conformance/truth.js";

/** A whole tree that a kernel wrote, as debugfs showed it. */
export interface Capture {
  /** `7.3-memfd/second-in-fdt.dtb` */
  readonly name: string;
  readonly blob: Uint8Array;
  readonly kernel: Kernel;
  readonly isRoot: boolean;
  /** How kernels of that release write such a tree. */
  readonly mode: "sequential" | "packed";
}

/** All of them that are not cut: debugfs gives `out/fdt` the length that it had at boot. */
export const captures: readonly Capture[] = fixtures.flatMap(({ name, folder, truth }) => {
  const kernel = kernelOf(truth.kernelRelease);
  const files = existsSync(`${folder}/fdt`) ? readdirSync(`${folder}/fdt`) : [];
  return files
    .filter((file) => file.endsWith(".dtb"))
    .map((file): Capture => {
      const isRoot = file.endsWith("-fdt.dtb");
      const mode = isRoot && isAtLeast(kernel, "6.19") ? "packed" : "sequential";
      const blob = new Uint8Array(readFileSync(`${folder}/fdt/${file}`));
      return { name: `${name}/${file}`, blob, kernel, isRoot, mode };
    })
    .filter(({ blob }) => new DataView(blob.buffer, blob.byteOffset).getUint32(4) <= blob.length);
});
