import { type Fdt, hasFdtMagic, nativeU64, property } from "../../formats/fdt/index.js";
import { knownVersion, rootForms, rootVersions } from "../../formats/kho/root.js";
import type { Image } from "../image/image.js";
import type { Abi } from "../layout/index.js";
import { type Memory, physAddr } from "../memory/index.js";
import { headerSize, treeBytes } from "./tree-bytes.js";

/** Looks at blobs before the real reading, to find out which release it is. */
export interface BlobReader {
  /** The blob of a subtree that is understood, by name, quietly; undefined if it is not in the capture. */
  blobOf(name: string, abi: Abi): Uint8Array | undefined;
}

export function blobReader(image: Image, fdt: Fdt): BlobReader {
  return {
    blobOf(name, abi) {
      const copied = image.debugfs?.blobs.get(name);
      if (copied) return copied;
      return memoryBlob(image.memory, fdt, name, abi);
    },
  };
}

/**
 * The blob of a subtree that is understood, by name, quietly; undefined if it is not in the memory. As when it is decoded
 * a tree has the size that it says itself, and a structure at most a page, whatever is recorded.
 */
export function memoryBlob(memory: Memory, fdt: Fdt, name: string, abi: Abi): Uint8Array | undefined {
  const ref = blobRef(fdt, name, abi);
  if (!ref || ref.pa === 0n || !memory.has(physAddr(ref.pa), headerSize)) return undefined;
  const pa = physAddr(ref.pa);
  if (ref.size === undefined || hasFdtMagic(memory.read(pa, headerSize))) return treeBytes(memory, pa);
  const size = Math.min(Number(ref.size), abi.pageSize);
  return memory.has(pa, size) ? memory.read(pa, size) : undefined;
}

/** Address of a subtree's blob in a root tree of any version, with its size where recorded. */
function blobRef(fdt: Fdt, name: string, abi: Abi): { pa: bigint; size: bigint | undefined } | undefined {
  const node = fdt.root.children.find((candidate) => candidate.name === name);
  const version = knownVersion(rootVersions(fdt));
  if (!node || !version) return undefined;
  const number = (property_: string | undefined): bigint | undefined => {
    const found = property_ === undefined ? undefined : property(node, property_);
    return found && nativeU64(found.value, abi);
  };
  const form = rootForms[version];
  const pa = number(form.address);
  return pa === undefined ? undefined : { pa, size: number(form.size) };
}
