import {
  bytesFromText,
  decode,
  decodeMany,
  isTerminated,
  memberOf,
  offsetOf,
  type Struct,
  sizeOf,
  textFromBytes,
} from "../../src/layout/index.js";
import { endOfMemory, type PhysAddr, physAddr } from "../../src/memory/index.js";
import type { Consequence } from "../../src/report/finding.js";
import { bootStops, itemIgnored, luoPanics, misread, openFails, openOops } from "../consequence.js";
import { type Context, readMemory } from "../context.js";
import { isAtLeast, kernels } from "../kernels.js";
import { type BlockConsequences, decodeBlocks } from "../kho/blocks.js";
import { filePath, filesPath, flbPath, flbsPath, sessionPath, sessionsPath } from "../paths.js";
import { luoFileSer, luoFlbHeaderSer, luoFlbSer, luoSessionHeaderSer, luoSessionSer } from "./layout.js";
import type { Luo, LuoFile, LuoFlb, LuoSession } from "./luo.js";
import { decodeLuoRoot, type Storage } from "./root.js";

/** Pages of the session area of 6.19 to 7.1 and of the file area of a session, and the orders of their folios. */
export const LUO_SESSION_PGCNT = 16;
export const LUO_FILE_PGCNT = 2;
export const LUO_FLB_PGCNT = 1;

/** Records in memory one behind the other: an area, or one block of a list. */
interface Records {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly count: number;
  readonly pa: PhysAddr;
}

/** Reads live-update state from the blob of the `LUO` subtree; undefined if its root leads nowhere. */
export function decodeLuo(ctx: Context, blob: Uint8Array, pa: PhysAddr): Luo | undefined {
  const root = decodeLuoRoot(ctx, blob, pa);
  if (!root) return undefined;
  return {
    compatible: root.compatible,
    liveupdateNumber: root.liveupdateNumber,
    sessions: decodeSessions(ctx, root.sessions, root.sessionStorage, root.fileStorage),
    flbs: root.flbs === 0n ? [] : decodeFlbs(ctx, root.flbs),
  };
}

const sessionFaults: BlockConsequences = {
  invalid: luoPanics("EINVAL"),
  tooLong: luoPanics("ENOSPC"),
  oops: bootStops("unhandled fault"),
};
const fileFaults: BlockConsequences = {
  invalid: openFails("EINVAL"),
  tooLong: openFails("ENOSPC"),
  oops: openOops("unhandled fault"),
};

function decodeSessions(ctx: Context, pa: PhysAddr, storage: Storage, fileStorage: Storage): LuoSession[] {
  const sessions: LuoSession[] = [];
  const names = new Set<string>();
  const handlers = new Set<string>();
  /** Files that may still come. */
  const room = { files: ctx.limits.maxRecords };
  const size = sizeOf(luoSessionSer, ctx.abi);
  const groups =
    storage === "area" ? sessionArea(ctx, pa) : blocksOf(ctx, pa, luoSessionSer, sessionsPath, sessionFaults);
  for (const { bytes, at, count, pa: groupPa } of groups) {
    const records = decodeMany(luoSessionSer, bytes, at, count, ctx.abi);
    for (let i = 0; i < count; i++) {
      if (sessions.length >= ctx.limits.maxRecords) {
        ctx.report("error", "limit-exceeded", `more than ${ctx.limits.maxRecords} sessions`, {
          path: sessionsPath,
        });
        return sessions;
      }
      const path = sessionPath(sessions.length);
      const recordPa = physAddr(groupPa + BigInt(at + i * size));
      const record = records[i]!;
      const name = cutName(ctx, bytes, at + i * size, record.name, recordPa, path);
      if (names.has(name))
        ctx.report("error", "session-duplicate", `another session has the name of ${path}`, {
          path: `${path}.name`,
          pa: recordPa,
          actual: name,
          consequence: openFails("EEXIST"),
        });
      names.add(name);
      const { files, count: fileCount } = record.file_set_ser;
      sessions.push({
        name,
        files: decodeFiles(ctx, files, fileCount, fileStorage, recordPa, path, room, handlers),
        pa: recordPa,
      });
      ctx.progress?.("sessions", sessions.length, 0);
    }
  }
  return sessions;
}

