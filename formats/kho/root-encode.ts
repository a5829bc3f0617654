import type { Abi } from "../../src/layout/index.js";
import type { PhysAddr } from "../../src/memory/index.js";
import { KhoError } from "../../src/report/error.js";
import {
  buildSequential,
  editFdt,
  type FdtEditor,
  nativeU64Property,
  overwriteProperty,
  stringProperty,
  type TreeSource,
} from "../fdt/index.js";
import { isAtLeast, type Kernel } from "../kernels.js";
import { PROP_PRESERVED_MEMORY_MAP, type Root, rootForms, type SubtreeRef } from "./root.js";

/**
 * The root tree of a release, byte for byte up to its totalsize; `subtrees` are in the order of the tree. To 6.18 it is
 * written in one go. From 6.19 it begins empty, and every subtree is added in front of the older ones: what earlier ones
 * that were removed leave behind, which is nothing but names of properties, is not in it.
 * @throws KhoError `fdt-no-space` if it does not fit a page; `fdt-exists` from 6.19 if two subtrees have one name;
 * `value-range` if a size is missing that the release records
 */
export function encodeRoot(
  kernel: Kernel,
  { mapPa, subtrees }: Pick<Root, "mapPa" | "subtrees">,
  abi: Abi,
): Uint8Array {
  if (isAtLeast(kernel, "6.19"))
    return subtrees.reduceRight(
      (blob, ref) => addSubtreeTo(kernel, blob, ref, abi),
      emptyRoot(kernel, mapPa, abi),
    );
  const children = subtrees.map((ref) => ({
    name: ref.name,
    properties: subtreeProperties(kernel, ref, abi),
    children: [],
  }));
  const blob = sequentialRoot(kernel, mapPa, children, abi);
  if (blob.length > abi.pageSize)
    throw new KhoError("fdt-no-space", `the root takes ${blob.length} bytes, more than a page`, {
      expected: `at most ${abi.pageSize} bytes`,
      actual: `${blob.length} bytes`,
    });
  return blob;
}

/** The root as 6.19 and later make it at boot, without subtrees. The map's address is 0 before the first finalize. */
export const emptyRoot = (kernel: Kernel, mapPa: PhysAddr, abi: Abi): Uint8Array =>
  sequentialRoot(kernel, mapPa, [], abi);

const sequentialRoot = (
  kernel: Kernel,
  mapPa: PhysAddr,
  children: readonly TreeSource[],
  abi: Abi,
): Uint8Array =>
  buildSequential({
    name: "",
    properties: [
      ["compatible", stringProperty(kernel.kho)],
      [PROP_PRESERVED_MEMORY_MAP, nativeU64Property(mapPa, abi)],
    ],
    children,
  });

/** A subtree's properties in the order in which kernels set them. */
function subtreeProperties(
  kernel: Kernel,
  { name, pa, size }: SubtreeRef,
  abi: Abi,
): TreeSource["properties"] {
  const form = rootForms[kernel.kho];
  const address = [form.address, nativeU64Property(pa, abi)] as const;
  if (form.size === undefined) return [address];
  if (size === undefined)
    throw new KhoError("value-range", `${kernel.kho} records sizes, and subtree ${name} has none`);
  return [address, [form.size, nativeU64Property(size, abi)]];
}

/**
 * Adds a subtree as 6.19 and later do, to a root that is open in a page. Where the page is full, a kernel keeps what it
 * had added until then, be it a node without properties: the editor tells.
 * @throws KhoError `fdt-exists`, `fdt-no-space`; `value-range` if its size is missing and the release records it
 */
export function addSubtree(kernel: Kernel, root: FdtEditor, ref: SubtreeRef, abi: Abi): void {
  const properties = subtreeProperties(kernel, ref, abi);
  root.addNode([], ref.name);
  for (const [name, value] of properties) root.setProperty([ref.name], name, value);
}

/**
 * The root with one more subtree, or an error and no other root.
 * @throws KhoError as {@link addSubtree} does
 */
export const addSubtreeTo = (kernel: Kernel, blob: Uint8Array, ref: SubtreeRef, abi: Abi): Uint8Array =>
  editFdt(blob, abi.pageSize, (root) => addSubtree(kernel, root, ref, abi));

/**
 * The root without a subtree. Kernels have this from 6.19 on, and look for the blob's address.
 * @throws KhoError `fdt-missing` if there is none of that name
 */
export const removeSubtreeFrom = (blob: Uint8Array, name: string): Uint8Array =>
  editFdt(blob, blob.length, (root) => root.removeNode([], name));

/** The root with another memory map, as finalize of 6.19 and 7.0 puts it in place. */
export const setMapOf = (blob: Uint8Array, mapPa: PhysAddr, abi: Abi): Uint8Array =>
  overwriteProperty(blob, [], PROP_PRESERVED_MEMORY_MAP, nativeU64Property(mapPa, abi));
