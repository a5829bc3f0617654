import type { Claim } from "../../formats/claims.js";
import { type Context, defaultLimits, type Limits, reporter } from "../../formats/context.js";
import { type Undefined, undefinedBytes } from "../../formats/undefined.js";
import type { Image } from "../image/image.js";
import {
  firstNot,
  type Memory,
  type MemoryRange,
  physAddr,
  type Segment,
  segmentedMemory,
  sparseMemory,
  storedBytes,
} from "../memory/index.js";
import { mergedRanges, rangesIn } from "../memory/ranges.js";
import { isKhoError, KhoError } from "../report/error.js";
import type { Finding } from "../report/finding.js";
import type { Decoded } from "./decode.js";
import { type Encoded, encodeHandover } from "./encode.js";
import type { Handover } from "./model.js";
import type { DecodeOptions } from "./options.js";
import { type Compared, compared } from "./pack-compare.js";
import { dataRanges, readContents, structureRanges } from "./pack-ranges.js";
import { placedAs } from "./placement.js";

/** What to pack, and how. */
export interface PackOptions {
  /** True to take the contents of files, of `reserve_mem` regions and of the test module, too. */
  readonly data?: boolean;
  readonly limits?: Partial<Limits>;
  /** Told now and then how far a long step is; `total` is 0 where it is not known. */
  readonly onProgress?: DecodeOptions["onProgress"];
}

/** As much of an image as its handover needs. Sizes are in bytes. */
export interface Packed {
  /** What is packed, and nothing else. It reads from the image. */
  readonly memory: Memory;
  /** Structures; of these `asFound` in pages that are as the image has them, because writing them gives others. */
  readonly structures: { readonly size: number; readonly asFound: number };
  /** Contents, zeros that the image does not store among them. */
  readonly contents: bigint;
  /** Bytes that mean nothing and became zeros, by kind; only kinds that there are. */
  readonly undefined: readonly { readonly what: Undefined; readonly size: number }[];
  /** `not-reproduced`, a warning, for every structure of which writing gives other bytes. */
  readonly findings: readonly Finding[];
}

/**
 * Picks what belongs to a handover out of the image that it was decoded from: it can be kept in a small file, and
 * decodes to the same handover. Structures are written anew from what was decoded, so that what means nothing becomes
 * zeros. Where that gives other bytes than the image has, the image's own page is packed, with a finding: packing is also
 * a test of reading and writing. What is opaque is not followed: a file of an unknown handler is its record alone.
 * @throws KhoError `usage` for an image without memory, such as a copied folder; `limit-exceeded` where damage claims
 * more memory for structures than the image stores; `io`
 */
export function packHandover(image: Image, decoded: Decoded, options: PackOptions = {}): Packed {
  const { memory } = image;
  const { onProgress } = options;
  if (memory.ranges.length === 0)
    throw new KhoError(
      "usage",
      "there is no memory to pack: copied folders and single trees are small already",
    );
  const limits = { ...defaultLimits, ...options.limits };
  const findings: Finding[] = [];
  const report = reporter(findings, false, limits.maxFindings);

  const parts = mergedRanges(rangesIn(mergedRanges(structureRanges(decoded)), memory.ranges));
  const size = sizeOfRanges(parts);
  const most = BigInt(storedBytes(memory) + unstoredRoom);
  if (size > most)
    throw new KhoError("limit-exceeded", `structures claim ${size} bytes, more than the image stores`, {
      expected: `at most ${most} bytes`,
      actual: `${size} bytes`,
    });
  const written = write(decoded, report);
  const meaningless = mergedRanges(written.undefined.map(({ pa, length }) => ({ pa, size: BigInt(length) })));
  const reproduced: { -readonly [K in "pa" | "size"]: MemoryRange[K] }[] = [];
  const asFound: Compared[] = [];
  let done = 0;
  for (const page of compared(memory, written.memory, parts, meaningless)) {
    const last = reproduced.at(-1);
    if (page.verdict !== "same") asFound.push(page);
    else if (last && last.pa + last.size === page.pa) last.size += page.size;
    else reproduced.push({ pa: page.pa, size: page.size });
    onProgress?.("comparing", (done += Number(page.size)), Number(size));
  }
  const strange = written.complete ? asFound : asFound.filter(({ verdict }) => verdict === "differs");
  reportDifferences(report, strange, memory, written.memory, decoded);

  const contents = [
    ...readContents(memory, decoded, limits, onProgress),
    ...(options.data ? dataRanges(decoded) : []),
  ];
  // What comes first wins: a page that is both a structure and contents of a file is a structure.
  const segments = [
    ...reproduced.map((range) => segmentOf(written.memory, range)),
    ...mergedRanges(asFound).map((range) => segmentOf(memory, range)),
    ...rangesIn(mergedRanges(contents), memory.ranges).map((range) => segmentOf(memory, range)),
  ];
  const packed = segmentedMemory(segments).memory;
  return {
    memory: packed,
    structures: { size: Number(size), asFound: Number(sizeOfRanges(asFound)) },
    contents: sizeOfRanges(packed.ranges) - size,
    undefined: byKind(written.undefined, reproduced),
    findings,
  };
}

