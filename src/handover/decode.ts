import { type Claim, newClaims } from "../../formats/claims.js";
import { bootStops, khoIgnored, misread } from "../../formats/consequence.js";
import { type Context, defaultLimits, type Limits, readMemory, reporter } from "../../formats/context.js";
import { type Fdt, hasFdtMagic } from "../../formats/fdt/index.js";
import { kernelOf } from "../../formats/kernels.js";
import { checkHandoff } from "../../formats/kho/handoff.js";
import {
  type BitmapSize,
  bitmapSizeOf,
  decodeBitmapMap,
  decodeChunks,
} from "../../formats/kho/map-bitmaps.js";
import { decodeRadixMap, radixShape } from "../../formats/kho/map-radix.js";
import { decodeKexecMetadata, KHO_METADATA_NODE_NAME } from "../../formats/kho/metadata.js";
import type { PreservedMemory } from "../../formats/kho/preserved.js";
import { decodeRoot, type Root, type SubtreeRef, subtreeLost } from "../../formats/kho/root.js";
import { lookupIn, orderIn } from "../../formats/kho/runs.js";
import { decodeScratch } from "../../formats/kho/scratch.js";
import { decodeKhoTest, KHO_TEST_FDT } from "../../formats/kho/test-module.js";
import { LUO_KHO_ENTRY_NAME, type Luo } from "../../formats/luo/luo.js";
import { decodeLuo } from "../../formats/luo/records.js";
import { looksLikeLuo } from "../../formats/luo/root.js";
import { decodeReserveMem, MEMBLOCK_KHO_FDT } from "../../formats/memblock/memblock.js";
import { decodeMemfd, type FolioRoom, isMemfd } from "../../formats/memfd/memfd.js";
import { readTree } from "../../formats/tree.js";
import type { Image } from "../image/image.js";
import type { Abi } from "../layout/index.js";
import { type PhysAddr, pfnOf, physAddr } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import type { Finding } from "../report/finding.js";
import { hex } from "../report/hex.js";
import { choosePageSize, type PageSizeChoice } from "./abi.js";
import { crossCheck } from "./cross-check.js";
import { type FoundRoot, findRoot } from "./find-root.js";
import type { Meta } from "./meta.js";
import type { File, Handoff, Handover, LiveUpdate, Session, Subtree, SubtreeKind } from "./model.js";
import { blobRef, guessRelease, type ReleaseChoice } from "./release.js";
import { decodeSystemdMapping, SYSTEMD_MAPPING_TOKEN, SYSTEMD_SESSION } from "./systemd.js";
import { headerSize, maxBlob, maxBlobs, treeBytes } from "./tree-bytes.js";
import { recoverNames } from "./truncated.js";

/** How to decode. Everything is optional: what is not given is found, or guessed and said to be guessed. */
export interface DecodeOptions {
  /** Kernel release whose formats to read with, and whose reader judges: `7.3`, `6.17.8`, or a whole `uname -r`. */
  readonly release?: string;
  /** Size of a base page in bytes: 4096, 16384 or 65536. */
  readonly pageSize?: number;
  /** Physical address of the root tree. */
  readonly fdt?: bigint;
  /** Physical address of a hand-off record, a setup_data node, an x86 zero page, or a device tree with a hand-off. */
  readonly handoff?: bigint;
  /** Where the roots are, from a side file. */
  readonly meta?: Meta;
  /**
   * `strict`, the default, stops where the release would lose everything: it throws with that release's errno and
   * consequence. `forensic` reads on past damage. What concerns one file or one region is a finding in both.
   */
  readonly mode?: "strict" | "forensic";
  readonly limits?: Partial<Limits>;
  /** Told now and then how far a long step is; `total` is 0 where it is not known. */
  readonly onProgress?: (phase: string, done: number, total: number) => void;
}

/** A decoded handover and everything that was noticed on the way. */
export interface Decoded {
  readonly handover: Handover;
  /** In the order of discovery. Empty for a handover that is as a kernel writes it. */
  readonly findings: readonly Finding[];
  /** The pages that its structures occupy, without the contents of files and regions, in the order they were reached. */
  readonly structures: readonly Claim[];
}

