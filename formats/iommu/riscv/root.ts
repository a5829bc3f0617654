import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { KhoError } from "../../../src/report/error.js";
import { hex } from "../../../src/report/hex.js";
import { addressOfFrame, frameLg2, unpackWord } from "../entry.js";
import type { IommuContext } from "../walk.js";
import { guessLevels } from "./guess.js";
import { DDTP_1LVL, DDTP_BARE, DDTP_OFF, mostLevels, reservedSet, riscvDdtp } from "./layout.js";

/** Where findings about the root are. */
export const rootPath = "ddtp";

/** What the root says: all devices are treated alike, or there is a directory of them. */
export type Root =
  | { readonly kind: "blocked" | "identity" }
  | { readonly kind: "directory"; readonly pa: PhysAddr; readonly levels: number };

const pageBytes = 2 ** frameLg2;

/**
 * Takes `ddtp`, or the address of the directory alone: one that is aligned to a page reads as a register that is off.
 * @throws KhoError `iommu-root-malformed`
 */
export function rootOf(ctx: IommuContext, root: bigint): Root {
  if (root !== 0n && root % BigInt(pageBytes) === 0n) {
    const pa = present(ctx, physAddr(root), root);
    const levels = guessLevels(ctx.memory, pa);
    const why = `taken for a device directory of ${levels} level${levels === 1 ? "" : "s"}, as its pages are linked`;
    ctx.report("info", "iommu-mode-guessed", `ddtp is given as an address: ${why}`, { path: rootPath, pa });
    return { kind: "directory", pa, levels };
  }
  const ddtp = unpackWord(riscvDdtp, root);
  const reserved = reservedSet(ddtp);
  if (reserved.length > 0)
    ctx.report("error", "iommu-reserved-bits", `ddtp: ${reserved.join(", ")} have to be zero`, {
      path: rootPath,
      actual: hex(root),
    });
  if (ddtp.iommu_mode === DDTP_OFF) return { kind: "blocked" };
  if (ddtp.iommu_mode === DDTP_BARE) return { kind: "identity" };
  const levels = ddtp.iommu_mode - DDTP_1LVL + 1;
  if (levels > mostLevels) throw malformed(root, `iommu_mode ${ddtp.iommu_mode} is of no known directory`);
  return { kind: "directory", pa: present(ctx, addressOfFrame(ddtp.PPN), root), levels };
}

function present({ memory }: IommuContext, pa: PhysAddr, root: bigint): PhysAddr {
  if (memory.has(pa, pageBytes)) return pa;
  throw malformed(root, `the device directory at ${hex(pa)} is not in the capture`, pa);
}

const malformed = (root: bigint, what: string, pa?: PhysAddr): KhoError =>
  new KhoError("iommu-root-malformed", `ddtp: ${what}`, {
    path: rootPath,
    actual: hex(root),
    ...(pa !== undefined && { pa }),
  });