/** Bytes of structures that an image may have as zeros that it does not store. */
const unstoredRoom = 2 ** 30;
/** Bytes of a difference that are shown. */
const shown = 8;

const sizeOfRanges = (ranges: readonly MemoryRange[]): bigint =>
  ranges.reduce((sum, { size }) => sum + size, 0n);

interface Written extends Pick<Encoded, "memory" | "undefined"> {
  /** False if something was left out, which was reported. */
  readonly complete: boolean;
}

/**
 * What writing the handover gives, in place. A part that cannot be written is left out, with a finding; of everything
 * but the root and the map the blob is still there.
 */
function write(decoded: Decoded, report: Context["report"]): Written {
  const attempt = (handover: Handover): Encoded | KhoError => {
    try {
      return encodeHandover(handover, placedAs(decoded.structures));
    } catch (error) {
      if (isKhoError(error)) return error;
      throw error;
    }
  };
  const { handover } = decoded;
  const whole = attempt(handover);
  if (!isKhoError(whole)) return { ...whole, complete: true };
  const { message, path = "", pa, length, expected, actual } = whole;
  const place = {
    path,
    ...(pa !== undefined && { pa }),
    ...(length !== undefined && { length }),
    ...(expected !== undefined && { expected }),
    ...(actual !== undefined && { actual }),
  };
  const { luo, khoTest, kexecMetadata, ...bare } = handover;
  const test = khoTest && { khoTest };
  const metadata = kexecMetadata && { kexecMetadata };
  const smaller: readonly (readonly [what: string, handover: Handover])[] = [
    ["live-update state", { ...bare, ...test, ...metadata }],
    ["the test module's list", { ...bare, ...(luo && { luo }), ...metadata }],
    ["what the subtrees lead to", { ...bare, reserveMem: [] }],
  ];
  for (const [what, rest] of smaller) {
    const found = attempt(rest);
    if (isKhoError(found)) continue;
    report(
      "warning",
      "not-reproduced",
      `${what} is packed as it is, it cannot be written: ${message}`,
      place,
    );
    return { ...found, complete: false };
  }
  report("warning", "not-reproduced", `all is packed as it is, it cannot be written: ${message}`, place);
  return { memory: sparseMemory(), undefined: [], complete: false };
}

/** One finding for each run of pages of a structure. */
function reportDifferences(
  report: Context["report"],
  pages: readonly Compared[],
  found: Memory,
  written: Memory,
  { structures, handover }: Decoded,
): void {
  const pathAt = ownerOf(structures, handover.pageSize);
  for (let i = 0; i < pages.length; ) {
    const { pa, verdict, at } = pages[i]!;
    const path = pathAt(pa);
    let end = pa + pages[i]!.size;
    while (
      ++i < pages.length &&
      pages[i]!.pa === end &&
      pages[i]!.verdict === verdict &&
      pathAt(end) === path
    )
      end += pages[i]!.size;
    if (verdict === "unwritten") {
      report("warning", "not-reproduced", `${path} is packed as it is: nothing writes these pages`, {
        path,
        pa,
        length: Number(end - pa),
      });
      continue;
    }
    const length = Math.min(shown, Number(end - at));
    report("warning", "not-reproduced", `${path} is packed as it is: written anew it has other bytes`, {
      path,
      pa: at,
      length,
      expected: hexBytes(found.read(at, length)),
      actual: hexBytes(written.read(at, length)),
    });
  }
}

const hexBytes = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");

/** Tells the path of the structure at an address. The boot loader's part of the hand-off is claimed by nobody. */
function ownerOf(structures: readonly Claim[], pageSize: number): (pa: bigint) => string {
  const sorted = [...structures].sort((a, b) => (a.pa < b.pa ? -1 : a.pa > b.pa ? 1 : 0));
  return (pa) => {
    const claim = sorted[firstNot(0, sorted.length, (i) => sorted[i]!.pa <= pa) - 1];
    return claim && pa < claim.pa + BigInt(claim.pages * pageSize) ? claim.path : "handoff";
  };
}

/** A range of a memory, where it is. */
function segmentOf(memory: Memory, { pa, size, zeros }: MemoryRange): Segment {
  if (zeros) return { pa, size, at: 0 };
  const length = Number(size);
  return {
    pa,
    size,
    at: 0,
    source: {
      size: length,
      read: (at, count) => memory.read(physAddr(pa + BigInt(at)), Math.min(count, length - at)),
    },
  };
}

/** How many bytes of each kind are in some ranges. */
function byKind(ranges: Encoded["undefined"], within: readonly MemoryRange[]): Packed["undefined"] {
  return (Object.keys(undefinedBytes) as Undefined[])
    .map((what) => {
      const all = ranges.filter((range) => range.what === what);
      const merged = mergedRanges(all.map(({ pa, length }) => ({ pa, size: BigInt(length) })));
      return { what, size: Number(sizeOfRanges(rangesIn(merged, within))) };
    })
    .filter(({ size }) => size > 0);
}