/** The kernel copies 63 bytes and tells names apart by these. */
function cutName(
  ctx: Context,
  bytes: Uint8Array,
  at: number,
  name: string,
  pa: PhysAddr,
  path: string,
): string {
  const { size } = memberOf(luoSessionSer, "name", ctx.abi);
  if (name !== "" && isTerminated(bytes, at, size)) return name;
  const place = { path: `${path}.name`, pa, length: size };
  if (name === "")
    ctx.report("info", "string-empty", "the session's name is empty, which readers accept", place);
  if (isTerminated(bytes, at, size)) return name;
  ctx.report(
    "warning",
    "string-unterminated",
    `the session's name has no NUL, readers cut it to ${size - 1} bytes`,
    place,
  );
  return textFromBytes(bytesFromText(name).subarray(0, size - 1));
}

/** The session area of 6.19 to 7.1: a count, then the sessions, in one folio. */
function* sessionArea(ctx: Context, pa: PhysAddr): Generator<Records> {
  const { abi } = ctx;
  const path = sessionsPath;
  const at = sizeOf(luoSessionHeaderSer, abi);
  const oops = openOops("unhandled fault");
  if (pa === 0n) {
    ctx.report("error", "bad-address", "the address of the session area is 0", {
      path,
      consequence: openOops("address 0 is read as the area"),
    });
    return;
  }
  const head = readMemory(ctx, pa, at, path, oops);
  if (!head) return;
  claimArea(ctx, pa, LUO_SESSION_PGCNT, path);
  const { count } = decode(luoSessionHeaderSer, head, 0, abi);
  const most = Math.floor((LUO_SESSION_PGCNT * abi.pageSize - at) / sizeOf(luoSessionSer, abi));
  if (count > BigInt(most))
    ctx.report("error", "session-count", `the area says that it holds ${count} sessions`, {
      path: `${path}.count`,
      pa,
      length: at,
      expected: `0 to ${most}`,
      actual: String(count),
      consequence: openFails("EEXIST"),
    });
  yield* area(ctx, pa, at, Math.min(Number(count), most), luoSessionSer, path, oops);
}

function decodeFiles(
  ctx: Context,
  pa: PhysAddr,
  count: bigint,
  storage: Storage,
  sessionPa: PhysAddr,
  session: string,
  room: { files: number },
  handlers: Set<string>,
): LuoFile[] {
  const path = filesPath(session);
  const place = {
    path: `${path}.count`,
    pa: physAddr(sessionPa + BigInt(offsetOf(luoSessionSer, "file_set_ser", ctx.abi))),
  };
  if (pa === 0n) {
    if (count !== 0n)
      ctx.report("warning", "file-count", `the session says that it has ${count} files, but not where`, {
        ...place,
        expected: "0",
        actual: String(count),
        consequence: itemIgnored("a warning, the session is empty", undefined, "open"),
      });
    return [];
  }
  const groups =
    storage === "area" ? fileArea(ctx, pa, count, path) : blocksOf(ctx, pa, luoFileSer, path, fileFaults);
  const files: LuoFile[] = [];
  const tokens = new Set<bigint>();
  const size = sizeOf(luoFileSer, ctx.abi);
  for (const { bytes, at, count: inGroup, pa: groupPa } of groups) {
    const records = decodeMany(luoFileSer, bytes, at, inGroup, ctx.abi);
    for (let i = 0; i < inGroup; i++) {
      if (--room.files < 0) {
        ctx.report("error", "limit-exceeded", `more than ${ctx.limits.maxRecords} files`, { path });
        return files;
      }
      const offset = at + i * size;
      const one = filePath(session, files.length);
      const recordPa = physAddr(groupPa + BigInt(offset));
      const { compatible, data, token } = records[i]!;
      checkHandler(ctx, bytes, offset, compatible, recordPa, one, handlers);
      if (tokens.has(token))
        ctx.report("error", "file-duplicate-token", `an earlier file of the session has the token ${token}`, {
          path: `${one}.token`,
          pa: recordPa,
          length: size,
          actual: String(token),
          consequence: misread("retrieve", "the first file of that token is the one that is found"),
        });
      tokens.add(token);
      files.push({ compatible, data, token, pa: recordPa });
    }
  }
  if (storage === "blocks" && BigInt(files.length) !== count)
    ctx.report(
      "error",
      "file-count",
      `the session says that it has ${count} files, its blocks hold ${files.length}`,
      {
        ...place,
        expected: String(files.length),
        actual: String(count),
        consequence: openFails("EINVAL"),
      },
    );
  return files;
}

