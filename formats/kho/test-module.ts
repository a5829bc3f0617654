import { type Abi, decode, sizeOf } from "../../src/layout/index.js";
import { addressOf, type PhysAddr, pfnOf, physAddr } from "../../src/memory/index.js";
import { hex } from "../../src/report/hex.js";
import { itemIgnored } from "../consequence.js";
import type { Context } from "../context.js";
import { child, type Fdt, type FdtNode, nativeU32, property, stringList } from "../fdt/index.js";
import { khoTestFoliosPath, khoTestInfoPath, khoTestPath } from "../paths.js";
import { khoVmalloc } from "./layout.js";
import { decodeVmalloc, vmallocBytes, vmallocPages } from "./vmalloc.js";

/** Name, version string and magic of the KHO test module's subtree. lib/test_kho.c, since 6.16. */
export const KHO_TEST_FDT = "kho_test";
export const KHO_TEST_COMPAT = "kho-test-v1";
export const KHO_TEST_MAGIC = 0x4b484f21;

/** What the KHO test module hands over: folios of any order with contents that add up to `csum`. */
export interface KhoTest {
  readonly magic: number;
  readonly nrFolios: number;
  /** Internet checksum of all folios in order, not folded. */
  readonly csum: number;
  /** PFN and order of each folio. */
  readonly folios: { readonly pfn: Float64Array; readonly order: Uint8Array };
  /** Whether the contents add up: `unknown` if some are not in the capture. */
  readonly checksum: "right" | "wrong" | "unknown";
}

const lost = itemIgnored("the test module reports a failed restore");

/** Above every order that a page allocator hands out. */
const largestOrder = 20;

/** Bytes that are summed up, more than a hundred times what the module makes by itself. */
const maxSummed = 2 ** 30;

/** Folios that the list of a hostile capture may name; the module's own maximum is far below. */
const maxFolios = 1 << 22;

/** Reads the test module's subtree. Its blob is a tree at `pa`. */
export function decodeKhoTest(ctx: Context, fdt: Fdt, pa: PhysAddr): KhoTest | undefined {
  const path = khoTestPath;
  const malformed = (message: string, expected?: string, actual?: string): undefined => {
    const detail = { ...(expected !== undefined && { expected }), ...(actual !== undefined && { actual }) };
    ctx.report("error", "kho-test-malformed", message, { path, pa, ...detail, consequence: lost });
    return undefined;
  };
  const compatible = property(fdt.root, "compatible");
  const versions = (compatible && stringList(compatible.value)) ?? [];
  if (!versions.includes(KHO_TEST_COMPAT))
    return malformed("the test subtree is of another version", KHO_TEST_COMPAT, versions.join(", "));
  const number = (node: FdtNode | undefined, name: string): number | undefined => {
    const found = node && property(node, name);
    return found && nativeU32(found.value, ctx.abi);
  };
  const data = child(fdt.root, "data");
  const magic = number(fdt.root, "magic");
  const nrFolios = number(data, "nr_folios");
  const csum = number(data, "csum");
  const info = data && property(data, "folios_info");
  if (magic === undefined || nrFolios === undefined || csum === undefined || !info)
    return malformed("the test subtree lacks magic, nr_folios, folios_info or csum");
  if (magic !== KHO_TEST_MAGIC)
    malformed("the magic is wrong", `0x${KHO_TEST_MAGIC.toString(16)}`, `0x${magic.toString(16)}`);

  const words = folioWords(ctx, info.value, nrFolios, ctx.kernel.vmalloc);
  if (words === "reported") return undefined;
  if (!words)
    return malformed(
      "folios_info does not hold nr_folios addresses",
      `${nrFolios} folios`,
      `${info.value.length} bytes`,
    );
  const folios = { pfn: new Float64Array(words.length), order: new Uint8Array(words.length) };
  for (const [i, word] of words.entries()) {
    const order = Number(word % BigInt(ctx.abi.pageSize));
    if (order > largestOrder)
      return malformed(`folio ${i} has order ${order}`, `0 to ${largestOrder}`, String(order));
    folios.pfn[i] = pfnOf(physAddr(word), ctx.abi.pageSize);
    folios.order[i] = order;
    // Folios are aligned to their size, so that those of one order cannot overlap.
    if (folios.pfn[i]! % 2 ** order !== 0)
      return malformed(
        `folio ${i} does not begin a block of order ${order}`,
        undefined,
        `PFN ${hex(folios.pfn[i]!)}`,
      );
    if (ctx.claims.full) {
      ctx.report("error", "limit-exceeded", "the structures of this handover take up too many pages", {
        path,
        pa,
      });
      return undefined;
    }
    const at = addressOf(folios.pfn[i]!, ctx.abi.pageSize);
    const owner = ctx.claims.claim(at, 2 ** order, order, khoTestFoliosPath, lost);
    if (owner === undefined) continue;
    ctx.report("error", "structure-reused", `folio ${i} is in use already, as ${owner}`, {
      path: khoTestFoliosPath,
      pa: at,
      length: ctx.abi.pageSize,
      consequence: lost,
    });
    return undefined;
  }
  const sum = checksumOf(ctx, folios);
  const checksum = sum === undefined ? "unknown" : sum === foldSum(csum) ? "right" : "wrong";
  if (checksum === "wrong")
    ctx.report("error", "kho-test-checksum", "the contents of the test folios have changed", {
      path: `${path}.csum`,
      pa,
      expected: `0x${foldSum(csum).toString(16)} (folded)`,
      actual: `0x${sum!.toString(16)} (folded)`,
      consequence: lost,
    });
  return { magic, nrFolios, csum, folios, checksum };
}