/**
 * Reads the handover in an image: finds the root, follows everything that can be reached from it, and cross-checks it.
 * @throws KhoError `not-a-handover` if no root can be found; `unknown-release`; `usage` for contradicting options; in
 * strict mode every fault that would make the release ignore or refuse all of it, or stop its boot
 */
export function decodeHandover(image: Image, options: DecodeOptions = {}): Decoded {
  const limits: Limits = { ...defaultLimits, ...options.limits };
  const findings: Finding[] = [...image.findings];
  const judge = reporter(findings, options.mode !== "forensic", limits.maxFindings);
  if (image.byteOrder === "big")
    throw new KhoError(
      "unsupported-container",
      "KHO exists on little-endian machines only, this memory is big-endian",
    );

  const found = findRoot(image, options, options.onProgress);
  const base = { memory: image.memory, limits, ...(options.onProgress && { progress: options.onProgress }) };
  const partial = image.kind === "debugfs" || image.kind === "fdt";
  /** Files copied from debugfs are all there is: what they point to is not missing, it was never copied. */
  const report: Context["report"] = (severity, code, message, place) => {
    const expected =
      partial && (code === "memory-absent" || code === "map-missing" || (truncated && derived.has(code)));
    if (expected) judge("info", code, message, { ...place, consequence: undefined });
    else judge(severity, code, message, place);
  };
  let truncated = false;
  for (const note of found.notes) report("warning", "handoff-malformed", note, { path: "handoff" });
  if (found.ambiguous) reportAmbiguity(report, found);

  // Neither page size nor release is known yet, and the tree needs neither.
  const rootBytes = readRoot(image, found.handoff);
  const early: Context = {
    ...base,
    abi: { byteOrder: "little", pageSize: 4096 },
    kernel: kernelOf("7.3"),
    claims: newClaims(4096),
    report: treeReport,
  };
  function treeReport(...[severity, code, message, place]: Parameters<Context["report"]>): void {
    truncated ||= code === "fdt-truncated";
    if (partial && code === "fdt-truncated")
      judge(
        "warning",
        "truncated-capture",
        "the copied file ends inside the tree, as debugfs makes it from 6.19 on",
        { ...place, consequence: undefined },
      );
    else judge(severity, code, message, place);
  }
  const read = readTree(early, rootBytes, found.handoff.fdtPa, "root", khoIgnored("EINVAL"));
  if (!read)
    throw new KhoError("not-a-handover", `there is no tree that can be read at ${hex(found.handoff.fdtPa)}`, {
      pa: found.handoff.fdtPa,
    });

  const fdt = truncated ? recoverNames(read) : read;
  const blobs = blobReader(image, fdt);
  const size = pageSizeOf(image, options, limits, found, fdt);
  const abi: Abi = { byteOrder: "little", pageSize: size.pageSize };
  const choice = releaseOf(options, fdt, abi, blobs, early);
  const ctx: Context = {
    ...base,
    abi,
    kernel: choice.kernel,
    releaseOpen: choice.open ?? false,
    claims: newClaims(abi.pageSize, limits.maxClaims),
    report,
  };

  const { handoff } = found;
  if (fdt.header.totalsize > abi.pageSize)
    report(
      "warning",
      "fdt-bad-layout",
      `the root tree has ${fdt.header.totalsize} bytes, more than the page that is handed over`,
      {
        path: "root",
        pa: handoff.fdtPa,
        length: fdt.header.totalsize,
      },
    );
  if (handoff.recordPa !== 0n || handoff.foundBy === "chosen") checkHandoff(ctx, handoff);
  if (!partial) ctx.claims.claim(handoff.fdtPa, 1, 0, "root");
  const root = decodeRoot(ctx, fdt, handoff.fdtPa);
  const scratch = image.debugfs?.scratch.length
    ? image.debugfs.scratch
    : handoff.recordPa === 0n && handoff.scratchPa === 0n && handoff.scratchSize === 0n
      ? []
      : decodeScratch(ctx, handoff.scratchPa, handoff.scratchSize);
  const preserved = decodeMap(ctx, root, handoff, choice);
  const subtrees = decodeSubtrees(ctx, image, root, fdt.complete);
  const parts = decodeParts(ctx, image, subtrees, preserved);

  const handover: Handover = {
    compatible: root.compatible,
    pageSize: abi.pageSize,
    arch: options.meta?.arch ?? image.arch ?? size.arch ?? "",
    release: choice.kernel.release,
    releaseGuessed: choice.guessed,
    releaseEvidence: choice.evidence,
    handoff,
    scratch,
    ...(preserved && { preserved }),
    subtrees,
    ...parts,
  };
  crossCheck(ctx, handover);
  return { handover, findings, structures: ctx.claims.all };
}

