import { type Abi, encode, sizeOf } from "../../src/layout/index.js";
import type { PhysAddr } from "../../src/memory/index.js";
import { fillPages } from "../fill.js";
import type { Target } from "../target.js";
import { khoKexecMetadata } from "./layout.js";
import type { KexecMetadata } from "./metadata.js";

/** Bytes of the blob, which is what the root tree records. */
export const kexecMetadataSize = (abi: Abi): number => sizeOf(khoKexecMetadata, abi);

/** Writes the blob of the `kexec-metadata` subtree into the page at `pa`. @throws KhoError `value-range` */
export function encodeKexecMetadata(target: Target, pa: PhysAddr, metadata: KexecMetadata): void {
  const { version, previousRelease, kexecCount } = metadata;
  const value = { version, previous_release: previousRelease, kexec_count: kexecCount };
  fillPages(target, pa, 1, encode(khoKexecMetadata, value, target.abi), "page-tail");
}
