import { bootStops, misread } from "../../formats/consequence.js";
import { type Context, readMemory } from "../../formats/context.js";
import { fdtAbi, fdtHeader, hasFdtMagic } from "../../formats/fdt/index.js";
import { KHO_METADATA_NODE_NAME } from "../../formats/kho/metadata.js";
import { type Root, type SubtreeRef, subtreeLost } from "../../formats/kho/root.js";
import { KHO_TEST_FDT } from "../../formats/kho/test-module.js";
import { LUO_KHO_ENTRY_NAME } from "../../formats/luo/luo.js";
import { looksLikeLuo } from "../../formats/luo/root.js";
import { MEMBLOCK_KHO_FDT } from "../../formats/memblock/memblock.js";
import { subtreePath } from "../../formats/paths.js";
import type { Image } from "../image/image.js";
import { decode } from "../layout/index.js";
import { type PhysAddr, physAddr } from "../memory/index.js";
import type { Consequence } from "../report/finding.js";
import type { Subtree, SubtreeKind } from "./model.js";
import { headerSize, maxBlob, maxBlobs, treeBytes } from "./tree-bytes.js";

/** Reads the blobs of all subtrees, in the order of the tree. */
export function decodeSubtrees(ctx: Context, image: Image, root: Root, complete: boolean): Subtree[] {
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
  const path = subtreePath(name);
  const copied = image.debugfs?.blobs.get(name);
  if (copied)
    return { name, pa, size: ref.size ?? BigInt(copied.length), kind: kindOf(name, copied), blob: copied };
  const lost: Subtree = { name, pa, size: ref.size ?? 0n, kind: "unknown" };
  if (image.debugfs) return lost;
  if (pa === 0n) {
    ctx.report("error", "bad-address", `the blob of ${name} is at address 0`, {
      path,
      consequence: subtreeLost(ctx, name),
    });
    return lost;
  }
  // Readers of structures want a page at most, and those of trees do not look at the size.
  const page = BigInt(ctx.abi.pageSize);
  const recorded = ref.size !== undefined && knownSubtrees.has(name) && ref.size > page ? page : ref.size;
  if (recorded !== undefined && recorded > BigInt(maxBlob)) {
    ctx.report(
      "warning",
      "limit-exceeded",
      `the blob of ${name} is said to have ${ref.size} bytes and is not read`,
      {
        path,
        pa,
        expected: `at most ${maxBlob} bytes`,
        actual: `${ref.size} bytes`,
      },
    );
    return lost;
  }
  // Without a recorded size the blob is a tree, and its first page is what there is to look at.
  const length = Math.max(Number(recorded ?? 0n), 8);
  const oops = faultAtBoot(ctx, name);
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
  const size = ref.size ?? BigInt(tree ? sizeOfTree(blob) : blob.length);
  return { name, pa, size, kind: kindOf(name, blob), blob };
}

/** What a tree says of its own size, also where not all of it is in the capture. */
const sizeOfTree = (blob: Uint8Array): number =>
  hasFdtMagic(blob) && blob.length >= headerSize ? decode(fdtHeader, blob, 0, fdtAbi).totalsize : blob.length;

/** A blob whose size only its own header can tell. */
const treeOf = ({ memory }: Image, pa: PhysAddr, head: Uint8Array): Uint8Array =>
  memory.has(pa, headerSize) ? treeBytes(memory, pa) : head;

/** Names of subtrees whose blobs are understood. */
const knownSubtrees = new Set([LUO_KHO_ENTRY_NAME, KHO_METADATA_NODE_NAME, MEMBLOCK_KHO_FDT, KHO_TEST_FDT]);
/** Those whose blob is one page of order 0; the test module's is the first page of a larger folio. */
const singlePages = new Set([LUO_KHO_ENTRY_NAME, KHO_METADATA_NODE_NAME, MEMBLOCK_KHO_FDT]);

/** What happens at boot where a blob's address leads nowhere: a release only follows those that it has a reader for. */
function faultAtBoot({ kernel }: Context, name: string): Consequence | undefined {
  const read =
    name === MEMBLOCK_KHO_FDT ||
    name === KHO_TEST_FDT ||
    (name === LUO_KHO_ENTRY_NAME && kernel.luo !== undefined) ||
    (name === KHO_METADATA_NODE_NAME && kernel.metadata !== undefined);
  return read ? bootStops("unhandled fault") : undefined;
}

function kindOf(name: string, blob: Uint8Array): SubtreeKind {
  if (hasFdtMagic(blob)) return "fdt";
  if (name === LUO_KHO_ENTRY_NAME && looksLikeLuo(blob)) return "luo_ser";
  if (name === KHO_METADATA_NODE_NAME) return "kho_kexec_metadata";
  return "unknown";
}
