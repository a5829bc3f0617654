import { capacity, encode, sizeOf, type ValueOf } from "../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../src/memory/index.js";
import { KhoError } from "../../src/report/error.js";
import { buildSequential, nativeU64Property, stringProperty, type TreeSource } from "../fdt/index.js";
import { fillPages, withRecords } from "../fill.js";
import type { Target } from "../target.js";
import {
  luoFileSer,
  luoFlbHeaderSer,
  luoFlbSer,
  luoSer,
  luoSerV2,
  luoSessionHeaderSer,
  luoSessionSer,
} from "./layout.js";
import {
  LUO_FDT_ABI_HEADER,
  LUO_FDT_FLB_COMPATIBLE,
  LUO_FDT_FLB_HEADER,
  LUO_FDT_FLB_NODE_NAME,
  LUO_FDT_LIVEUPDATE_NUM,
  LUO_FDT_SESSION_COMPATIBLE,
  LUO_FDT_SESSION_HEADER,
  LUO_FDT_SESSION_NODE_NAME,
  type LuoFlb,
} from "./luo.js";
import { LUO_FILE_PGCNT, LUO_FLB_PGCNT, LUO_SESSION_PGCNT } from "./records.js";
import { formOf, type LuoRoot } from "./root.js";

/** What the root of live-update state says. */
export interface LuoRootSource extends Pick<LuoRoot, "compatible" | "liveupdateNumber" | "sessions"> {
  /** Physical address of the FLB page; absent for 6.19, which has none. */
  readonly flbs?: PhysAddr;
  /** A page for the structure that a tree of `luo-v2` to `luo-v4` leads to. */
  readonly headerPa?: PhysAddr;
}

/**
 * Writes the blob of the `LUO` subtree into the page at `pa`: a tree, or a structure of its own. Returns its bytes.
 * @throws KhoError `value-range` for a version that there is not in that container, or a tree without a page for what
 * it leads to
 */
export function encodeLuoRoot(
  target: Target,
  pa: PhysAddr,
  container: "fdt" | "raw",
  root: LuoRootSource,
): number {
  const { abi } = target;
  const { compatible, liveupdateNumber, sessions, flbs = physAddr(0), headerPa } = root;
  const form = formOf(container, compatible);
  if (!form) throw malformed("compatible", `a version of LUO as ${container}`, compatible);
  const numbers = { liveupdate_num: liveupdateNumber, sessions_pa: sessions, flbs_pa: flbs };
  if (form.root === "blob") {
    const bytes = encode(luoSer, { compatible, ...numbers }, abi);
    fillPages(target, pa, 1, bytes, "page-tail");
    return bytes.length;
  }
  if (form.root === "structure") {
    if (headerPa === undefined) throw malformed("luo-abi-header", "a page for it", "none");
    fillPages(target, headerPa, 1, encode(luoSerV2, numbers, abi), "page-tail");
  }
  const blob = buildSequential(
    form.root === "structure" ? pointerTree(root, target) : wholeTree(root, target),
  );
  fillPages(target, pa, 1, blob, "fdt-slack");
  return blob.length;
}

/** `luo-v1`: everything is in properties. */
function wholeTree(
  { compatible, liveupdateNumber, sessions, flbs }: LuoRootSource,
  { abi }: Target,
): TreeSource {
  const node = (name: string, version: string, header: string, pa: PhysAddr): TreeSource => ({
    name,
    properties: [
      ["compatible", stringProperty(version)],
      [header, nativeU64Property(pa, abi)],
    ],
    children: [],
  });
  const children = [
    node(LUO_FDT_SESSION_NODE_NAME, LUO_FDT_SESSION_COMPATIBLE, LUO_FDT_SESSION_HEADER, sessions),
  ];
  if (flbs !== undefined)
    children.push(node(LUO_FDT_FLB_NODE_NAME, LUO_FDT_FLB_COMPATIBLE, LUO_FDT_FLB_HEADER, flbs));
  return {
    name: "",
    properties: [
      ["compatible", stringProperty(compatible)],
      [LUO_FDT_LIVEUPDATE_NUM, nativeU64Property(liveupdateNumber, abi)],
    ],
    children,
  };
}

/** `luo-v2` to `luo-v4` of development kernels: one address. */
const pointerTree = ({ compatible, headerPa = physAddr(0) }: LuoRootSource, { abi }: Target): TreeSource => ({
  name: "",
  properties: [
    ["compatible", stringProperty(compatible)],
    [LUO_FDT_ABI_HEADER, nativeU64Property(headerPa, abi)],
  ],
  children: [],
});

/** Most sessions in the area of 6.19 to 7.1, and most files in that of a session. */
export const sessionAreaCapacity = ({ abi }: Pick<Target, "abi">): number =>
  capacity(luoSessionSer, LUO_SESSION_PGCNT * abi.pageSize - sizeOf(luoSessionHeaderSer, abi), abi);
export const fileAreaCapacity = ({ abi }: Pick<Target, "abi">): number =>
  capacity(luoFileSer, LUO_FILE_PGCNT * abi.pageSize, abi);
/** Most entries in the FLB page. */
export const flbCapacity = ({ abi }: Pick<Target, "abi">): number =>
  capacity(luoFlbSer, LUO_FLB_PGCNT * abi.pageSize - sizeOf(luoFlbHeaderSer, abi), abi);

/** Writes the session area of 6.19 to 7.1, 16 pages. @throws KhoError `value-range` */
export function encodeSessionArea(
  target: Target,
  pa: PhysAddr,
  sessions: readonly ValueOf<typeof luoSessionSer>[],
): void {
  requireRoom(luoSessionSer.name, sessions.length, sessionAreaCapacity(target));
  const head = { layout: luoSessionHeaderSer, value: { count: BigInt(sessions.length) } };
  const bytes = withRecords(head, luoSessionSer, sessions, target.abi);
  fillPages(target, pa, LUO_SESSION_PGCNT, bytes, "records-beyond-count");
}

/** Writes the file area of a session of 6.19 to 7.1, 2 pages. @throws KhoError `value-range` */
export function encodeFileArea(
  target: Target,
  pa: PhysAddr,
  files: readonly ValueOf<typeof luoFileSer>[],
): void {
  requireRoom(luoFileSer.name, files.length, fileAreaCapacity(target));
  const bytes = withRecords(undefined, luoFileSer, files, target.abi);
  fillPages(target, pa, LUO_FILE_PGCNT, bytes, "records-beyond-count");
}

/** Writes the FLB page. @throws KhoError `value-range` */
export function encodeFlbPage(
  target: Target,
  pa: PhysAddr,
  flbs: readonly Pick<LuoFlb, "name" | "data" | "count">[],
): void {
  requireRoom(luoFlbSer.name, flbs.length, flbCapacity(target));
  const value = { pgcnt: BigInt(LUO_FLB_PGCNT), count: BigInt(flbs.length) };
  const bytes = withRecords({ layout: luoFlbHeaderSer, value }, luoFlbSer, flbs, target.abi);
  fillPages(target, pa, LUO_FLB_PGCNT, bytes, "records-beyond-count");
}

function requireRoom(name: string, count: number, most: number): void {
  if (count > most) throw malformed(name, `at most ${most}`, String(count));
}

const malformed = (path: string, expected: string, actual: string): KhoError =>
  new KhoError("value-range", `${path}: expected ${expected}, got ${actual}`, { path, expected, actual });