/** The file area of 6.19 to 7.1: files in one folio, their number in the session. */
function* fileArea(ctx: Context, pa: PhysAddr, count: bigint, path: string): Generator<Records> {
  const most = Math.floor((LUO_FILE_PGCNT * ctx.abi.pageSize) / sizeOf(luoFileSer, ctx.abi));
  if (count > BigInt(most))
    ctx.report("error", "file-count", `the session says that it has ${count} files`, {
      path: `${path}.count`,
      pa,
      expected: `0 to ${most}`,
      actual: String(count),
      consequence: unknownHandler(ctx),
    });
  if (!claimArea(ctx, pa, LUO_FILE_PGCNT, path)) return;
  yield* area(ctx, pa, 0, Math.min(Number(count), most), luoFileSer, path, openOops("unhandled fault"));
}

function* blocksOf(
  ctx: Context,
  pa: PhysAddr,
  record: Struct,
  path: string,
  faults: BlockConsequences,
): Generator<Records> {
  for (const block of decodeBlocks(ctx, pa, record, path, faults))
    yield { bytes: block.bytes, at: block.recordsAt, count: block.count, pa: block.pa };
}

function* area(
  ctx: Context,
  pa: PhysAddr,
  at: number,
  count: number,
  record: Struct,
  path: string,
  oops: Consequence,
): Generator<Records> {
  if (count === 0) return;
  const bytes = readMemory(ctx, pa, at + count * sizeOf(record, ctx.abi), path, oops);
  if (bytes) yield { bytes, at, count, pa };
}

/** False, and reported, if the area is another structure's: read for every record that names it, it would never end. */
function claimArea(ctx: Context, pa: PhysAddr, pages: number, path: string): boolean {
  const owner = ctx.claims.claim(pa, pages, Math.log2(pages), path);
  if (owner !== undefined)
    ctx.report("error", "structure-reused", `the area of ${path} is in use already, as ${owner}`, {
      path,
      pa,
      consequence: misread("open", "one of the two is taken for the other"),
    });
  return owner === undefined;
}

/** What becomes of a file whose handler the reader does not have. */
const unknownHandler = (ctx: Context): Consequence =>
  isAtLeast(ctx.kernel, "7.1")
    ? openFails("ENOENT")
    : itemIgnored("logged; this and the later files of the session are dropped", undefined, "open");

