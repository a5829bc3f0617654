import { type PhysAddr, physAddr } from "../../src/memory/index.js";
import type { Consequence } from "../../src/report/finding.js";
import { itemIgnored, khoIgnored, luoPanics } from "../consequence.js";
import type { Context } from "../context.js";
import { type Fdt, property, stringList } from "../fdt/index.js";
import { isAtLeast, type KhoVersion } from "../kernels.js";
import { LUO_KHO_ENTRY_NAME } from "../luo/luo.js";
import { subtreePath } from "../paths.js";
import { wantedU64 } from "../property.js";
import { reportVersion } from "../version.js";

/** What a version of the root tree calls its parts. include/linux/kho/abi/kexec_handover.h */
export interface RootForm {
  readonly map: "bitmaps" | "radix";
  /** Property of a subtree's node that holds the blob's physical address. */
  readonly address: string;
  /** Property that holds the blob's size in bytes; absent where every blob is an FDT that says it itself. */
  readonly size?: string;
  /** True if early kernels of this version made trees of one level less on 16K pages. */
  readonly mayBeShallow?: boolean;
}

/** The form of every version of the root tree. `kho-v2` was never in a release. */
export const rootForms: Readonly<Record<KhoVersion, RootForm>> = {
  "kho-v1": { map: "bitmaps", address: "fdt" },
  "kho-v2": { map: "radix", address: "preserved-data", mayBeShallow: true },
  "kho-v3": { map: "radix", address: "preserved-data", size: "blob-size", mayBeShallow: true },
  "kho-v4": { map: "radix", address: "preserved-data", size: "blob-size" },
};
/** Property of the root that holds the memory map's physical address. */
export const PROP_PRESERVED_MEMORY_MAP = "preserved-memory-map";

/** A node of the root tree: a name and where its blob is. */
export interface SubtreeRef {
  readonly name: string;
  /** 0 if the address cannot be told. */
  readonly pa: PhysAddr;
  /** Bytes; undefined where the version does not record it. */
  readonly size?: bigint;
}

/** The root tree of a handover. */
export interface Root {
  /** First string of `compatible`, as found. */
  readonly compatible: string;
  readonly form: RootForm;
  /** Physical address of the memory map, 0 for none. */
  readonly mapPa: PhysAddr;
  /** In the order of the tree. */
  readonly subtrees: readonly SubtreeRef[];
}

/** The version strings of a root tree, as found; empty if it has no usable `compatible`. */
export function rootVersions(fdt: Fdt): string[] {
  const found = property(fdt.root, "compatible");
  return (found && stringList(found.value)) ?? [];
}

/** The known version among the strings of a root tree. Kernels accept a list that contains their own; none writes a list. */
export const knownVersion = (versions: readonly string[]): KhoVersion | undefined =>
  versions.find((version): version is KhoVersion => Object.hasOwn(rootForms, version));

/** Reads a root tree at `pa`. */
export function decodeRoot(ctx: Context, fdt: Fdt, pa: PhysAddr): Root {
  const versions = rootVersions(fdt);
  const compatible = versions[0] ?? "";
  const known = knownVersion(versions);
  if (versions.length === 0)
    ctx.report("error", "property-missing", "the root has no usable version string", {
      path: "compatible",
      pa,
      expected: ctx.kernel.kho,
      consequence: khoIgnored("EINVAL"),
    });
  else if (!versions.includes(ctx.kernel.kho))
    reportVersion(ctx, {
      subject: "the root",
      path: "compatible",
      pa,
      found: compatible,
      expected: ctx.kernel.kho,
      known: known !== undefined,
      consequence: khoIgnored("EINVAL"),
    });
  const form = rootForms[known ?? guessVersion(fdt)];
  return { compatible, form, mapPa: mapOf(ctx, fdt, pa), subtrees: subtreesOf(ctx, fdt, form, pa) };
}

/** For a version string that is not known: the newest version whose property names occur. */
function guessVersion(fdt: Fdt): KhoVersion {
  const names = new Set(fdt.root.children.flatMap((node) => node.properties.map(({ name }) => name)));
  const newestFirst = (Object.keys(rootForms) as KhoVersion[]).reverse();
  const occurs = (name: string | undefined): boolean => name === undefined || names.has(name);
  const guess = newestFirst.find(
    (version) => occurs(rootForms[version].address) && occurs(rootForms[version].size),
  );
  return guess ?? newestFirst[0]!;
}

function mapOf(ctx: Context, fdt: Fdt, pa: PhysAddr): PhysAddr {
  const path = PROP_PRESERVED_MEMORY_MAP;
  const finalizeTime = !isAtLeast(ctx.kernel, "6.19");
  const lost: Consequence = finalizeTime
    ? { ...khoIgnored(), detail: "an error message, no memory is kept, the boot still counts as a handover" }
    : khoIgnored(isAtLeast(ctx.kernel, "7.1") ? undefined : "ENOENT");
  const value = wantedU64(ctx, fdt.root, {
    name: path,
    missing: `the root has no usable ${path}`,
    path,
    treePa: pa,
    placePa: pa,
    consequence: lost,
  });
  if (value === 0n)
    ctx.report(
      finalizeTime ? "info" : "error",
      "map-missing",
      finalizeTime
        ? "the memory map is empty: nothing is preserved"
        : "the memory map's address is 0: there is no map",
      { path, pa, length: 8, ...(!finalizeTime && { consequence: lost }) },
    );
  return physAddr(value ?? 0n);
}

function subtreesOf(ctx: Context, fdt: Fdt, form: RootForm, pa: PhysAddr): SubtreeRef[] {
  return fdt.root.children.map((node) => {
    const number = (name: string): bigint | undefined =>
      wantedU64(ctx, node, {
        name,
        missing: `subtree ${node.name} has no usable "${name}" property`,
        path: `${subtreePath(node.name)}.${name}`,
        treePa: pa,
        placePa: physAddr(pa + BigInt(node.offset)),
        consequence: subtreeLost(ctx, node.name),
      });
    const address = number(form.address);
    const size = form.size === undefined ? undefined : number(form.size);
    return { name: node.name, pa: physAddr(address ?? 0n), ...(size !== undefined && { size }) };
  });
}

/** What becomes of a subtree that cannot be found: its reader decides, and LUO's stops the boot. */
export const subtreeLost = ({ kernel }: Pick<Context, "kernel">, name: string): Consequence =>
  name === LUO_KHO_ENTRY_NAME && kernel.luo !== undefined
    ? luoPanics("EINVAL")
    : itemIgnored("the subtree's reader finds nothing", "EINVAL");
