/** What live update takes of a handover, and how much of it there can be. */
import type { Kernel, LuoVersion } from "../../formats/kernels.js";
import { blockCapacity, KHO_MAX_BLOCKS } from "../../formats/kho/blocks.js";
import { blocksFor } from "../../formats/kho/blocks-encode.js";
import { khoBlockHeaderSer } from "../../formats/kho/layout.js";
import { vmallocChunks } from "../../formats/kho/vmalloc-encode.js";
import {
  encodeLuoRoot,
  fileAreaCapacity,
  flbCapacity,
  sessionAreaCapacity,
} from "../../formats/luo/encode.js";
import {
  luoFileSer,
  luoFlbHeaderSer,
  luoFlbSer,
  luoSer,
  luoSessionHeaderSer,
  luoSessionSer,
} from "../../formats/luo/layout.js";
import { LUO_FILE_PGCNT, LUO_FLB_PGCNT, LUO_SESSION_PGCNT } from "../../formats/luo/records.js";
import { formOf } from "../../formats/luo/root.js";
import { folioListSize } from "../../formats/memfd/encode.js";
import { memfdLuoFolioSer } from "../../formats/memfd/layout.js";
import { memfdLayouts } from "../../formats/memfd/memfd.js";
import type { Target } from "../../formats/target.js";
import { type Abi, type Struct, sizeOf } from "../layout/index.js";
import { physAddr } from "../memory/index.js";
import { eachFile, filesOf, folioCountOf, type Shape, totalsOf } from "./shape.js";
import { block, chunkRow, records, type StructureCost, type StructureId } from "./structure-row.js";

/** What the root is: a tree up to `luo-v1`, a structure of its own since 7.2. */
const containerOf = (version: LuoVersion): "fdt" | "raw" => (formOf("fdt", version) ? "fdt" : "raw");

/** What live update hands over: its root, sessions, files, FLBs, and what memfds lead to. */
export function liveUpdateRows(shape: Shape, target: Target): StructureCost[] {
  const { abi, kernel } = target;
  if (kernel.luo === undefined || !shape.liveUpdate) return [];
  const container = containerOf(kernel.luo);
  const form = formOf(container, kernel.luo)!;
  const root = encodeLuoRoot(target, physAddr(0), container, {
    compatible: kernel.luo,
    liveupdateNumber: 1n,
    sessions: physAddr(0),
    ...(kernel.flb && { flbs: physAddr(0) }),
  });
  const { sessions, files } = totalsOf(shape);
  const flbBytes = sizeOf(luoFlbHeaderSer, abi) + shape.flbs * sizeOf(luoFlbSer, abi);
  return [
    block("luo-root", form.root === "blob" ? luoSer.name : "LUO tree", "root of live update", 1, root, 0),
    form.sessions === "area"
      ? records("sessions", luoSessionSer, "one area", {
          count: sessions,
          bytes: sizeOf(luoSessionHeaderSer, abi) + sessions * sizeOf(luoSessionSer, abi),
          pages: LUO_SESSION_PGCNT,
          order: Math.log2(LUO_SESSION_PGCNT),
        })
      : blockRow("sessions", luoSessionSer, sessions, blocksFor(luoSessionSer, sessions, abi), abi),
    form.files === "area"
      ? records("files", luoFileSer, "an area for each session", {
          count: files,
          bytes: files * sizeOf(luoFileSer, abi),
          pages: totalsOf(shape).sessionsWithFiles * LUO_FILE_PGCNT,
          order: Math.log2(LUO_FILE_PGCNT),
        })
      : blockRow("files", luoFileSer, files, fileBlocks(shape, abi), abi),
    ...(kernel.flb
      ? [
          records("flbs", luoFlbSer, "one page", {
            count: shape.flbs,
            bytes: flbBytes,
            pages: LUO_FLB_PGCNT,
            order: Math.log2(LUO_FLB_PGCNT),
          }),
        ]
      : []),
    ...memfds(shape, target),
  ];
}

const blockRow = (id: StructureId, layout: Struct, count: number, blocks: number, abi: Abi): StructureCost =>
  records(id, layout, "in serialization blocks", {
    count,
    bytes: blocks * sizeOf(khoBlockHeaderSer, abi) + count * sizeOf(layout, abi),
    pages: blocks,
    order: 0,
  });

const fileBlocks = ({ sessions }: Shape, abi: Abi): number =>
  sessions.reduce((sum, session) => sum + session.count * blocksFor(luoFileSer, filesOf(session), abi), 0);

function memfds(shape: Shape, { abi, kernel }: Target): StructureCost[] {
  if (kernel.memfd === undefined) return [];
  let count = 0;
  let folios = 0;
  let pages = 0;
  let chunks = 0;
  eachFile(shape, (file, files) => {
    if (file.handler !== "memfd") return;
    const list = listPages(folioCountOf(file), abi);
    count += files;
    folios += files * folioCountOf(file);
    pages += files * list;
    chunks += files * vmallocChunks(list, abi);
  });
  const layout = memfdLayouts[kernel.memfd];
  return [
    block("memfds", layout.name, "a page for each memfd", count, count * sizeOf(layout, abi), 0),
    records("folio-lists", memfdLuoFolioSer, "lists of folios", {
      count: folios,
      bytes: folioListSize(folios, { abi }),
      pages,
      order: 0,
    }),
    chunkRow("folio-chunks", chunks, pages, abi),
  ];
}

/** Base pages of the list of a file's folios. */
export const listPages = (folios: number, abi: Abi): number =>
  Math.ceil(folioListSize(folios, { abi }) / abi.pageSize);

/** What a release has no room for, or does not have at all. For people. */
export function impossibleOf(shape: Shape, kernel: Kernel, abi: Abi): string[] {
  const { sessions, files } = totalsOf(shape);
  const { release } = kernel;
  if (kernel.luo === undefined)
    return sessions > 0 ? [`Linux ${release} has no live update, and no sessions`] : [];
  const { sessions: storage, files: fileStorage } = formOf(containerOf(kernel.luo), kernel.luo)!;
  const room = { abi };
  const mostSessions =
    storage === "blocks" ? KHO_MAX_BLOCKS * blockCapacity(luoSessionSer, room) : sessionAreaCapacity(room);
  const mostFiles =
    fileStorage === "blocks" ? KHO_MAX_BLOCKS * blockCapacity(luoFileSer, room) : fileAreaCapacity(room);
  const largest = shape.sessions.reduce((most, session) => Math.max(most, filesOf(session)), 0);
  const found: string[] = [];
  if (sessions > mostSessions) found.push(`Linux ${release} has room for ${mostSessions} sessions`);
  if (largest > mostFiles) found.push(`Linux ${release} has room for ${mostFiles} files in a session`);
  if (shape.flbs > flbCapacity(room)) found.push(`the FLB page has room for ${flbCapacity(room)} entries`);
  if (!shape.liveUpdate && files > 0) found.push("live update is switched off, and there are files");
  return found;
}