/** `handlers` are the unknown ones that have been reported: a session can have any number of files of one. */
function checkHandler(
  ctx: Context,
  bytes: Uint8Array,
  at: number,
  name: string,
  pa: PhysAddr,
  path: string,
  handlers: Set<string>,
): void {
  // Of a kernel without live update it has been said that it ignores all of it.
  if (!ctx.kernel.luo) return;
  const { size } = memberOf(luoFileSer, "compatible", ctx.abi);
  const terminated = isTerminated(bytes, at, size);
  // As nearly all are.
  if (terminated && name !== "" && name === ctx.kernel.memfd) return;
  const place = { path: `${path}.compatible`, pa, length: size, actual: name };
  const consequence = unknownHandler(ctx);
  if (!terminated) {
    ctx.report(
      "error",
      "string-unterminated",
      "the handler's name has no NUL, readers run into the next number",
      {
        ...place,
        consequence,
      },
    );
  } else if (name === "") {
    ctx.report("error", "string-empty", "the handler's name is empty", { ...place, consequence });
  } else if (name !== ctx.kernel.memfd) {
    // Another release's handler is certainly absent, where the release is certain; any other name may belong to a
    // module that the reader has.
    const foreign = !ctx.releaseOpen && kernels.some((kernel) => kernel.memfd === name);
    if (!foreign && handlers.has(name)) return;
    handlers.add(name);
    ctx.report(
      foreign ? "error" : "info",
      "file-unknown-handler",
      foreign
        ? `Linux ${ctx.kernel.release} has no handler ${name}`
        : `no handler in Linux ${ctx.kernel.release} itself has this name; a reader without it refuses every session`,
      { ...place, expected: ctx.kernel.memfd ?? "none", ...(foreign && { consequence }) },
    );
  }
}

/** Reads the FLB page: include/linux/kho/abi/luo.h, since 7.0. */
export function decodeFlbs(ctx: Context, pa: PhysAddr): LuoFlb[] {
  const { abi } = ctx;
  const path = flbsPath;
  const at = sizeOf(luoFlbHeaderSer, abi);
  const size = sizeOf(luoFlbSer, abi);
  const oops: Consequence = {
    outcome: "panic",
    phase: "boot",
    detail: "unhandled fault when the FLB's handler registers",
  };
  const bytes = readMemory(ctx, pa, abi.pageSize * LUO_FLB_PGCNT, path, oops);
  if (!bytes) return [];
  claimArea(ctx, pa, LUO_FLB_PGCNT, path);
  const { pgcnt, count } = decode(luoFlbHeaderSer, bytes, 0, abi);
  const most = Math.floor((bytes.length - at) / size);
  if (pgcnt !== BigInt(LUO_FLB_PGCNT))
    ctx.report(
      "warning",
      "flb-count",
      `the FLB page says that it has ${pgcnt} pages, which readers do not check`,
      {
        path: `${path}.pgcnt`,
        pa,
        expected: String(LUO_FLB_PGCNT),
        actual: String(pgcnt),
      },
    );
  if (count > BigInt(most)) {
    const last = pa + BigInt(at) + (count - 1n) * BigInt(size);
    ctx.report("error", "flb-count", `the FLB page says that it holds ${count} entries`, {
      path: `${path}.count`,
      pa,
      expected: `0 to ${most}`,
      actual: String(count),
      consequence:
        last < endOfMemory && ctx.memory.has(physAddr(last), size)
          ? misread("boot", "a search goes on behind the page")
          : oops,
    });
  }
  return Array.from({ length: Math.min(Number(count), most) }, (_, i) => {
    const offset = at + i * size;
    const entryPa = physAddr(pa + BigInt(offset));
    const { name, data, count: references } = decode(luoFlbSer, bytes, offset, abi);
    if (!isTerminated(bytes, offset, memberOf(luoFlbSer, "name", abi).size))
      ctx.report(
        "error",
        "string-unterminated",
        "the FLB's name has no NUL, readers run into the next number",
        {
          path: `${flbPath(i)}.name`,
          pa: entryPa,
          consequence: misread("boot", "the comparison of names runs on into the numbers"),
        },
      );
    if (references === 0n)
      ctx.report("warning", "flb-count", "an FLB without references, which kernels do not write", {
        path: `${flbPath(i)}.count`,
        pa: entryPa,
        length: size,
        expected: "at least 1",
        actual: "0",
        consequence: misread(
          "boot",
          "it is found, but what counts its users warns, and it is never finished",
        ),
      });
    return { name, data, count: references, pa: entryPa };
  });
}
