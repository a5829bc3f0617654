/** The kernel that is to take a handover: which release's model stands for it, and what its image says otherwise. */
import { findKernel, kernelOf } from "../../../formats/kernels.js";
import { handedOver } from "../../../formats/registry.js";
import { KhoError } from "../../report/error.js";
import type { AbiDifference } from "../abi/compare.js";
import type { KernelImage } from "../kernel-image.js";

/** A kernel as preflight needs it. */
export interface Receiver {
  /** The release whose model boots. */
  readonly release: string;
  /** What is known of it only by its structures or its name, as sentences. */
  readonly notes: readonly string[];
  /** Names of the file handlers that it lists itself; absent where nothing lists them. */
  readonly handlers?: ReadonlySet<string>;
  /** Structures that it has otherwise than the release, by the version of the format that has them. */
  readonly differences: readonly Difference[];
  /** Bytes of a page; absent where nothing tells. */
  readonly pageSize?: number;
  readonly arch?: "x86_64" | "aarch64";
}

/** A structure of the release that the image has otherwise. */
export interface Difference {
  readonly struct: string;
  /** Version of what has the structure: `luo-v5`. Empty for the hand-off itself, which has none. */
  readonly compatible: string;
  /** `struct memfd_luo_ser has 56 bytes, not 48: pos moved`. */
  readonly text: string;
}

/** @throws KhoError `unknown-release` for an image that nothing tells the formats of */
export function receiverOf(image: KernelImage): Receiver {
  const { kernel, release, evidence, kind, versions, features, arch, abi } = image;
  if (!kernel)
    throw new KhoError("unknown-release", `nothing tells which formats this kernel has: ${evidence}`, {
      expected: "an image of a release that is known, or its number",
    });
  const notes: string[] = kind === "release" ? [] : [evidence];
  const listed = versions || features;
  if (kind !== "release" && !listed) notes.push("the image does not list its file handlers");
  return {
    release: release !== undefined && findKernel(release) ? release : kernel.release,
    notes,
    ...(listed && { handlers: new Set([...(versions ?? []), ...(features ?? []).map(({ name }) => name)]) }),
    differences: image.differences
      .filter(changesBytes)
      .flatMap((difference) => ofFormats(difference, kernel.release)),
    ...(abi && { pageSize: abi.pageSize }),
    ...(arch && { arch }),
  };
}

/** A new name for a member leaves every byte where it was. */
const changesBytes = ({ kind, from, to, members }: AbiDifference): boolean =>
  kind !== "changed" || from !== to || members.some((member) => member.kind !== "renamed");

/** The formats that a difference concerns; none for a structure that the release does not hand over. */
function ofFormats(difference: AbiDifference, release: string): Difference[] {
  const { struct } = difference;
  return handedOver(kernelOf(release))
    .filter(({ layout }) => layout.name === struct)
    .map(({ compatible = "" }) => ({ struct, compatible, text: textOf(difference) }));
}

function textOf({ struct, kind, from, to, members }: AbiDifference): string {
  if (kind === "removed") return `the image has no struct ${struct}: it was built without it`;
  const size = from === to ? "" : ` has ${to} bytes, not ${from}`;
  const changed = members.map(({ name, kind: how }) => `${name} ${how}`).join(", ");
  return `struct ${struct}${size}${changed === "" ? "" : `: ${changed}`}`;
}
