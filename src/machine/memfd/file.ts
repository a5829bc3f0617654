import { seals as sealBits } from "../../../formats/memfd/layout.js";
import { physAddr } from "../../memory/index.js";
import { refusal } from "../errno.js";
import { paOf } from "../kernel.js";
import { patternBytes } from "../pattern.js";
import { DIRTY, UPTODATE } from "./folios.js";
import {
  addSealsTo,
  dropPages,
  type MemfdFile,
  type MemfdInode,
  maxFileSize,
  pagesOfSize,
  populate,
} from "./inode.js";

/**
 * The calls on an open memfd. They refuse with the errno that Linux gives, mm/shmem.c and mm/memfd.c since 6.19.
 * Sizes, positions and offsets are in bytes and signed 64-bit numbers.
 */

const { F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE } = sealBits;
const noWrites = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;

/** Modes of fallocate. include/uapi/linux/falloc.h */
export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;

/** The inode of a descriptor that is still open. */
function inodeOf({ inode, refs }: MemfdFile): MemfdInode {
  if (refs <= 0) throw refusal("EBADF", "the file is closed");
  return inode;
}

/** The page of a byte, and the byte's place in it. */
function placeOf(offset: bigint, { core: { abi } }: MemfdInode): readonly [page: number, within: number] {
  const within = Number(offset & BigInt(abi.pageSize - 1));
  return [Number((offset - BigInt(within)) / BigInt(abi.pageSize)), within];
}

/**
 * Up to `length` bytes from the file's position on, which moves, or from `at` on, which leaves it. Fewer at the end of
 * the file; holes are zeros.
 * @throws KhoError `refused` EINVAL for a negative offset
 */
export function read(file: MemfdFile, length: number, at?: bigint): Uint8Array {
  const inode = inodeOf(file);
  const start = at ?? file.pos;
  if (start < 0n) throw refusal("EINVAL", `offset ${start} is negative`);
  const left = inode.size - start;
  const count = left <= 0n ? 0 : left < BigInt(length) ? Number(left) : length;
  const bytes = new Uint8Array(count);
  const { core, folios } = inode;
  const { pageSize } = core.abi;
  const [page, within] = placeOf(start, inode);
  folios.each(page, page + Math.ceil((within + count) / pageSize), (index, pfn, order, flags) => {
    if ((flags & UPTODATE) === 0) return;
    // Both relative to the first byte that is read.
    const first = (index - page) * pageSize - within;
    const from = Math.max(first, 0);
    const to = Math.min(first + 2 ** order * pageSize, count);
    if (from >= to) return;
    const pa = physAddr(paOf(pfn, core.abi) + BigInt(from - first));
    bytes.set(core.ram.read(pa, to - from), from);
  });
  if (at === undefined) file.pos += BigInt(count);
  return bytes;
}

/**
 * Writes at the file's position, which moves, or at `at`, which leaves it; returns how many bytes. These are fewer than
 * given where the rest is refused: the kernel goes page by page.
 * @throws KhoError `refused` if nothing can be written: EPERM for seals and preserved files, EFBIG, ENOMEM, EINVAL
 */