/** True if the list of a test module's tree can only be in a vmalloc area, as it is since 6.18. */
export function listsByVmalloc(fdt: Fdt | undefined, abi: Abi): boolean {
  const data = fdt && child(fdt.root, "data");
  const info = data && property(data, "folios_info");
  const count = data && property(data, "nr_folios");
  const nrFolios = count && nativeU32(count.value, abi);
  return (
    nrFolios !== undefined &&
    info?.value.length === sizeOf(khoVmalloc, abi) &&
    nrFolios * 8 !== info.value.length
  );
}

/**
 * One u64 a folio: its physical address with its order in the bits below the page size. Up to 6.17 they are in the
 * property itself, from 6.18 in a preserved vmalloc area; a single folio's property has 8 bytes, a descriptor 16.
 */
function folioWords(
  ctx: Context,
  value: Uint8Array,
  nrFolios: number,
  byVmalloc: boolean,
): BigUint64Array | "reported" | undefined {
  const { abi } = ctx;
  if (nrFolios > maxFolios) return undefined;
  const inline = nrFolios * 8;
  const viaArea =
    value.length === sizeOf(khoVmalloc, abi) &&
    (inline !== value.length || (byVmalloc && isOnePage(value, abi)));
  if (!viaArea) return value.length === inline ? wordsOf(value) : undefined;
  const area = decodeVmalloc(ctx, decode(khoVmalloc, value, 0, abi), khoTestInfoPath, {
    malformed: lost,
    oops: lost,
  });
  if (!area.complete) return "reported";
  if (vmallocBytes(area, abi) < inline) return undefined;
  const bytes = new Uint8Array(inline);
  let read = 0;
  for (const page of vmallocPages(ctx, area, inline, khoTestInfoPath, lost)) {
    bytes.set(page.bytes, page.offset);
    read += page.bytes.length;
  }
  return read === inline ? wordsOf(bytes) : "reported";
}

/** True for the descriptor of an area with a list of two folios; two addresses of folios are hardly ever like that. */
function isOnePage(value: Uint8Array, abi: Abi): boolean {
  const { total_pages: pages, order } = decode(khoVmalloc, value, 0, abi);
  return pages === 2 ** order;
}

function wordsOf(bytes: Uint8Array): BigUint64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return BigUint64Array.from({ length: bytes.length / 8 }, (_, i) => view.getBigUint64(i * 8, true));
}

/** The Internet checksum of the folios' contents, folded to 16 bits; undefined if some are not in the capture. */
function checksumOf(ctx: Context, folios: KhoTest["folios"]): number | undefined {
  const { pageSize } = ctx.abi;
  let sum = 0;
  let summed = 0;
  for (let i = 0; i < folios.pfn.length; i++)
    for (let page = 0; page < 2 ** folios.order[i]!; page++) {
      const pa = addressOf(folios.pfn[i]! + page, pageSize);
      if ((summed += pageSize) > maxSummed || !ctx.memory.has(pa, pageSize)) return undefined;
      const bytes = ctx.memory.read(pa, pageSize);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      // Sums of 16-bit words fit a double exactly for 2^37 words; they are congruent mod 0xffff to sums of 32-bit ones.
      for (let at = 0; at < pageSize; at += 2) sum += view.getUint16(at, true);
    }
  return foldSum(sum);
}

/** Ones' complement sum of a number's 16-bit words. 0xffff and 0 are the same number. */
function foldSum(sum: number): number {
  const folded = sum % 0xffff;
  return folded === 0 && sum !== 0 ? 0xffff : folded;
}
