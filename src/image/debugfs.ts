import { closeSync, fstatSync, lstatSync, opendirSync, openSync, realpathSync } from "node:fs";
import { basename, join, sep } from "node:path";
import { escapeText, textFromBytes } from "../layout/index.js";
import { endOfMemory, physAddr } from "../memory/address.js";
import type { MemoryRange } from "../memory/memory.js";
import { segmentedMemory } from "../memory/segments.js";
import { KhoError } from "../report/error.js";
import { attempt, ioError, openFlags, readFully } from "./file.js";
import { type FindingLog, findingLog } from "./findings.js";
import type { DebugfsFiles, Image } from "./image.js";

/** What to read of a debugfs folder. */
export interface DebugfsOptions {
  /** The half to read; `in` if it has a tree, else `out`, unless given. */
  readonly side?: DebugfsFiles["side"];
}

/** Bytes of one file; the kernel's are of a few pages. */
const maxFile = 16 * 1024 * 1024;
/** Files in `sub_fdts`; every subsystem that hands something over has one. */
const maxEntries = 4096;
/** Scratch areas: one for low memory, one global, one per NUMA node. */
const maxScratch = 4096;
/** `0x` with 16 digits, and the end of the line. */
const maxScratchText = maxScratch * 19;

type Side = DebugfsFiles["side"];

/** A folder of which all real paths must stay inside of `root`, itself a real path. */
interface Folder {
  readonly root: string;
  readonly log: FindingLog;
}

/**
 * Reads a copied `/sys/kernel/debug/kho`, or its `in` or `out` half alone. Symbolic links are followed only if they
 * stay inside the folder (`symlink-refused`), and only regular files are read. The trees are not looked into.
 * @throws KhoError `not-a-handover` if it has neither halves nor a tree, or not the half that was asked for; `io`
 */
export function debugfsImage(path: string, options: DebugfsOptions = {}): Image {
  const root = attempt("cannot open", path, () => realpathSync(path));
  const log = findingLog();
  const folder: Folder = { root, log };
  const halves = halvesOf(folder, root);
  const side = options.side ?? chosenSide(folder, halves);
  const half = side && halves[side];
  if (!half)
    throw new KhoError(
      "not-a-handover",
      `${escapeText(path)} has no ${side ?? "in/ or out/"} of a kho folder`,
      {
        expected: "a copy of /sys/kernel/debug/kho, or of its in or out folder, with fdt or sub_fdts",
      },
    );
  const fdt = readRegular(folder, join(half, "fdt"), maxFile);
  const blobs = readBlobs(folder, join(half, "sub_fdts"));
  const scratch = halves.out === undefined ? [] : readScratch(folder, halves.out);
  return {
    kind: "debugfs",
    memory: segmentedMemory([]).memory,
    debugfs: { side, ...(fdt && { fdt }), blobs, scratch },
    findings: log.all(),
  };
}

/** The halves that the folder has, by real path. A folder that is a half itself is told by its name and its files. */
function halvesOf(folder: Folder, root: string): Partial<Record<Side, string>> {
  const halves: Partial<Record<Side, string>> = {};
  for (const side of ["in", "out"] as const) {
    const real = resolveInside(folder, join(root, side));
    if (real !== undefined && isFolder(real)) halves[side] = real;
  }
  if (halves.in !== undefined || halves.out !== undefined) return halves;
  if (!["fdt", "sub_fdts"].some((name) => lstatOf(join(root, name)))) return {};
  const isOut = basename(root) === "out" || (basename(root) !== "in" && lstatOf(join(root, "scratch_phys")));
  return isOut ? { out: root } : { in: root };
}

/** `in` is complete where it exists; `out` of many releases ends early. */
function chosenSide(folder: Folder, halves: Partial<Record<Side, string>>): Side | undefined {
  const has = (half: string | undefined): boolean => half !== undefined && !!lstatOf(join(half, "fdt"));
  if (has(halves.in)) return "in";
  if (has(halves.out)) return "out";
  const only = halves.in !== undefined ? "in" : halves.out !== undefined ? "out" : undefined;
  if (only)
    folder.log.add("truncated-capture", "the folder has no fdt: the root tree was not copied", {
      severity: "warning",
    });
  return only;
}

function readBlobs(folder: Folder, path: string): Map<string, Uint8Array> {
  const blobs = new Map<string, Uint8Array>();
  const real = resolveInside(folder, path);
  if (real === undefined) return blobs;
  if (!isFolder(real)) {
    folder.log.add("io", "sub_fdts is not a folder; it is not read");
    return blobs;
  }
  for (const name of entriesOf(folder, real)) {
    // Node takes a path as bytes, so a name that is not UTF-8 can be opened too.
    const blob = readRegular(folder, Buffer.concat([Buffer.from(real + sep), name]), maxFile);
    if (blob) blobs.set(textFromBytes(name), blob);
  }
  return blobs;
}

