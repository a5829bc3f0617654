import { type Claim, newClaims } from "../../formats/claims.js";
import { type Context, defaultLimits, type Limits, reporter } from "../../formats/context.js";
import type { Fdt } from "../../formats/fdt/index.js";
import { checkHandoff } from "../../formats/kho/handoff.js";
import { decodeKexecMetadata, KHO_METADATA_NODE_NAME } from "../../formats/kho/metadata.js";
import type { PreservedMemory } from "../../formats/kho/preserved.js";
import { decodeRoot, subtreeLost } from "../../formats/kho/root.js";
import { decodeScratch } from "../../formats/kho/scratch.js";
import { decodeKhoTest, KHO_TEST_FDT } from "../../formats/kho/test-module.js";
import { LUO_KHO_ENTRY_NAME } from "../../formats/luo/luo.js";
import { decodeReserveMem, MEMBLOCK_KHO_FDT } from "../../formats/memblock/memblock.js";
import { rootPath, subtreePath } from "../../formats/paths.js";
import { readTree } from "../../formats/tree.js";
import type { Image } from "../image/image.js";
import type { Abi } from "../layout/index.js";
import type { MemoryRange } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import type { Finding } from "../report/finding.js";
import { hex } from "../report/hex.js";
import { choosePageSize } from "./abi.js";
import { blobReader } from "./blobs.js";
import { crossCheck } from "./cross-check.js";
import { type FoundRoot, findRoot } from "./find-root.js";
import { decodeLiveUpdate } from "./live-update.js";
import { decodeMap } from "./memory-map.js";
import type { Handoff, Handover, Subtree } from "./model.js";
import type { DecodeOptions } from "./options.js";
import { chooseRelease } from "./release.js";
import { reportFor } from "./reporting.js";
import { earlyContext, readRootTree } from "./root-tree.js";
import { decodeSubtrees } from "./subtrees.js";

/** A decoded handover and everything that was noticed on the way. */
export interface Decoded {
  readonly handover: Handover;
  /** In the order of discovery. Nothing above `info` for a handover that is as a kernel writes it. */
  readonly findings: readonly Finding[];
  /** The pages that its structures occupy, without the contents of files and regions, in the order they were reached. */
  readonly structures: readonly Claim[];
}

/**
 * Reads the handover in an image: finds the root, follows everything that can be reached from it, and cross-checks it.
 *
 * Memory follows what is in the result and not the pages of the machine: 17 bytes for each run of preserved blocks and 27 for
 * each run of folios, twice as much while they are made, 28 for each of a million of them (or of a sixteenth of all;
 * of hostile ones that lie in one place, of all) while owners are compared, and what the image itself reads at a time, see `openImage`. A host of 1 TiB in folios of
 * 4 KiB, 64 of them side by side on average, is 4 million runs of each kind: about 200 MB. Time is linear. Every count is
 * bounded by {@link DecodeOptions.limits}.
 * @throws KhoError `not-a-handover` if no root can be found; `unknown-release`; `usage` for contradicting options; in
 * strict mode every fault that would make the release ignore or refuse all of it, or stop its boot
 */
export function decodeHandover(image: Image, options: DecodeOptions = {}): Decoded {
  if (image.byteOrder === "big")
    throw new KhoError(
      "unsupported-container",
      "KHO exists on little-endian machines only, this memory is big-endian",
    );
  const limits: Limits = { ...defaultLimits, ...options.limits };
  const findings: Finding[] = [...image.findings];
  const report = reportFor(image, reporter(findings, options.mode !== "forensic", limits.maxFindings));

  const found = findRoot(image, options, limits, options.onProgress);
  const { handoff } = found;
  for (const note of found.notes) report("warning", "handoff-malformed", note, { path: "handoff" });
  if (found.ambiguous) reportAmbiguity(report, found);

  const early = earlyContext(image, limits, report);
  const tree = readRootTree(early, image, handoff);
  const { fdt } = tree;
  const size = choosePageSize({
    given: options.pageSize ?? options.meta?.pageSize,
    arch: options.meta?.arch ?? image.arch,
    recorded: handoff.fdtSize,
    record: handoff.recordPa !== 0n,
    vmcoreinfo: image.pageSize,
    memory: image.memory,
    limits,
    fdt,
    fdtPa: handoff.fdtPa,
  });
  const { pageSize } = size;
  const abi: Abi = { byteOrder: "little", pageSize };
  const release = chooseRelease(options, { ...early, abi }, fdt, blobReader(image, fdt));
  const ctx: Context = {
    ...early,
    abi,
    kernel: release.kernel,
    releaseOpen: release.open ?? false,
    claims: newClaims(pageSize, limits.maxClaims),
    ...(options.onProgress && { progress: options.onProgress }),
  };

  tree.report(ctx);
  checkRoot(ctx, image, fdt, handoff);
  const root = decodeRoot(ctx, fdt, handoff.fdtPa);
  const scratch = scratchOf(ctx, image, handoff);
  const preserved = decodeMap(ctx, root, handoff, release);
  const subtrees = decodeSubtrees(ctx, image, root, fdt.complete);
  const parts = decodeParts(ctx, image, subtrees, preserved);
  const handover: Handover = {
    compatible: root.compatible,
    pageSize,
    pageSizeGuessed: size.guessed,
    pageSizeEvidence: size.evidence,
    arch: options.meta?.arch ?? image.arch ?? size.arch ?? "",
    release: release.kernel.release,
    releaseGuessed: release.guessed,
    releaseEvidence: release.evidence,
    handoff,
    scratch,
    ...(preserved && { preserved }),
    subtrees,
    ...parts,
  };
  crossCheck(ctx, handover);
  return { handover, findings, structures: ctx.claims.all };
}

