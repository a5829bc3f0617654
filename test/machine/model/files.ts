/** What calls on a memfd do to the model: seals, sizes, contents. */
import type { Result } from "./luo.js";
import { withImplied } from "./luo.js";
import type { ModelFile, ModelInode } from "./state.js";

export const seals = { SEAL: 1, SHRINK: 2, GROW: 4, WRITE: 8, FUTURE_WRITE: 0x10, EXEC: 0x20 } as const;
const noWrites = seals.WRITE | seals.FUTURE_WRITE;

/** How many bytes a write of `length` at `at` writes, or the errno. The kernel goes page by page. */
export function writable(
  { type, seals: has, size, frozen }: ModelInode,
  at: number,
  length: number,
  page: number,
): number | Result {
  if (type === "hugetlb") return "EINVAL";
  if (length === 0) return 0;
  if (has & noWrites) return "EPERM";
  if (!(has & seals.GROW) && !frozen) return length;
  const left = Number(size) - at;
  if (length <= left) return length;
  // Every page that the call does not fit into is refused as a whole.
  let fits = 0;
  for (let next = page - (at % page); next <= left && next <= length; next += page) fits = next;
  return fits > 0 ? fits : "EPERM";
}

export function store(inode: ModelInode, at: number, bytes: Uint8Array, page: number): void {
  for (let done = 0; done < bytes.length; ) {
    const [index, into] = [Math.floor((at + done) / page), (at + done) % page];
    const part = bytes.subarray(done, done + page - into);
    pageOf(inode, index, page).set(part, into);
    done += part.length;
  }
  const end = BigInt(at + bytes.length);
  if (end > inode.size) inode.size = end;
}

function pageOf({ pages }: ModelInode, index: number, page: number): Uint8Array {
  let bytes = pages.get(index);
  if (!bytes) pages.set(index, (bytes = new Uint8Array(page)));
  return bytes;
}

export function truncate(inode: ModelInode, size: number, page: number): Result {
  const { seals: has } = inode;
  const now = Number(inode.size);
  if ((size < now && has & seals.SHRINK) || (size > now && has & seals.GROW)) return "EPERM";
  if (size === now) return "ok";
  if (inode.frozen) return "EPERM";
  inode.size = BigInt(size);
  if (size < now) zero(inode, size, Math.ceil(now / page) * page, page);
  return "ok";
}

/** Makes the bytes `[from, to)` zeros. */
function zero({ pages }: ModelInode, from: number, to: number, page: number): void {
  for (const [index, bytes] of pages) {
    const [low, high] = [Math.max(from - index * page, 0), Math.min(to - index * page, page)];
    if (low === 0 && high === page) pages.delete(index);
    else if (low < high) bytes.fill(0, low, high);
  }
}

export type Mode = "allocate" | "keep size" | "punch";

export function fallocate(inode: ModelInode, mode: Mode, at: number, length: number, page: number): Result {
  if (length <= 0) return "EINVAL";
  if (inode.frozen) return "EPERM";
  const end = at + length;
  if (mode === "punch") {
    if (inode.seals & noWrites) return "EPERM";
    zero(inode, at, end, page);
    return "ok";
  }
  if (inode.seals & seals.GROW && end > Number(inode.size)) return "EPERM";
  if (mode === "allocate" && BigInt(end) > inode.size) inode.size = BigInt(end);
  return "ok";
}

export function addSeals({ inode }: ModelFile, more: number): Result {
  if (more & ~0x3f) return "EINVAL";
  if (inode.seals & seals.SEAL) return "EPERM";
  if (more & seals.WRITE && !(inode.seals & seals.WRITE) && inode.pinned) return "EBUSY";
  inode.seals |= withImplied(more, inode.executable);
  return "ok";
}