/** What only follows from a tree that was cut. */
const derived = new Set([
  "property-missing",
  "property-bad-length",
  "compatible-unknown",
  "subtree-bad-address",
  "fdt-bad-string",
]);

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

/** The bytes of the root: the page that is handed over, more if the tree says so and they are there. */
function readRoot(image: Image, { fdtPa, foundBy }: Handoff): Uint8Array {
  if (foundBy === "debugfs") {
    if (image.debugfs?.fdt) return image.debugfs.fdt;
    throw new KhoError("not-a-handover", "the folder has no fdt file");
  }
  return image.blob ?? treeBytes(image.memory, fdtPa);
}

interface BlobReader {
  /** The blob of a subtree by name, quietly; undefined if it is not in the capture. */
  blobOf(name: string, abi: Abi): Uint8Array | undefined;
}

function blobReader(image: Image, fdt: Fdt): BlobReader {
  return {
    blobOf(name, abi) {
      const copied = image.debugfs?.blobs.get(name);
      if (copied) return copied;
      const ref = blobRef(fdt, name, abi);
      if (!ref || ref.pa === 0n || !image.memory.has(physAddr(ref.pa), headerSize)) return undefined;
      if (ref.size === undefined) return treeBytes(image.memory, physAddr(ref.pa));
      const size = Number(ref.size < BigInt(maxBlob) ? ref.size : BigInt(maxBlob));
      return image.memory.has(physAddr(ref.pa), size) ? image.memory.read(physAddr(ref.pa), size) : undefined;
    },
  };
}

function pageSizeOf(
  image: Image,
  options: DecodeOptions,
  limits: Limits,
  found: FoundRoot,
  fdt: Fdt,
): PageSizeChoice {
  const arch = options.meta?.arch ?? image.arch;
  return choosePageSize({
    given: options.pageSize ?? options.meta?.pageSize,
    arch,
    recorded: found.handoff.fdtSize,
    record: found.handoff.recordPa !== 0n,
    vmcoreinfo: image.pageSize,
    memory: image.memory,
    limits,
    fdt,
    fdtPa: found.handoff.fdtPa,
  });
}

function releaseOf(
  options: DecodeOptions,
  fdt: Fdt,
  abi: Abi,
  blobs: BlobReader,
  early: Context,
): ReleaseChoice {
  const named = options.release ?? options.meta?.kernelRelease;
  if (named !== undefined)
    return {
      kernel: kernelOf(named),
      guessed: false,
      evidence:
        options.release === undefined ? `the side file names ${named.slice(0, 65)}` : "named by the caller",
    };
  return guessRelease({
    fdt,
    abi,
    blobOf: (name) => blobs.blobOf(name, abi),
    bitmapSize: () => {
      const quiet: Context = { ...early, abi, claims: newClaims(abi.pageSize), report: () => {} };
      const { mapPa } = decodeRoot(quiet, fdt, physAddr(0));
      return bitmapSizeOf(decodeChunks(quiet, mapPa), abi);
    },
  });
}