/** The names in a folder, sorted by their bytes; the first ones of the folder if there are too many. */
function entriesOf({ log }: Folder, real: string): Buffer[] {
  try {
    const names: Buffer[] = [];
    // The types know text only; the names of the entries are bytes.
    const open = opendirSync(real, { encoding: "buffer" as BufferEncoding });
    try {
      for (let entry = open.readSync(); entry; entry = open.readSync()) {
        if (names.length === maxEntries) {
          log.add("limit-exceeded", `only ${maxEntries} files of sub_fdts are read`);
          break;
        }
        names.push(Buffer.from(entry.name));
      }
    } finally {
      open.closeSync();
    }
    return names.sort(Buffer.compare);
  } catch (cause) {
    log.add("io", ioError("cannot read", real, cause).message);
    return [];
  }
}

/** Pairs the lines of `scratch_phys` and `scratch_len`; what is malformed is reported and left out. */
function readScratch(folder: Folder, half: string): MemoryRange[] {
  const [phys, len] = ["scratch_phys", "scratch_len"].map((name) => {
    const bytes = readRegular(folder, join(half, name), maxScratchText);
    return (
      bytes &&
      textFromBytes(bytes)
        .split("\n")
        .filter((line) => line !== "")
    );
  });
  if (!phys && !len) return [];
  const { log } = folder;
  if (!phys || !len) {
    log.add("scratch-malformed", `${phys ? "scratch_len" : "scratch_phys"} is missing`);
    return [];
  }
  if (phys.length !== len.length)
    log.add("scratch-malformed", "scratch_phys and scratch_len do not have the same number of lines", {
      expected: `${phys.length} lengths`,
      actual: `${len.length}`,
    });
  const count = Math.min(phys.length, len.length);
  if (count > maxScratch) log.add("limit-exceeded", `only ${maxScratch} scratch areas are read`);
  const ranges: MemoryRange[] = [];
  for (let i = 0; i < Math.min(count, maxScratch); i++) {
    const pa = numberOf(phys[i]!);
    const size = numberOf(len[i]!);
    if (pa === undefined || size === undefined || pa + size > endOfMemory)
      log.add("scratch-malformed", `line ${i + 1} of the scratch areas is malformed`, {
        expected: "an address and a length, each 0x and up to 16 digits",
        actual: escapeText(`${phys[i]!.slice(0, 32)} ${len[i]!.slice(0, 32)}`),
      });
    else ranges.push({ pa: physAddr(pa), size });
  }
  return ranges;
}

const numberOf = (line: string): bigint | undefined =>
  /^0x[0-9a-f]{1,16}$/i.test(line) ? BigInt(line) : undefined;

/** The bytes of one regular file inside the folder; nothing if it does not exist, or after a finding. */
function readRegular(folder: Folder, path: string | Buffer, limit: number): Uint8Array | undefined {
  const { log } = folder;
  const real = resolveInside(folder, path);
  if (real === undefined) return undefined;
  const shown = textOf(path);
  let fd: number | undefined;
  try {
    // Opening a FIFO or a device is already too much, so the type is asked first, and again of what was opened.
    if (!lstatSync(real).isFile()) {
      log.add("io", `${escapeText(basename(shown))} is not a regular file; it is not read`);
      return undefined;
    }
    fd = openSync(real, openFlags);
    if (!fstatSync(fd).isFile()) return undefined;
    // The size is not relied on: files in debugfs itself can say 0.
    const bytes = readUpTo(fd, shown, limit + 1);
    if (bytes.length <= limit) return bytes;
    log.add("limit-exceeded", `${escapeText(basename(shown))} is larger than ${limit} bytes; it is not read`);
  } catch (cause) {
    log.add("io", cause instanceof KhoError ? cause.message : ioError("cannot read", shown, cause).message);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
  return undefined;
}

/** Up to `limit` bytes of a file whose size is not known, without allocating `limit` bytes for a small one. */
function readUpTo(fd: number, path: string, limit: number): Uint8Array {
  for (
    let room = Math.min(limit, Math.max(fstatSync(fd).size + 1, 4096));
    ;
    room = Math.min(limit, room * 4)
  ) {
    const bytes = readFully(fd, path, 0, room);
    if (bytes.length < room || room === limit) return bytes;
  }
}

/** The real path, if it exists and lies inside the folder; else a finding, or nothing if there is no such file. */
function resolveInside(folder: Folder, path: string): string | undefined;
function resolveInside(folder: Folder, path: string | Buffer): Buffer | string | undefined;
function resolveInside({ root, log }: Folder, path: string | Buffer): Buffer | string | undefined {
  const stats = lstatOf(path);
  if (!stats) return undefined;
  if (!stats.isSymbolicLink()) return path;
  const name = escapeText(basename(textOf(path)));
  let real: Buffer;
  try {
    real = realpathSync(path, "buffer");
  } catch {
    log.add("symlink-refused", `the symbolic link ${name} leads nowhere`, { severity: "warning" });
    return undefined;
  }
  const inside = Buffer.from(root.endsWith(sep) ? root : root + sep);
  if (!real.subarray(0, inside.length).equals(inside)) {
    log.add("symlink-refused", `the symbolic link ${name} leads out of the folder; it is not read`);
    return undefined;
  }
  return typeof path === "string" ? real.toString() : real;
}

const textOf = (path: string | Buffer): string => (typeof path === "string" ? path : textFromBytes(path));

/** Status without following a link; nothing if there is no such file or it cannot be reached. */
function lstatOf(path: string | Buffer): ReturnType<typeof lstatSync> | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}

const isFolder = (path: string): boolean => lstatOf(path)?.isDirectory() ?? false;
