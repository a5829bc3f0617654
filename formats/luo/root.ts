import { decode, sizeOf } from "../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../src/memory/index.js";
import { bootStops, itemIgnored, luoPanics } from "../consequence.js";
import { type Context, readMemory } from "../context.js";
import { child, type FdtNode, hasFdtMagic, property, stringList } from "../fdt/index.js";
import { luoHeaderPath, luoPath } from "../paths.js";
import { wantedU64 } from "../property.js";
import { readTree } from "../tree.js";
import { reportVersion } from "../version.js";
import { luoSer, luoSerV2 } from "./layout.js";
import {
  LUO_FDT_ABI_HEADER,
  LUO_FDT_FLB_COMPATIBLE,
  LUO_FDT_FLB_HEADER,
  LUO_FDT_FLB_NODE_NAME,
  LUO_FDT_LIVEUPDATE_NUM,
  LUO_FDT_SESSION_COMPATIBLE,
  LUO_FDT_SESSION_HEADER,
  LUO_FDT_SESSION_NODE_NAME,
} from "./luo.js";

/** How sessions, or the files of a session, are stored: one contiguous area, or a list of blocks. */
export type Storage = "area" | "blocks";

/** What the root of live-update state leads to. */
export interface LuoRoot {
  readonly compatible: string;
  readonly liveupdateNumber: bigint;
  readonly sessions: PhysAddr;
  readonly sessionStorage: Storage;
  readonly fileStorage: Storage;
  readonly flbs: PhysAddr;
}

/** How a version stores what. */
export interface Form {
  /** Where the three numbers are: in properties of the tree, in a structure it points to, or in the blob itself. */
  readonly root: "properties" | "structure" | "blob";
  readonly sessions: Storage;
  readonly files: Storage;
}

/** Every form of the root, by container and version string. Only `luo-v1` and `luo-v5` are of releases. */
const forms: { readonly fdt: Record<string, Form>; readonly raw: Record<string, Form> } = {
  fdt: {
    "luo-v1": { root: "properties", sessions: "area", files: "area" },
    "luo-v2": { root: "structure", sessions: "area", files: "area" },
    "luo-v3": { root: "structure", sessions: "blocks", files: "area" },
    "luo-v4": { root: "structure", sessions: "blocks", files: "blocks" },
  },
  raw: {
    "luo-v3": { root: "blob", sessions: "area", files: "area" },
    "luo-v4": { root: "blob", sessions: "blocks", files: "area" },
    "luo-v5": { root: "blob", sessions: "blocks", files: "blocks" },
  },
};

/** The form of a version string in a tree or in a structure of its own; undefined if it is of no version. */
export const formOf = (container: "fdt" | "raw", compatible: string): Form | undefined =>
  Object.hasOwn(forms[container], compatible) ? forms[container][compatible] : undefined;

const path = luoPath;
const oops = bootStops("unhandled fault");

/** True if a blob has the form that some version of LUO gives its root. */
export const looksLikeLuo = (blob: Uint8Array): boolean =>
  hasFdtMagic(blob) || new TextDecoder("latin1").decode(blob.subarray(0, 5)) === "luo-v";

/** Reads the blob of the `LUO` subtree; undefined if nothing behind it can be found. */
export function decodeLuoRoot(ctx: Context, blob: Uint8Array, pa: PhysAddr): LuoRoot | undefined {
  return hasFdtMagic(blob) ? fromFdt(ctx, blob, pa) : fromStruct(ctx, blob, pa);
}

function checkVersion(ctx: Context, found: string, known: boolean, pa: PhysAddr): void {
  if (found === ctx.kernel.luo) return;
  reportVersion(ctx, {
    subject: "live update state",
    path: `${path}.compatible`,
    pa,
    found,
    expected: ctx.kernel.luo ?? "none: this release has no live update",
    known,
    consequence: ctx.kernel.luo ? luoPanics("EINVAL") : itemIgnored("this release has no live update"),
  });
}

function fromStruct(ctx: Context, blob: Uint8Array, pa: PhysAddr): LuoRoot | undefined {
  const { abi } = ctx;
  const size = sizeOf(luoSer, abi);
  if (blob.length < size) {
    ctx.report("error", "blob-size-mismatch", `the root of live update state has ${blob.length} bytes`, {
      path,
      pa,
      length: blob.length,
      expected: `at least ${size} bytes`,
      actual: `${blob.length} bytes`,
      consequence: luoPanics("EINVAL"),
    });
    return undefined;
  }
  const root = decode(luoSer, blob, 0, abi);
  const form = formOf("raw", root.compatible);
  checkVersion(ctx, root.compatible, form !== undefined, pa);
  if (!form) return undefined;
  return {
    compatible: root.compatible,
    liveupdateNumber: root.liveupdate_num,
    sessions: root.sessions_pa,
    sessionStorage: form.sessions,
    fileStorage: form.files,
    flbs: root.flbs_pa,
  };
}

