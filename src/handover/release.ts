import { newClaims } from "../../formats/claims.js";
import type { Context } from "../../formats/context.js";
import { type Fdt, fdtAbi, fdtHeader, readFdt } from "../../formats/fdt/index.js";
import { findKernel, type Kernel, kernelOf } from "../../formats/kernels.js";
import { khoKexecMetadata } from "../../formats/kho/layout.js";
import { bitmapSizeOf, decodeChunks } from "../../formats/kho/map-bitmaps.js";
import { KHO_METADATA_NODE_NAME } from "../../formats/kho/metadata.js";
import { decodeRoot, knownVersion, rootVersions } from "../../formats/kho/root.js";
import { KHO_TEST_FDT, listsByVmalloc } from "../../formats/kho/test-module.js";
import { LUO_FDT_FLB_NODE_NAME, LUO_KHO_ENTRY_NAME } from "../../formats/luo/luo.js";
import { type Abi, decode, sizeOf } from "../layout/index.js";
import { physAddr } from "../memory/index.js";
import { isKhoError } from "../report/error.js";
import type { BlobReader } from "./blobs.js";
import type { DecodeOptions } from "./options.js";

/** Which release's formats to read with, and how that is known. */
export interface ReleaseChoice {
  readonly kernel: Kernel;
  readonly guessed: boolean;
  /** Why this one, as a sentence. */
  readonly evidence: string;
  /** True if only version strings tell, so that a development kernel may have written it. */
  readonly open?: boolean;
  /** Bitmaps of `kho-v1`: true if nothing decides which of the two sizes they have. */
  readonly bitmapUndecided?: boolean;
}

/** What a guess may look at. `blobOf` gives the blob of a subtree, if it is in the capture. */
export interface Evidence {
  readonly fdt: Fdt;
  readonly abi: Abi;
  blobOf(name: string): Uint8Array | undefined;
  /** What the chunk list of `kho-v1` says of its bitmaps; undefined if it fits both sizes. */
  bitmapSize(): 512 | undefined;
}

/** The release that the caller names, or that the side file names, or a guess. */
export function chooseRelease(
  { release, meta }: DecodeOptions,
  early: Context,
  fdt: Fdt,
  { blobOf }: BlobReader,
): ReleaseChoice {
  const { abi } = early;
  if (release !== undefined)
    return { kernel: kernelOf(release), guessed: false, evidence: "named by the caller" };
  const named = meta?.kernelRelease;
  const kernel = named === undefined ? undefined : findKernel(named);
  if (kernel) return { kernel, guessed: false, evidence: `the side file names ${named!.slice(0, 65)}` };
  if (named !== undefined)
    early.report("info", "unknown-release", `the side file names ${named.slice(0, 65)}, which is not known`, {
      path: "",
    });
  return guessRelease({
    fdt,
    abi,
    blobOf: (name) => blobOf(name, abi),
    bitmapSize: () => {
      const quiet: Context = { ...early, claims: newClaims(abi.pageSize), report: () => {} };
      const { mapPa } = decodeRoot(quiet, fdt, physAddr(0));
      const list = decodeChunks(quiet, mapPa);
      return list && bitmapSizeOf(list, abi);
    },
  });
}

/** Works out the release that wrote a handover from what releases do differently. Never better than the evidence says. */
export function guessRelease(evidence: Evidence): ReleaseChoice {
  const { fdt, abi } = evidence;
  const version = knownVersion(rootVersions(fdt));
  const choice = (release: string, why: string): ReleaseChoice => ({
    kernel: kernelOf(release),
    guessed: true,
    evidence: why,
    open: true,
  });

  const metadata = evidence.blobOf(KHO_METADATA_NODE_NAME);
  if (metadata && metadata.length >= sizeOf(khoKexecMetadata, abi)) {
    const { previous_release: release } = decode(khoKexecMetadata, metadata, 0, abi);
    const kernel = findKernel(release);
    if (kernel && (version === undefined || kernel.kho === version))
      return {
        ...choice(kernel.release, `kexec-metadata names ${release.slice(0, 65)}`),
        open: /-(rc|next)/.test(release),
      };
  }
  if (version === "kho-v4") return choice("7.3", "kho-v4 is of 7.2 and 7.3, which write the same bytes");
  if (version === "kho-v3") return choice("7.1", "kho-v3 is of 7.1");
  if (version === "kho-v2") return choice("7.1", "kho-v2 is of development kernels before 7.1");
  if (version === undefined) return choice("7.3", "the version is not known; read as the newest that is");

  const luo = evidence.blobOf(LUO_KHO_ENTRY_NAME);
  if (luo || fdt.root.children.some(({ name }) => name === LUO_KHO_ENTRY_NAME)) {
    const tree = luo && quietly(luo);
    if (!tree) return choice("6.19", "kho-v1 with live update is of 6.19 and 7.0");
    return tree.root.children.some(({ name }) => name === LUO_FDT_FLB_NODE_NAME)
      ? choice("7.0", "kho-v1 with live update and a luo-flb node is of 7.0")
      : choice("6.19", "kho-v1 with live update and no luo-flb node is of 6.19");
  }
  // 6.19 edits its tree in place, which moves the reserve map up to the header; earlier ones write it in one go.
  if (fdt.root.children.length > 0 && fdt.header.off_mem_rsvmap === sizeOf(fdtHeader, fdtAbi))
    return choice("6.19", "kho-v1 in a tree that was edited in place is of 6.19 and 7.0");
  if (evidence.bitmapSize() === 512)
    return choice("6.17", "the bitmaps can only be of 512 bytes: 6.16 to 6.17.8");
  const test = evidence.blobOf(KHO_TEST_FDT);
  if (test && listsByVmalloc(quietly(test), abi))
    return choice("6.18", "the test module hands over a vmalloc area, since 6.18");
  return {
    ...choice("6.18", "kho-v1 without live update is of 6.16 to 6.18; page-sized bitmaps fit, since 6.17.9"),
    bitmapUndecided: true,
  };
}

function quietly(blob: Uint8Array): Fdt | undefined {
  try {
    return readFdt(blob, { lenient: true });
  } catch (error) {
    if (isKhoError(error)) return undefined;
    throw error;
  }
}
