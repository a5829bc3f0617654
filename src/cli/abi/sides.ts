import type { AbiSide } from "../../compat/abi/claim.js";
import { abiOf, type KernelImage } from "../../compat/kernel-image.js";
import { KhoError } from "../../report/error.js";
import type { Run } from "../run.js";
import { kernelArgument, kernelLabel } from "./kernel-argument.js";

/** Options of every verb that reads kernels. */
export interface AbiOptions {
  readonly maxDecompressed?: number;
  readonly json?: boolean;
}

/** A kernel with the structures that it hands over, by its own word where it has types. */
export interface NamedKernel extends AbiSide {
  readonly image: KernelImage;
}

/** Reads the kernels that are named. Releases have pages of the size of the image beside them, else of `pageSize`. */
export function namedKernels(
  run: Run,
  texts: readonly string[],
  options: AbiOptions,
  pageSize = 4096,
): NamedKernel[] {
  const images = texts.map((text) => kernelArgument(run, text, options));
  const pages = images.find(({ abi }) => abi)?.abi?.pageSize ?? pageSize;
  const names = labelsOf(texts);
  return images.map((image, i) => {
    const source = abiOf(image, pages);
    const name = names[i]!;
    if (!source)
      throw new KhoError(
        "btf-missing",
        `${name} shows no types, and no formats are known for its release: ${image.evidence}`,
        {
          expected: "a kernel built with CONFIG_DEBUG_INFO_BTF, or BTF itself",
          ...(image.release !== undefined && { actual: image.release }),
        },
      );
    const { kernel, versions, features } = image;
    return {
      name,
      image,
      source,
      ...(kernel && { kernel }),
      ...(versions && { versions }),
      ...(features && { features }),
    };
  });
}

/** Files are called by their names without folders, unless two would be called the same. */
function labelsOf(texts: readonly string[]): string[] {
  const short = texts.map((text) => kernelLabel(text.split("/").at(-1) || text));
  return new Set(short).size === short.length ? short : texts.map(kernelLabel);
}

const kindNames = { btf: "BTF", vmlinux: "vmlinux", bzImage: "bzImage", release: "release" } as const;

/** What a kernel is, in a line: how it is known, and whose structures are looked at. */
export function kernelText({ image, source, name }: NamedKernel): string {
  if (image.kind === "release")
    return `Linux ${image.kernel!.release}: our layouts, pages of ${source.pageSize} bytes`;
  const release = image.release ?? image.kernel?.release;
  const whose = image.abi ? "its own types" : `no types, so our layouts of ${image.kernel!.release}`;
  return `${name}: ${kindNames[image.kind]}${release === undefined ? "" : `, Linux ${release}`}, ${whose}, pages of ${source.pageSize} bytes; ${image.evidence}`;
}

/** The same for a script. */
export const kernelJson = ({ image, source, name }: NamedKernel): Record<string, unknown> => ({
  name,
  kind: image.kind,
  ...(image.release !== undefined && { release: image.release }),
  ...(image.kernel && { formats: image.kernel.release }),
  evidence: image.evidence,
  guessed: image.guessed,
  types: image.abi ? "own" : "layouts",
  pageSize: source.pageSize,
  ...(image.versions && { versions: image.versions }),
  ...(image.features && { features: image.features }),
});
