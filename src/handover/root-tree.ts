import { newClaims } from "../../formats/claims.js";
import { khoIgnored } from "../../formats/consequence.js";
import type { Context, Limits } from "../../formats/context.js";
import type { Fdt } from "../../formats/fdt/index.js";
import { kernelOf } from "../../formats/kernels.js";
import { readTree } from "../../formats/tree.js";
import type { Image } from "../image/image.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import type { Handoff } from "./model.js";
import type { Reporting } from "./reporting.js";
import { treeBytes } from "./tree-bytes.js";
import { recoverNames } from "./truncated.js";

/**
 * What trees are read with before page size and release are known, which the root tree itself is needed to find out.
 * Trees depend on neither.
 */
export const earlyContext = (image: Image, limits: Limits, { report }: Reporting): Context => ({
  memory: image.memory,
  abi: { byteOrder: "little", pageSize: 4096 },
  kernel: kernelOf("7.3"),
  limits,
  claims: newClaims(4096),
  report,
});

/**
 * Reads the root tree.
 * @throws KhoError `not-a-handover` if there is none; `memory-absent`
 */
export function readRootTree(early: Context, image: Image, handoff: Handoff, reporting: Reporting): Fdt {
  const fdt = readTree(early, readRoot(image, handoff), handoff.fdtPa, "root", khoIgnored("EINVAL"));
  if (fdt) return reporting.truncated ? recoverNames(fdt) : fdt;
  throw new KhoError("not-a-handover", `there is no tree that can be read at ${hex(handoff.fdtPa)}`, {
    pa: handoff.fdtPa,
  });
}

/** The bytes of the root: the page that is handed over, more if the tree says so and they are there. */
function readRoot(image: Image, { fdtPa, foundBy }: Handoff): Uint8Array {
  if (foundBy === "debugfs") {
    if (image.debugfs?.fdt) return image.debugfs.fdt;
    throw new KhoError("not-a-handover", "the folder has no fdt file");
  }
  return image.blob ?? treeBytes(image.memory, fdtPa);
}
