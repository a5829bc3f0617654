import { type PhysAddr, physAddr } from "../src/memory/index.js";
import type { Consequence } from "../src/report/finding.js";
import type { Context } from "./context.js";
import { type FdtNode, nativeU64, property } from "./fdt/index.js";

/** A property that a reader needs, and how its absence is told. */
export interface WantedProperty {
  readonly name: string;
  /** What a message says of it: `subtree LUO has no usable "blob-size" property`. */
  readonly missing: string;
  readonly path: string;
  /** Physical address of the tree, and of where the property should be. */
  readonly treePa: PhysAddr;
  readonly placePa: PhysAddr;
  readonly consequence: Consequence;
}

/** The value of a raw u64 property; undefined, and reported, if it is absent or not of 8 bytes. */
export function wantedU64(ctx: Context, node: FdtNode, wanted: WantedProperty): bigint | undefined {
  const { name, missing, path, treePa, placePa, consequence } = wanted;
  const found = property(node, name);
  const value = found && nativeU64(found.value, ctx.abi);
  if (value === undefined)
    ctx.report("error", found ? "property-bad-length" : "property-missing", missing, {
      path,
      pa: found ? physAddr(treePa + BigInt(found.valueOffset)) : placePa,
      length: found?.value.length ?? 0,
      expected: "8 bytes",
      actual: found ? `${found.value.length} bytes` : "absent",
      consequence,
    });
  return value;
}