/** What the record and the page of the root say of themselves; claims that page. */
function checkRoot(ctx: Context, image: Image, fdt: Fdt, handoff: Handoff): void {
  const { totalsize } = fdt.header;
  if (totalsize > ctx.abi.pageSize)
    ctx.report(
      "warning",
      "fdt-bad-layout",
      `the root tree has ${totalsize} bytes, more than the page that is handed over`,
      { path: rootPath, pa: handoff.fdtPa, length: totalsize },
    );
  if (handoff.recordPa !== 0n || handoff.foundBy === "chosen") checkHandoff(ctx, handoff);
  if (image.memory.ranges.length > 0) ctx.claims.claim(handoff.fdtPa, 1, 0, rootPath);
}

/** The scratch areas: from the array that is handed off, or as a copied folder lists them; none where neither is known. */
function scratchOf(ctx: Context, image: Image, handoff: Handoff): readonly MemoryRange[] {
  const { recordPa, scratchPa, scratchSize } = handoff;
  if (image.debugfs && image.debugfs.scratch.length > 0) return image.debugfs.scratch;
  const unknown = recordPa === 0n && scratchPa === 0n && scratchSize === 0n;
  return unknown ? [] : decodeScratch(ctx, scratchPa, scratchSize, handoff.foundBy === "scan");
}

function reportAmbiguity(report: Context["report"], { candidates, handoff }: FoundRoot): void {
  const others = candidates.filter(
    (candidate) => candidate.usable && (candidate.record?.fdtPa ?? candidate.pa) !== handoff.fdtPa,
  );
  report(
    "warning",
    "root-ambiguous",
    `the root at ${hex(handoff.fdtPa)} is one of several that are equally good`,
    {
      path: "handoff",
      pa: handoff.fdtPa,
      expected: "one root, or --fdt",
      actual: others
        .slice(0, 8)
        .map(({ pa }) => hex(pa))
        .join(", "),
    },
  );
}

type Parts = Pick<Handover, "luo" | "reserveMem" | "kexecMetadata" | "khoTest">;

/** Reads the blobs of the subtrees that are known. A name that occurs twice is read once: kernels find the first. */
function decodeParts(
  ctx: Context,
  image: Image,
  subtrees: readonly Subtree[],
  preserved: PreservedMemory | undefined,
): Parts {
  const withBlob = (name: string): Required<Subtree> | undefined => {
    const subtree = subtrees.find((candidate) => candidate.name === name);
    return subtree?.blob && (subtree as Required<Subtree>);
  };
  const tree = ({ blob, pa, name }: Required<Subtree>): Fdt | undefined =>
    readTree(ctx, blob, pa, subtreePath(name), subtreeLost(ctx, name));

  const metadata = withBlob(KHO_METADATA_NODE_NAME);
  const kexecMetadata = metadata && decodeKexecMetadata(ctx, metadata.blob, metadata.pa);
  const memblock = withBlob(MEMBLOCK_KHO_FDT);
  const memblockTree = memblock && tree(memblock);
  const test = withBlob(KHO_TEST_FDT);
  const testTree = test && tree(test);
  const khoTest = testTree && decodeKhoTest(ctx, testTree, test.pa);
  const luo = withBlob(LUO_KHO_ENTRY_NAME);
  const liveUpdate = luo && decodeLiveUpdate(ctx, image, luo, preserved);
  return {
    reserveMem: memblockTree ? decodeReserveMem(ctx, memblockTree, memblock.pa) : [],
    ...(kexecMetadata && { kexecMetadata }),
    ...(khoTest && { khoTest }),
    ...(liveUpdate && { luo: liveUpdate }),
  };
}