export function write(file: MemfdFile, bytes: Uint8Array, at?: bigint): number {
  const inode = inodeOf(file);
  if (inode.kind === "hugetlb")
    throw refusal("EINVAL", "files of huge pages are written through mappings alone");
  const start = at ?? file.pos;
  if (start < 0n) throw refusal("EINVAL", `offset ${start} is negative`);
  if (bytes.length === 0) return 0;
  if (start >= maxFileSize) throw refusal("EFBIG", `offset ${start} is beyond the largest file`);
  const { abi, ram } = inode.core;
  const { pageSize } = abi;
  if (inode.seals & noWrites) throw refusal("EPERM", "the file is sealed against writing");
  const [page, within] = placeOf(start, inode);
  let count = bytes.length;
  if (maxFileSize - start < BigInt(count)) count = Number(maxFileSize - start);
  if ((inode.seals & F_SEAL_GROW) !== 0 || inode.frozenMapping) {
    const room = inode.size - start;
    // A page is written as far as the call wants, or not at all.
    if (BigInt(count) > room) {
      const whole = room <= 0n ? 0 : Math.floor((within + Number(room)) / pageSize) * pageSize - within;
      if (whole <= 0)
        throw refusal("EPERM", inode.frozenMapping ? "the file is preserved" : "the file is sealed");
      count = whole;
    }
  }
  const end = start + BigInt(count);
  const to = page + Math.ceil((within + count) / pageSize);
  const limit = pagesOfSize(end > inode.size ? end : inode.size, inode);
  const reached = populate(inode, { from: page, to, limit }, UPTODATE, "memfd page");
  if (reached < to) {
    count = (reached - page) * pageSize - within;
    if (count <= 0) throw refusal("ENOMEM", "no page for the file");
  }
  inode.folios.mark(page, reached, (index, pfn, order, flags) => {
    if ((flags & UPTODATE) === 0) ram.zero(pfn, 2 ** order);
    const first = (index - page) * pageSize - within;
    const from = Math.max(first, 0);
    const part = bytes.subarray(from, Math.min(first + 2 ** order * pageSize, count));
    ram.write(physAddr(paOf(pfn, abi) + BigInt(from - first)), part);
    return flags | UPTODATE | DIRTY;
  });
  const behind = start + BigInt(count);
  if (behind > inode.size) inode.size = behind;
  if (at === undefined) file.pos = behind;
  return count;
}

/**
 * Moves the position, and returns it.
 * @throws KhoError `refused` EINVAL if it were negative or beyond the largest file
 */
export function seek(file: MemfdFile, offset: bigint, whence: "set" | "cur" | "end" = "set"): bigint {
  const { size } = inodeOf(file);
  const pos = offset + (whence === "set" ? 0n : whence === "cur" ? file.pos : size);
  if (pos < 0n || pos > maxFileSize) throw refusal("EINVAL", `no file has a position ${pos}`);
  file.pos = pos;
  return pos;
}

/**
 * ftruncate. @throws KhoError `refused`: EINVAL for a negative size, EFBIG, EPERM where seals or a preservation forbid it
 */
export function truncate(file: MemfdFile, size: bigint): void {
  const inode = inodeOf(file);
  if (size < 0n) throw refusal("EINVAL", `size ${size} is negative`);
  if (size > maxFileSize) throw refusal("EFBIG", `no file has ${size} bytes`);
  if (size < inode.size && inode.seals & F_SEAL_SHRINK)
    throw refusal("EPERM", "the file is sealed against shrinking");
  if (size > inode.size && inode.seals & F_SEAL_GROW)
    throw refusal("EPERM", "the file is sealed against growing");
  if (size === inode.size) return;
  if (inode.frozenMapping) throw refusal("EPERM", "the file is preserved");
  const shrinks = size < inode.size;
  inode.size = size;
  if (!shrinks) return;
  const [page, within] = placeOf(size, inode);
  if (within > 0) zeroPart(inode, page, within, inode.core.abi.pageSize);
  dropPages(inode, pagesOfSize(size, inode), Number.POSITIVE_INFINITY);
}

/** Makes the bytes `[from, to)` of a page read as zeros. */
function zeroPart({ core, folios }: MemfdInode, page: number, from: number, to: number): void {
  folios.each(page, page + 1, (index, pfn, _order, flags) => {
    if ((flags & UPTODATE) === 0) return;
    const pa = physAddr(paOf(pfn + page - index, core.abi) + BigInt(from));
    core.ram.write(pa, new Uint8Array(to - from));
  });
}

/**
 * Gives a range pages, and the file the size to hold it unless told to keep it; or punches a hole. The pages are
 * zeroed only when they are needed.
 * @throws KhoError `refused`: EINVAL for an empty or negative range, EOPNOTSUPP for other modes, EFBIG, ENOMEM with
 * nothing allocated, EPERM where seals or a preservation forbid it
 */
