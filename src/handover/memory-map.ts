import { newClaims } from "../../formats/claims.js";
import { misread } from "../../formats/consequence.js";
import type { Context } from "../../formats/context.js";
import {
  bitmapSizeOf,
  type ChunkList,
  decodeBitmapMap,
  decodeChunks,
} from "../../formats/kho/map-bitmaps.js";
import { decodeRadixMap, radixShape } from "../../formats/kho/map-radix.js";
import type { PreservedMemory } from "../../formats/kho/preserved.js";
import type { Root } from "../../formats/kho/root.js";
import { lookupIn } from "../../formats/kho/runs.js";
import type { BitmapSize } from "../../formats/kho/skeleton.js";
import { type PhysAddr, pfnOf } from "../memory/index.js";
import type { Handoff } from "./model.js";
import type { ReleaseChoice } from "./release.js";

/** Reads the memory map in whichever form the root's version has it; undefined if there is none in the capture. */
export function decodeMap(
  ctx: Context,
  root: Root,
  handoff: Handoff,
  choice: ReleaseChoice,
): PreservedMemory | undefined {
  const { mapPa, form } = root;
  // A copied file says where the map is, but holds none of it.
  if (mapPa === 0n || ctx.memory.ranges.length === 0) return undefined;
  if (form.map === "radix") return decodeRadix(ctx, root, handoff);
  const list = decodeChunks(ctx, mapPa);
  if (!list) return undefined;
  const size: BitmapSize = choice.bitmapUndecided
    ? likelier(ctx, mapPa, list)
    : (ctx.kernel.bitmap ?? "page");
  if (choice.bitmapUndecided)
    ctx.report(
      "info",
      "bitmap-size-guessed",
      `nothing decides how large the bitmaps are; read as ${size === 512 ? "512 bytes" : "pages"}, naming the release settles it`,
      {
        path: "preserved",
        pa: mapPa,
      },
    );
  if (size === "page" && bitmapSizeOf(list, ctx.abi) === 512)
    ctx.report(
      "error",
      "map-bad-bitmap",
      `the bitmaps can only be of 512 bytes, Linux ${ctx.kernel.release} reads them as pages`,
      {
        path: "preserved",
        pa: mapPa,
        consequence: misread(
          "boot",
          "accepted and misread: the version string is the same, the bitmaps are not",
        ),
      },
    );
  return decodeBitmapMap(ctx, mapPa, list, size);
}

/** Pages, unless only the smaller bitmaps are all in the capture and in their place. */
function likelier(ctx: Context, mapPa: PhysAddr, list: ChunkList): BitmapSize {
  const faults = (size: BitmapSize): number => {
    let count = 0;
    const report: Context["report"] = (severity) => {
      if (severity === "error") count++;
    };
    decodeBitmapMap({ ...ctx, claims: newClaims(ctx.abi.pageSize), report }, mapPa, list, size);
    return count;
  };
  return faults("page") > 0 && faults(512) === 0 ? 512 : "page";
}

/** Trees of early `kho-v2` and `kho-v3` kernels with 16K pages have a level less: the reading that keeps the root wins. */
function decodeRadix(ctx: Context, root: Root, handoff: Handoff): PreservedMemory | undefined {
  const shape = radixShape(ctx.abi);
  const early = radixShape(ctx.abi, true);
  const doubtful = root.form.mayBeShallow ?? false;
  if (early.depth !== shape.depth && doubtful) {
    const attempt = (candidate: typeof shape): { keepsRoot: boolean; faults: number } => {
      let faults = 0;
      const report: Context["report"] = (severity, code) => {
        if (severity === "error" && code !== "order-too-large") faults++;
      };
      const quiet: Context = { ...ctx, claims: newClaims(ctx.abi.pageSize), report };
      const map = decodeRadixMap(quiet, root.mapPa, candidate);
      const found = map && lookupIn(map.runs)(pfnOf(handoff.fdtPa, ctx.abi.pageSize));
      return { keepsRoot: found !== undefined && found.kind !== "absent", faults };
    };
    // Blocks of order 0 come out wrong of the smaller tree, so that it need not keep the root either.
    const [whole, smaller] = [attempt(shape), attempt(early)];
    if (!whole.keepsRoot && (smaller.keepsRoot || smaller.faults < whole.faults))
      return decodeRadixMap(ctx, root.mapPa, early);
  }
  return decodeRadixMap(ctx, root.mapPa, shape);
}
