import { type Kernel, kernels } from "../../../formats/kernels.js";
import { type HandedOver, handedOver, layoutsOf } from "../../../formats/registry.js";
import type { Btf } from "../../btf/types.js";
import { type Abi, pageSizes, type Struct, sizeOf } from "../../layout/index.js";
import { structureOfBtf } from "./from-btf.js";
import { structureOfLayout } from "./from-layout.js";
import type { Structure } from "./structure.js";

/** The structures that one kernel hands over, by its own word or by ours. */
export interface AbiSource {
  /** Bytes of a page; for types of a kernel worked out from structures that fill one. */
  readonly pageSize: number;
  /** By name; more than one of a name are different definitions in one kernel, which is a fault. */
  readonly structures: ReadonlyMap<string, readonly Structure[]>;
  /** Any structure of the kernel, handed over or not. */
  readonly find: (name: string) => readonly Structure[];
  /** Names of all of them, sorted. */
  readonly names: () => readonly string[];
}

/** Every structure that any release hands over, once for each form that it has had. */
const knownLayouts: readonly Struct[] = [...new Set(kernels.flatMap(layoutsOf))];
const knownNames: ReadonlySet<string> = new Set(knownLayouts.map(({ name }) => name));

/** True for a structure that some known release hands over. */
export const isKnown = (name: string): boolean => knownNames.has(name);

/** True for a name that the kernel gives to what it hands over: `_ser`, for serialized. */
export const isSerialized = (name: string): boolean => name.endsWith("_ser");

/** The structures of a release, as our layouts have them. */
export function abiOfRelease(kernel: Kernel, pageSize: number): AbiSource {
  const abi: Abi = { byteOrder: "little", pageSize };
  const structures = new Map(
    layoutsOf(kernel).map((layout) => [layout.name, [structureOfLayout(layout, abi)]] as const),
  );
  return {
    pageSize,
    structures,
    find: (name) => structures.get(name) ?? [],
    names: () => [...structures.keys()].sort(),
  };
}

/**
 * The handed-over structures among a kernel's types: those of known releases, and what calls itself serialized.
 * @throws KhoError `btf-malformed`
 */
export function abiOfBtf(btf: Btf): AbiSource {
  const find = (name: string): Structure[] =>
    [...btf.find("STRUCT", name), ...btf.find("UNION", name)].map((id) => structureOfBtf(btf, id));
  const names = btf.structNames().filter((name) => isKnown(name) || isSerialized(name));
  const structures = new Map(names.map((name) => [name, find(name)] as const));
  return { pageSize: pageSizeOf(structures) ?? pageSizes[0], structures, find, names: btf.structNames };
}

/** The page size with which the structures that fill a page have the size that they have. */
function pageSizeOf(structures: AbiSource["structures"]): number | undefined {
  const sizes = (layout: Struct): number[] =>
    pageSizes.map((pageSize) => sizeOf(layout, { byteOrder: "little", pageSize }));
  for (const layout of knownLayouts) {
    const all = sizes(layout);
    const found = all.indexOf(structures.get(layout.name)?.[0]?.size ?? -1);
    if (new Set(all).size === all.length && found >= 0) return pageSizes[found];
  }
  return undefined;
}

/** A release's structures by name, with what versions each; none if it is not known. */
export const entriesOf = (kernel: Kernel | undefined): ReadonlyMap<string, HandedOver> =>
  new Map(kernel ? handedOver(kernel).map((entry) => [entry.layout.name, entry] as const) : []);
