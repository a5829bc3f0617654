import { isAtLeast } from "../../../formats/kernels.js";
import { blockCapacity, KHO_MAX_BLOCKS } from "../../../formats/kho/blocks.js";
import { blocksFor, encodeBlocks } from "../../../formats/kho/blocks-encode.js";
import { khoBlockHeaderSer } from "../../../formats/kho/layout.js";
import {
  encodeFileArea,
  encodeSessionArea,
  fileAreaCapacity,
  sessionAreaCapacity,
} from "../../../formats/luo/encode.js";
import { luoFileSer, luoSessionHeaderSer, luoSessionSer } from "../../../formats/luo/layout.js";
import { LUO_FILE_PGCNT } from "../../../formats/luo/records.js";
import { encode, offsetOf, pa, type Struct, sizeOf, type ValueOf } from "../../layout/index.js";
import { type PhysAddr, physAddr } from "../../memory/index.js";
import { type Errno, refusal } from "../errno.js";
import { type KernelCore, pageOf } from "../kernel.js";
import { targetOf } from "../target.js";

type FileRecord = ValueOf<typeof luoFileSer>;
type SessionRecord = ValueOf<typeof luoSessionSer>;

/** Where the records of one list lie. The bytes mean something from the last step before the jump on. */
interface Store<R> {
  /** Makes sure that there is a place for one record behind `count`. @throws refusal ENOSPC, ENOMEM */
  reserve(count: number): void;
  /** Gives back what `count` records do not need. */
  trim(count: number): void;
  /** Where the list begins; 0 without any memory. */
  head(): PhysAddr;
  write(records: readonly R[]): void;
}

export interface FileStore extends Store<FileRecord> {
  /** What is due before the first file: up to 7.1 the area is allocated here, after the descriptor has been looked at. */
  allocate(): void;
  /** Takes back what was written. */
  clear(): void;
}

export interface SessionStore extends Store<SessionRecord> {
  /** Takes back the records of the first `written` sessions, as far as kernels do it. */
  clear(written: number): void;
}

/** True if lists are blocks, not areas. */
const hasBlocks = ({ kernel }: KernelCore): boolean => isAtLeast(kernel, "7.2");

const noRecord: SessionRecord = { name: "", file_set_ser: { files: physAddr(0), count: 0n } };

/** Where sessions are written: the area of 16 pages that there is from boot on, or (7.2 and later) blocks as needed. */
export function newSessionStore(core: KernelCore, area: PhysAddr): SessionStore {
  if (hasBlocks(core)) {
    const blocks = newBlocks(core, luoSessionSer, "luo session block");
    return { ...blocks, clear: (written) => blocks.write(Array.from({ length: written }, () => noRecord)) };
  }
  return {
    reserve: (count) => mustFit(count, sessionAreaCapacity(core), "ENOMEM", "sessions"),
    trim: () => {},
    head: () => area,
    write: (records) => encodeSessionArea(targetOf(core), area, records),
    clear(written) {
      const record = encode(luoSessionSer, noRecord, core.abi);
      for (let i = 0; i < written; i++)
        core.ram.write(
          physAddr(area + BigInt(sizeOf(luoSessionHeaderSer, core.abi) + i * record.length)),
          record,
        );
    },
  };
}

/** Where the files of a session are written: an area of 2 pages from the first file on, or (7.2 and later) blocks. */
export function newFileStore(core: KernelCore): FileStore {
  if (hasBlocks(core)) {
    const blocks = newBlocks(core, luoFileSer, "luo file block");
    return { ...blocks, allocate: () => {}, clear: () => blocks.empty() };
  }
  const size = LUO_FILE_PGCNT * core.abi.pageSize;
  let area: PhysAddr | undefined;
  return {
    reserve: (count) => mustFit(count, fileAreaCapacity(core), "ENOSPC", "files"),
    allocate() {
      area ??= core.kho.allocPreserve(size, "luo file area");
    },
    trim(count) {
      if (count > 0 || area === undefined) return;
      core.kho.unpreserveFree(area, size);
      area = undefined;
    },
    head: () => area ?? physAddr(0),
    write(records) {
      if (area !== undefined) encodeFileArea(targetOf(core), area, records);
    },
    clear() {
      if (area !== undefined) core.ram.zero(pageOf(area, core.abi), LUO_FILE_PGCNT);
    },
  };
}

function mustFit(count: number, most: number, errno: Errno, what: string): void {
  if (count >= most) throw refusal(errno, `there is room for ${most} ${what}`);
}

/**
 * A list of blocks, linked as they are allocated. One that was allocated and never filled is handed over all the same,
 * with a count of 0, which stops the next kernel: so do 7.2 and 7.3.
 */
function newBlocks<R extends Struct>(core: KernelCore, record: R, what: string) {
  const { abi, kho, ram } = core;
  const pas: PhysAddr[] = [];
  const most = blockCapacity(record, core);
  const link = (block: PhysAddr, next: PhysAddr): void =>
    ram.write(physAddr(block + BigInt(offsetOf(khoBlockHeaderSer, "next", abi))), encode(pa, next, abi));
  return {
    reserve(count: number): void {
      if (count < pas.length * most) return;
      if (pas.length >= KHO_MAX_BLOCKS)
        throw refusal("ENOSPC", `a list has at most ${KHO_MAX_BLOCKS} blocks`);
      const block = kho.allocPreserve(abi.pageSize, what);
      const last = pas.at(-1);
      if (last !== undefined) link(last, block);
      pas.push(block);
    },
    trim(count: number): void {
      while (pas.length > 0 && count <= (pas.length - 1) * most) {
        kho.unpreserveFree(pas.pop()!, abi.pageSize);
        const last = pas.at(-1);
        if (last !== undefined) link(last, physAddr(0));
      }
    },
    head: (): PhysAddr => pas[0] ?? physAddr(0),
    write(records: readonly ValueOf<R>[]): void {
      const used = blocksFor(record, records.length, abi);
      if (used === 0) return;
      encodeBlocks(targetOf(core), record, pas.slice(0, used), records);
      const next = pas[used];
      if (next !== undefined) link(pas[used - 1]!, next);
    },
    empty(): void {
      for (const [i, block] of pas.entries()) {
        ram.zero(pageOf(block, abi), 1);
        link(block, pas[i + 1] ?? physAddr(0));
      }
    },
  };
}
