import { decode, isTerminated, memberOf, sizeOf } from "../../src/layout/index.js";
import type { PhysAddr } from "../../src/memory/index.js";
import { itemIgnored } from "../consequence.js";
import type { Context } from "../context.js";
import { khoKexecMetadata } from "./layout.js";

/** Name of the subtree. */
export const KHO_METADATA_NODE_NAME = "kexec-metadata";
/** The only version so far. */
export const KHO_KEXEC_METADATA_VERSION = 1;

/** Which kernel wrote the handover. include/linux/kho/abi/kexec_metadata.h, since 7.1. */
export interface KexecMetadata {
  readonly version: number;
  /** Release of the writing kernel, `7.3.4`. */
  readonly previousRelease: string;
  /** Kexecs with KHO since the machine booted cold, with the one at hand. */
  readonly kexecCount: number;
}

/** Reads the blob of the `kexec-metadata` subtree; undefined where readers ignore it. */
export function decodeKexecMetadata(ctx: Context, blob: Uint8Array, pa: PhysAddr): KexecMetadata | undefined {
  const { abi } = ctx;
  const path = "kexec_metadata";
  const size = sizeOf(khoKexecMetadata, abi);
  const place = {
    path,
    pa,
    length: blob.length,
    consequence: itemIgnored("a warning, the metadata is not used"),
  };
  if (blob.length < size) {
    ctx.report("warning", "blob-size-mismatch", `the metadata has ${blob.length} bytes`, {
      ...place,
      expected: `at least ${size} bytes`,
      actual: `${blob.length} bytes`,
    });
    return undefined;
  }
  const {
    version,
    previous_release: previousRelease,
    kexec_count: kexecCount,
  } = decode(khoKexecMetadata, blob, 0, abi);
  if (version !== KHO_KEXEC_METADATA_VERSION) {
    ctx.report("warning", "metadata-unknown-version", `the metadata is of version ${version}`, {
      ...place,
      expected: String(KHO_KEXEC_METADATA_VERSION),
      actual: String(version),
    });
    return undefined;
  }
  const release = memberOf(khoKexecMetadata, "previous_release", abi);
  if (!isTerminated(blob, release.offset, release.size))
    ctx.report("warning", "string-unterminated", "previous_release has no NUL, which readers accept", {
      path: `${path}.previous_release`,
      pa: (pa + BigInt(release.offset)) as PhysAddr,
      length: release.size,
    });
  return { version, previousRelease, kexecCount };
}
