import { newClaims } from "../../formats/claims.js";
import { khoIgnored } from "../../formats/consequence.js";
import type { Context, Limits } from "../../formats/context.js";
import type { Fdt } from "../../formats/fdt/index.js";
import { newestKernel } from "../../formats/kernels.js";
import { rootPath } from "../../formats/paths.js";
import { parseTree, reportTree, type TreeFault } from "../../formats/tree.js";
import type { Image } from "../image/image.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import type { Handoff } from "./model.js";
import { treeBytes } from "./tree-bytes.js";
import { recoverNames } from "./truncated.js";

/**
 * What trees are read with before page size and release are known, which the root tree itself is needed to find out.
 * Trees depend on neither.
 */
export const earlyContext = (image: Image, limits: Limits, report: Context["report"]): Context => ({
  memory: image.memory,
  abi: { byteOrder: "little", pageSize: 4096 },
  kernel: newestKernel,
  limits,
  claims: newClaims(4096),
  report,
});

/** The root tree, and what is wrong with it: that can be judged only once the tree has told the release. */
export interface RootTree {
  readonly fdt: Fdt;
  report(ctx: Context): void;
}

/**
 * Reads the root tree.
 * @throws KhoError `not-a-handover` if there is none; `memory-absent`
 */
export function readRootTree(early: Context, image: Image, handoff: Handoff): RootTree {
  const bytes = readRoot(image, handoff);
  const read = parseTree(bytes);
  const reporting =
    (faults: readonly TreeFault[]) =>
    (ctx: Context): void =>
      reportTree(ctx, { ...read, faults }, handoff.fdtPa, rootPath, khoIgnored("EINVAL"));
  if (read.fdt) {
    const { fdt } = read;
    if (!read.faults.some(({ code }) => code === "fdt-truncated"))
      return { fdt, report: reporting(read.faults) };
    const recovered = recoverNames(fdt);
    // What debugfs cuts off is the end of the strings. Where these are known nothing is lost.
    const whole = recovered !== fdt && fdt.header.off_dt_struct + fdt.header.size_dt_struct <= bytes.length;
    const faults = whole
      ? read.faults.map((fault) => ({ ...fault, severity: "info" as const }))
      : read.faults;
    return { fdt: recovered, report: reporting(faults) };
  }
  reporting(read.faults)(early);
  throw new KhoError("not-a-handover", `there is no tree that can be read at ${hex(handoff.fdtPa)}`, {
    pa: handoff.fdtPa,
  });
}

/** The bytes of the root: the page that is handed over, more if the tree says so and they are there. */
function readRoot(image: Image, { fdtPa, foundBy }: Handoff): Uint8Array {
  const copied = foundBy === "debugfs" ? copiedRoot(image) : image.blob;
  return copied ?? treeBytes(image.memory, fdtPa);
}

/**
 * The root where a file of its own holds it: a single tree, or the fdt of a copied folder. Undefined for memory.
 * @throws KhoError `not-a-handover` for a folder without it
 */
export function copiedRoot({ blob, debugfs }: Image): Uint8Array | undefined {
  if (debugfs && !debugfs.fdt) throw new KhoError("not-a-handover", "the folder has no fdt file");
  return blob ?? debugfs?.fdt;
}
