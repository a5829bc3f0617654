/** Which layout is where in a handover, as decoding it finds out. */
import { kernels, newestKernel } from "../../formats/kernels.js";
import * as kho from "../../formats/kho/layout.js";
import { radixShape } from "../../formats/kho/map-radix.js";
import { KHO_METADATA_NODE_NAME } from "../../formats/kho/metadata.js";
import * as luo from "../../formats/luo/layout.js";
import { LUO_KHO_ENTRY_NAME } from "../../formats/luo/luo.js";
import * as memfd from "../../formats/memfd/layout.js";
import { isMemfd, memfdLayouts } from "../../formats/memfd/memfd.js";
import * as paths from "../../formats/paths.js";
import type { Decoded, Handover } from "../../src/handover/index.js";
import { type Abi, bytesFromText, type Layout, sizeOf, u64 } from "../../src/layout/index.js";

/** A structure: a head, and records behind it as far as they are used. */
export interface Place {
  readonly path: string;
  readonly pa: bigint;
  /** Bytes that it has at most. */
  readonly length: number;
  readonly head?: Layout;
  readonly record?: Layout;
  /** True for a flattened tree. */
  readonly tree?: boolean;
  /** True where every bit is a block of memory. */
  readonly bitmap?: boolean;
}

type Form = Pick<Place, "head" | "record" | "tree" | "bitmap">;

/** What a path leads to; undefined for contents. */
function formOf(path: string, pa: bigint, abi: Abi, handover: Handover): Form | undefined {
  const { preserved, subtrees } = handover;
  if (path === paths.rootPath) return { tree: true };
  const subtree = subtrees.find(({ name }) => path === paths.subtreePath(name));
  if (subtree?.kind === "fdt") return { tree: true };
  if (subtree?.name === LUO_KHO_ENTRY_NAME) return { head: luo.luoSer };
  if (subtree?.name === KHO_METADATA_NODE_NAME) return { head: kho.khoKexecMetadata };
  if (/^preserved(\[\d+\])*$/.test(path)) {
    const levels = path.split("[").length;
    return levels < radixShape(abi, preserved?.skeleton.kind === "radix" && preserved.skeleton.early).depth
      ? { head: kho.khoRadixNode }
      : { bitmap: true };
  }
  if (/^preserved\.chunks\[\d+\]$/.test(path))
    return { head: kho.khoserMemChunkHdr, record: kho.khoserMemBitmapPtr };
  if (path.startsWith("preserved.")) return { bitmap: true };
  if (path === paths.luoHeaderPath) return { head: luo.luoSerV2 };
  if (path === paths.sessionsPath) return { head: luo.luoSessionHeaderSer, record: luo.luoSessionSer };
  if (path.startsWith(`${paths.sessionsPath}.blocks`))
    return { head: kho.khoBlockHeaderSer, record: luo.luoSessionSer };
  if (/\.files\.blocks\[\d+\]$/.test(path)) return { head: kho.khoBlockHeaderSer, record: luo.luoFileSer };
  if (path.endsWith(".files")) return { record: luo.luoFileSer };
  if (path === paths.flbsPath) return { head: luo.luoFlbHeaderSer, record: luo.luoFlbSer };
  if (path.endsWith(".memfd")) {
    const files = handover.luo?.sessions.flatMap((session) => session.files) ?? [];
    const version = files.find(({ data }) => data === pa)?.compatible ?? "";
    return isMemfd(version) ? { head: memfdLayouts[version] } : undefined;
  }
  if (/\.chunks\[\d+\]$/.test(path)) return { head: kho.khoVmallocHdr, record: u64 };
  if (path === paths.khoTestInfoPath) return { record: u64 };
  if (path.endsWith(".folios") && path !== paths.khoTestFoliosPath) return { record: memfd.memfdLuoFolioSer };
  return undefined;
}

/** Every structure of a handover, in the order in which they are reached; what leads to it first. */
export function placesOf({ handover, structures }: Decoded): Place[] {
  const abi: Abi = { byteOrder: "little", pageSize: handover.pageSize };
  const { recordPa, scratchPa, scratchSize } = handover.handoff;
  const places: Place[] = [];
  if (recordPa !== 0n) {
    const head = sizeOf(kho.setupData, abi);
    places.push({ path: "setup_data", pa: recordPa, length: head, head: kho.setupData });
    const size = sizeOf(kho.khoData, abi);
    places.push({ path: "kho_data", pa: recordPa + BigInt(head), length: size, head: kho.khoData });
  }
  if (scratchPa !== 0n && scratchSize < 2n ** 16n)
    places.push({ path: "scratch", pa: scratchPa, length: Number(scratchSize), record: kho.khoScratch });
  for (const { path, pa, pages } of structures) {
    const form = formOf(path, pa, abi, handover);
    if (form) places.push({ path, pa, length: pages * handover.pageSize, ...form });
  }
  return places;
}

/** How many records of a structure are used, and one behind them where there is room. */
export function recordsIn({ head, record, length }: Place, bytes: Uint8Array, abi: Abi): number {
  if (!record) return 0;
  const size = sizeOf(record, abi);
  const from = head ? sizeOf(head, abi) : 0;
  const room = Math.floor((Math.min(length, bytes.length) - from) / size);
  for (let count = room; count > 0; count--)
    for (let at = from + (count - 1) * size; at < from + count * size; at++)
      if (bytes[at] !== 0) return Math.min(count + 1, room);
  return Math.min(1, room);
}

/** Version strings and names that occur: what a text can be mistaken for. */
export function textsIn({ handover: { compatible, luo: liveUpdate, subtrees } }: Decoded): Uint8Array[] {
  const texts = new Set<string>(["", compatible, newestKernel.kho, ...kernels.map(({ release }) => release)]);
  for (const { luo: version, memfd: handler } of kernels) texts.add(version ?? "").add(handler ?? "");
  for (const { name } of subtrees) texts.add(name);
  for (const { name } of liveUpdate?.flbs ?? []) texts.add(name);
  for (const { name, files } of liveUpdate?.sessions ?? []) {
    texts.add(name);
    for (const file of files) texts.add(file.compatible);
  }
  return Array.from(texts, bytesFromText);
}