function decodeMap(
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
  const size: BitmapSize = ctx.kernel.bitmap ?? bitmapSizeOf(list, ctx.abi) ?? "page";
  if (choice.bitmapUndecided)
    ctx.report(
      "info",
      "bitmap-size-guessed",
      "nothing decides how large the bitmaps are; read as pages, --release 6.17 reads them as 512 bytes",
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

/** Trees of early `kho-v2` and `kho-v3` kernels with 16K pages have a level less: the reading that keeps the root wins. */
function decodeRadix(ctx: Context, root: Root, handoff: Handoff): PreservedMemory {
  const shape = radixShape(ctx.abi);
  const early = radixShape(ctx.abi, true);
  const doubtful = root.compatible === "kho-v2" || root.compatible === "kho-v3";
  if (early.depth !== shape.depth && doubtful) {
    const attempt = (candidate: typeof shape): { keepsRoot: boolean; faults: number } => {
      let faults = 0;
      const report: Context["report"] = (severity, code) => {
        if (severity === "error" && code !== "order-too-large") faults++;
      };
      const quiet: Context = { ...ctx, claims: newClaims(ctx.abi.pageSize), report };
      const { runs } = decodeRadixMap(quiet, root.mapPa, candidate);
      const { kind } = lookupIn(runs)(pfnOf(handoff.fdtPa, ctx.abi.pageSize));
      return { keepsRoot: kind !== "absent", faults };
    };
    // Blocks of order 0 come out wrong of the smaller tree, so that it need not keep the root either.
    const [whole, smaller] = [attempt(shape), attempt(early)];
    if (!whole.keepsRoot && (smaller.keepsRoot || smaller.faults < whole.faults))
      return decodeRadixMap(ctx, root.mapPa, early);
  }
  return decodeRadixMap(ctx, root.mapPa, shape);
}

function decodeSubtrees(ctx: Context, image: Image, root: Root, complete: boolean): Subtree[] {
  const room = { bytes: maxBlobs };
  const subtrees = root.subtrees.map((ref) => decodeSubtree(ctx, image, ref, room));
  // A cut tree may lack the nodes of blobs that were copied.
  const listed = new Set(subtrees.map(({ name }) => name));
  if (!complete)
    for (const [name, blob] of image.debugfs?.blobs ?? [])
      if (!listed.has(name))
        subtrees.push({ name, pa: physAddr(0), size: BigInt(blob.length), kind: kindOf(name, blob), blob });
  return subtrees;
}

function decodeSubtree(ctx: Context, image: Image, ref: SubtreeRef, room: { bytes: number }): Subtree {
  const { name, pa } = ref;
  const path = `subtrees.${name}`;
  const copied = image.debugfs?.blobs.get(name);
  if (copied)
    return { name, pa, size: ref.size ?? BigInt(copied.length), kind: kindOf(name, copied), blob: copied };
  const lost: Subtree = { name, pa, size: ref.size ?? 0n, kind: "unknown" };
  if (image.debugfs) return lost;
  if (pa === 0n) {
    ctx.report("error", "subtree-bad-address", `the blob of ${name} is at address 0`, {
      path,
      consequence: subtreeLost(ctx, name),
    });
    return lost;
  }
  // Readers of structures want a page at most, and those of trees do not look at the size.
  const page = BigInt(ctx.abi.pageSize);
  const recorded = ref.size !== undefined && knownSubtrees.has(name) && ref.size > page ? page : ref.size;
  if (recorded !== undefined && recorded > BigInt(maxBlob)) {
    ctx.report("warning", "blob-size-mismatch", `the blob of ${name} is said to have ${ref.size} bytes`, {
      path,
      pa,
      expected: `at most ${maxBlob} bytes`,
      actual: `${ref.size} bytes`,
    });
    return lost;
  }
  // Without a recorded size the blob is a tree, and its first page is what there is to look at.
  const length = Math.max(Number(recorded ?? 0n), 8);
  const oops = knownSubtrees.has(name) ? bootStops("unhandled fault") : undefined;
  if (room.bytes < length) {
    ctx.report("error", "limit-exceeded", `all blobs together have more than ${maxBlobs} bytes`, {
      path,
      pa,
    });
    return lost;
  }
  const head = readMemory(ctx, pa, length, path, oops);
  if (!head) return lost;
  const tree = recorded === undefined || (knownSubtrees.has(name) && hasFdtMagic(head));
  const blob = tree ? treeOf(image, pa, head) : head.subarray(0, Number(recorded));
  if (tree && ref.size !== undefined && ref.size !== BigInt(blob.length))
    ctx.report(
      "warning",
      "blob-size-mismatch",
      `the tree of ${name} has ${blob.length} bytes; readers do not look at the size that is recorded`,
      { path, pa, expected: `${blob.length} bytes`, actual: `${ref.size} bytes` },
    );
  room.bytes -= blob.length;
  const pages = Math.ceil(Math.max(blob.length, 1) / ctx.abi.pageSize);
  const owner = ctx.claims.claim(pa, pages, pages === 1 && singlePages.has(name) ? 0 : "any-order", path);
  if (owner !== undefined)
    ctx.report("error", "structure-reused", `the blob of ${name} is in use already, as ${owner}`, {
      path,
      pa,
      consequence: misread("boot", "one of the two is taken for the other"),
    });
  return { name, pa, size: ref.size ?? BigInt(blob.length), kind: kindOf(name, blob), blob };
}

/** A blob whose size only its own header can tell. */
const treeOf = ({ memory }: Image, pa: PhysAddr, head: Uint8Array): Uint8Array =>
  memory.has(pa, headerSize) ? treeBytes(memory, pa) : head;

/** Subtrees with a reader in the kernel that follows the address at boot. */
const knownSubtrees = new Set([LUO_KHO_ENTRY_NAME, KHO_METADATA_NODE_NAME, MEMBLOCK_KHO_FDT, KHO_TEST_FDT]);
/** Those whose blob is one page of order 0; the test module's is the first page of a larger folio. */
const singlePages = new Set([LUO_KHO_ENTRY_NAME, KHO_METADATA_NODE_NAME, MEMBLOCK_KHO_FDT]);

function kindOf(name: string, blob: Uint8Array): SubtreeKind {
  if (hasFdtMagic(blob)) return "fdt";
  if (name === LUO_KHO_ENTRY_NAME && looksLikeLuo(blob)) return "luo_ser";
  if (name === KHO_METADATA_NODE_NAME) return "kho_kexec_metadata";
  return "unknown";
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
    readTree(ctx, blob, pa, `subtrees.${name}`, subtreeLost(ctx, name));

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

function decodeLiveUpdate(
  ctx: Context,
  image: Image,
  { blob, pa }: Required<Subtree>,
  preserved: PreservedMemory | undefined,
): LiveUpdate | undefined {
  if (image.debugfs && !looksLikeLuo(blob)) {
    ctx.report(
      "info",
      "stale-blob",
      "the copy of LUO is not live update state: from 7.2 on in/sub_fdts/LUO shows a page that was freed",
      {
        path: "luo",
        pa,
      },
    );
    return undefined;
  }
  const luo = decodeLuo(ctx, blob, pa);
  if (!luo) return undefined;
  const orderOf = preserved ? orderIn(preserved.runs) : () => -1;
  const left: FolioRoom = { entries: ctx.limits.maxFolios, runs: ctx.limits.maxRuns };
  const sessions = luo.sessions.map((session, s) => withPayloads(ctx, session, s, orderOf, left));
  // Of two sessions with one name the first is looked at: a mapping is large, and there could be any number of them.
  const s = sessions.findIndex(({ name }) => name === SYSTEMD_SESSION);
  const session = sessions[s];
  const mapping = session?.files.find(({ token }) => token === SYSTEMD_MAPPING_TOKEN)?.memfd;
  const systemd = mapping && decodeSystemdMapping(ctx, image.memory, mapping, `luo.sessions[${s}]`);
  if (session && systemd) sessions[s] = { ...session, systemd };
  return { ...luo, sessions };
}

function withPayloads(
  ctx: Context,
  session: Luo["sessions"][number],
  s: number,
  orderOf: (pfn: number) => number,
  left: FolioRoom,
): Session {
  const files = session.files.map((file, f): File => {
    if (!isMemfd(file.compatible)) return file;
    const path = `luo.sessions[${s}].files[${f}].memfd`;
    const memfd = decodeMemfd(ctx, file.compatible, physAddr(file.data), orderOf, path, left);
    ctx.progress?.("files", f + 1, session.files.length);
    return memfd ? { ...file, memfd } : file;
  });
  return { ...session, files };
}