export function fallocate(file: MemfdFile, mode: number, offset: bigint, length: bigint): void {
  const inode = inodeOf(file);
  if (offset < 0n || length <= 0n) throw refusal("EINVAL", "the range is empty or negative");
  const punches = (mode & FALLOC_FL_PUNCH_HOLE) !== 0;
  if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) !== 0 || mode === FALLOC_FL_PUNCH_HOLE)
    throw refusal("EOPNOTSUPP", `mode ${mode} is not for files of shared memory`);
  const end = offset + length;
  if (end > maxFileSize) throw refusal("EFBIG", "the range ends beyond the largest file");
  if (inode.frozenMapping) throw refusal("EPERM", "the file is preserved");
  const [page, within] = placeOf(offset, inode);
  if (punches) {
    if (inode.seals & noWrites) throw refusal("EPERM", "the file is sealed against writing");
    punch(inode, page, within, end);
    return;
  }
  if (inode.seals & F_SEAL_GROW && end > inode.size)
    throw refusal("EPERM", "the file is sealed against growing");
  const to = pagesOfSize(end, inode);
  const before = inode.folios.gaps(page, to);
  const limit = Math.max(to, pagesOfSize(inode.size, inode));
  if (populate(inode, { from: page, to, limit }, 0, "memfd page") < to) {
    // What is there now and was not before. A folio in a gap has all of it there.
    for (let i = 0; i < before.length; i += 2) dropPages(inode, before[i]!, before[i + 1]!);
    throw refusal("ENOMEM", "no pages for the file");
  }
  if ((mode & FALLOC_FL_KEEP_SIZE) === 0 && end > inode.size) inode.size = end;
}

function punch(inode: MemfdInode, page: number, within: number, end: bigint): void {
  const { pageSize } = inode.core.abi;
  const [lastPage, lastWithin] = placeOf(end, inode);
  if (page === lastPage) {
    zeroPart(inode, page, within, lastWithin);
    return;
  }
  if (within > 0) zeroPart(inode, page, within, pageSize);
  if (lastWithin > 0) zeroPart(inode, lastPage, 0, lastWithin);
  dropPages(inode, within > 0 ? page + 1 : page, lastPage);
}

/**
 * F_ADD_SEALS. @throws KhoError `refused`: EINVAL for unknown seals, EPERM if the file has F_SEAL_SEAL, EBUSY for
 * F_SEAL_WRITE while it can be written through a mapping or its pages are pinned, as those of a preserved file are
 */
export function addSeals(file: MemfdFile, seals: number): void {
  addSealsTo(inodeOf(file), seals);
}

/** F_GET_SEALS. */
export const getSeals = (file: MemfdFile): number => inodeOf(file).seals;

/** mmap, shared and writable. @throws KhoError `refused` EPERM if the file is sealed against writing */
export function mapWritable(file: MemfdFile): void {
  const inode = inodeOf(file);
  if (inode.seals & noWrites) throw refusal("EPERM", "the file is sealed against writing");
  inode.writableMappings++;
}

/** Takes back one {@link mapWritable}. */
export function unmapWritable({ inode }: MemfdFile): void {
  if (inode.writableMappings > 0) inode.writableMappings--;
}

/** A stretch of pages to fill, or to give memory. */
export interface PatternRange {
  /** `w` writes the pattern, `f` gives the pages memory by fallocate and keeps the size. */
  readonly kind?: "w" | "f";
  /** First page, and number of pages. */
  readonly index: number;
  readonly count: number;
  /** Words of 8 bytes that each page begins with; the rest stays as it is. Default: the whole page. */
  readonly words?: number;
}

/**
 * Writes the pattern of {@link patternBytes} as the captures have it: into the first words of each page, cut at the
 * size of the file, which does not grow.
 * @throws KhoError `refused` as the calls are; ENOMEM, too, if only a part was written
 */
export function fillPattern(file: MemfdFile, token: bigint, ranges: readonly PatternRange[]): void {
  const inode = inodeOf(file);
  const { pageSize } = inode.core.abi;
  for (const { kind = "w", index, count, words = pageSize / 8 } of ranges) {
    if (kind === "f") {
      const [offset, length] = [BigInt(index) * BigInt(pageSize), BigInt(count) * BigInt(pageSize)];
      fallocate(file, FALLOC_FL_KEEP_SIZE, offset, length);
      continue;
    }
    const end = Math.min(index + count, pagesOfSize(inode.size, inode));
    for (let page = index; page < end; page++) {
      const at = BigInt(page) * BigInt(pageSize);
      const left = inode.size - at;
      const length = left < BigInt(words * 8) ? Number(left) : words * 8;
      if (length > 0 && write(file, patternBytes(token, page, length), at) < length)
        throw refusal("ENOMEM", "no page for the file");
    }
  }
}