function fromFdt(ctx: Context, blob: Uint8Array, pa: PhysAddr): LuoRoot | undefined {
  const fdt = readTree(ctx, blob, pa, path, luoPanics("EINVAL"));
  if (!fdt) return undefined;
  const compatible = compatibleOf(ctx, fdt.root, pa, path, ctx.kernel.luo) ?? "";
  const form = formOf("fdt", compatible);
  checkVersion(ctx, compatible, form !== undefined, pa);
  if (!form) return undefined;
  const numbers =
    form.root === "properties" ? fromProperties(ctx, fdt.root, pa) : fromPointer(ctx, fdt.root, pa);
  return numbers && { compatible, ...numbers, sessionStorage: form.sessions, fileStorage: form.files };
}

type Numbers = Pick<LuoRoot, "liveupdateNumber" | "sessions" | "flbs">;

/** `luo-v1`: include/linux/kho/abi/luo.h of 6.19 to 7.1. */
function fromProperties(ctx: Context, root: FdtNode, pa: PhysAddr): Numbers | undefined {
  const number = u64Of(ctx, root, LUO_FDT_LIVEUPDATE_NUM, pa, path);
  const session = nodeOf(ctx, root, LUO_FDT_SESSION_NODE_NAME, LUO_FDT_SESSION_COMPATIBLE, pa);
  const sessions =
    session && u64Of(ctx, session, LUO_FDT_SESSION_HEADER, pa, `${path}.${LUO_FDT_SESSION_NODE_NAME}`);
  // 6.19 neither writes nor reads the FLB node; 7.0 and 7.1 stop without it.
  const wantsFlb = ctx.kernel.flb && ctx.kernel.luo === "luo-v1";
  const present = child(root, LUO_FDT_FLB_NODE_NAME) !== undefined;
  if (!present && wantsFlb)
    ctx.report("error", "flb-missing", "the tree has no luo-flb node: 6.19 wrote it", {
      path: `${path}.${LUO_FDT_FLB_NODE_NAME}`,
      pa,
      consequence: luoPanics("ENOENT"),
    });
  if (present && !ctx.kernel.flb)
    ctx.report(
      "warning",
      "flb-ignored",
      `Linux ${ctx.kernel.release} has no FLBs, what they refer to is lost`,
      {
        path: `${path}.${LUO_FDT_FLB_NODE_NAME}`,
        pa,
        consequence: itemIgnored("nobody looks at the FLBs"),
      },
    );
  // What nobody looks at cannot be wrong.
  const judged: Context = wantsFlb ? ctx : { ...ctx, report: () => {} };
  const flb = present ? nodeOf(judged, root, LUO_FDT_FLB_NODE_NAME, LUO_FDT_FLB_COMPATIBLE, pa) : undefined;
  const flbs = flb && u64Of(judged, flb, LUO_FDT_FLB_HEADER, pa, `${path}.${LUO_FDT_FLB_NODE_NAME}`);
  if (sessions === undefined && number === undefined) return undefined;
  return { liveupdateNumber: number ?? 0n, sessions: physAddr(sessions ?? 0n), flbs: physAddr(flbs ?? 0n) };
}

/** `luo-v2` of development kernels: one property, the address of a structure. */
function fromPointer(ctx: Context, root: FdtNode, pa: PhysAddr): Numbers | undefined {
  const at = u64Of(ctx, root, LUO_FDT_ABI_HEADER, pa, path);
  if (at === undefined) return undefined;
  const bytes = readMemory(ctx, physAddr(at), sizeOf(luoSerV2, ctx.abi), path, oops);
  if (!bytes) return undefined;
  const header = decode(luoSerV2, bytes, 0, ctx.abi);
  ctx.claims.claim(physAddr(at), 1, 0, luoHeaderPath);
  return { liveupdateNumber: header.liveupdate_num, sessions: header.sessions_pa, flbs: header.flbs_pa };
}

function nodeOf(
  ctx: Context,
  root: FdtNode,
  name: string,
  compatible: string,
  pa: PhysAddr,
): FdtNode | undefined {
  const node = child(root, name);
  const place = { path: `${path}.${name}`, pa, expected: compatible, consequence: luoPanics("EINVAL") };
  if (!node) {
    ctx.report("error", "property-missing", `the tree has no ${name} node`, place);
    return undefined;
  }
  const found = compatibleOf(ctx, node, pa, place.path, compatible);
  if (found !== undefined && found !== compatible)
    ctx.report("error", "compatible-mismatch", `${name} is of version "${found}"`, {
      ...place,
      actual: found,
    });
  return node;
}

/** The version string of a node: `wanted` if it is among several, as kernels compare them, else the first. */
function compatibleOf(
  ctx: Context,
  node: FdtNode,
  pa: PhysAddr,
  at: string,
  wanted: string | undefined,
): string | undefined {
  const found = property(node, "compatible");
  const list = found && stringList(found.value);
  if (wanted !== undefined && list?.includes(wanted)) return wanted;
  if (list?.[0] !== undefined) return list[0];
  ctx.report("error", "property-missing", `${at} has no usable "compatible" property`, {
    path: `${at}.compatible`,
    pa,
    consequence: luoPanics("EINVAL"),
  });
  return undefined;
}

const u64Of = (ctx: Context, node: FdtNode, name: string, pa: PhysAddr, at: string): bigint | undefined =>
  wantedU64(ctx, node, {
    name,
    missing: `${at} has no usable "${name}" property`,
    path: `${at}.${name}`,
    treePa: pa,
    placePa: pa,
    consequence: luoPanics("EINVAL"),
  });
