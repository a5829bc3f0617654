import { encodedAt } from "../../formats/fill.js";
import { blockCapacity } from "../../formats/kho/blocks.js";
import { blocksFor, encodeBlocks } from "../../formats/kho/blocks-encode.js";
import { khoBlockHeaderSer } from "../../formats/kho/layout.js";
import { encodeFileArea, encodeFlbPage, encodeLuoRoot, encodeSessionArea } from "../../formats/luo/encode.js";
import {
  luoFileSer,
  luoFlbHeaderSer,
  luoFlbSer,
  luoSessionHeaderSer,
  luoSessionSer,
} from "../../formats/luo/layout.js";
import { LUO_FILE_PGCNT, LUO_FLB_PGCNT, LUO_SESSION_PGCNT } from "../../formats/luo/records.js";
import { formOf } from "../../formats/luo/root.js";
import { encodeFolios, encodeMemfd, folioCount, folioListSize } from "../../formats/memfd/encode.js";
import { seals as sealBits } from "../../formats/memfd/layout.js";
import { isMemfd } from "../../formats/memfd/memfd.js";
import {
  blockPath,
  filePath,
  filesPath,
  flbPath,
  flbsPath,
  foliosPath,
  luoHeaderPath,
  luoPath,
  memfdPath,
  sessionPath,
  sessionsPath,
} from "../../formats/paths.js";
import { type Abi, type Struct, sizeOf, type ValueOf } from "../layout/index.js";
import { type PhysAddr, physAddr } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import { encodeArea, pagesOf } from "./encode-area.js";
import type { File, LiveUpdate, Session } from "./model.js";
import type { Writing } from "./writing.js";

/** Writes live-update state with its root, a blob in the page at `pa`, and returns the bytes of that. */
export function encodeLiveUpdate(
  writing: Writing,
  pa: PhysAddr,
  container: "fdt" | "raw",
  luo: LiveUpdate,
): number {
  const { placement, target } = writing;
  const { compatible, liveupdateNumber } = luo;
  const form = formOf(container, compatible);
  if (!form)
    throw new KhoError("value-range", `live update state of version "${compatible}" cannot be written`, {
      path: `${luoPath}.compatible`,
      actual: compatible,
    });
  const records = luo.sessions.map((session, s) => {
    const count = BigInt(session.files.length);
    const files = encodeFiles(writing, session, sessionPath(s), form.files);
    return { name: session.name, file_set_ser: { files, count } };
  });
  const places = luo.sessions.map((session, s) => ({ path: sessionPath(s), pa: session.pa }));
  const sessions =
    form.sessions === "blocks"
      ? encodeBlockList(writing, sessionsPath, luoSessionSer, records, places)
      : encodeSessions(writing, records, places);
  const flbs = encodeFlbs(writing, luo);
  return encodedAt(luoPath, () =>
    encodeLuoRoot(target, pa, container, {
      compatible,
      liveupdateNumber,
      sessions,
      ...(flbs !== undefined && { flbs }),
      ...(form.root === "structure" && { headerPa: placement.block(luoHeaderPath, 0) }),
    }),
  );
}

/** A record's path, and where the handover has it. */
interface Place {
  readonly path: string;
  readonly pa: PhysAddr;
}

function encodeSessions(
  { placement, target }: Writing,
  records: readonly ValueOf<typeof luoSessionSer>[],
  places: readonly Place[],
): PhysAddr {
  const pa = placement.block(sessionsPath, Math.log2(LUO_SESSION_PGCNT));
  encodedAt(sessionsPath, () => encodeSessionArea(target, pa, records));
  settle(placement, places, pa, luoSessionHeaderSer, luoSessionSer, target.abi);
  return pa;
}

/** Writes the files of a session; where they are, 0 for none. */
function encodeFiles(
  writing: Writing,
  { files }: Session,
  session: string,
  storage: "area" | "blocks",
): PhysAddr {
  const { placement, target } = writing;
  const path = filesPath(session);
  const records = files.map((file, f) => {
    const data = encodeFile(writing, file, filePath(session, f));
    return { compatible: file.compatible, data, token: file.token };
  });
  const places = files.map(({ pa }, f) => ({ path: filePath(session, f), pa }));
  if (storage === "blocks") return encodeBlockList(writing, path, luoFileSer, records, places);
  if (files.length === 0 && !placement.keeps(path, false)) return physAddr(0);
  const pa = placement.block(path, Math.log2(LUO_FILE_PGCNT));
  encodedAt(path, () => encodeFileArea(target, pa, records));
  settle(placement, places, pa, undefined, luoFileSer, target.abi);
  return pa;
}

/** Writes what a file leads to, if its handler is known; its `data`. */
function encodeFile(writing: Writing, { compatible, data, memfd }: File, path: string): bigint {
  const { placement, target } = writing;
  if (!isMemfd(compatible)) return data;
  const at = memfdPath(path);
  if (!memfd) throw new KhoError("not-found", `what ${path} leads to is not known`, { path: at });
  const count = folioCount(memfd.folios);
  if (memfd.nrFolios !== BigInt(count))
    throw new KhoError(
      "value-range",
      `the list of ${path} has ${memfd.nrFolios} entries, of which ${count} are known: readers skip the others`,
      { path: foliosPath(at), expected: String(count), actual: String(memfd.nrFolios) },
    );
  // What decoding puts there for a version that does not carry them.
  if (compatible === "memfd-v1" && (memfd.seals !== sealBits.F_SEAL_SEAL || memfd.flags !== 0))
    throw new KhoError("value-range", `${compatible} carries neither seals nor flags`, {
      path: `${at}.seals`,
      expected: `seals ${sealBits.F_SEAL_SEAL}, flags 0`,
      actual: `seals ${memfd.seals}, flags ${memfd.flags}`,
    });
  const pa = placement.block(at, 0, physAddr(data));
  encodedAt(at, () => {
    const folios = encodedAt(foliosPath(at), () =>
      encodeArea(writing, foliosPath(at), folioListSize(count, target), (blocks) =>
        encodeFolios(target, blocks, memfd.folios),
      ),
    );
    encodeMemfd(target, compatible, pa, memfd, folios);
  });
  return pa;
}

/** Writes the FLB page; where it is, if there is one. */
function encodeFlbs({ placement, target }: Writing, { flbs }: LiveUpdate): PhysAddr | undefined {
  if (flbs.length === 0 && !placement.keeps(flbsPath, target.kernel.flb)) return undefined;
  const pa = placement.block(flbsPath, Math.log2(LUO_FLB_PGCNT));
  encodedAt(flbsPath, () => encodeFlbPage(target, pa, flbs));
  const places = flbs.map((flb, i) => ({ path: flbPath(i), pa: flb.pa }));
  settle(placement, places, pa, luoFlbHeaderSer, luoFlbSer, target.abi);
  return pa;
}

/** Writes a list of blocks; where it begins, 0 for an empty one. */
function encodeBlockList<R extends Struct>(
  { placement, target }: Writing,
  path: string,
  record: R,
  records: readonly ValueOf<R>[],
  places: readonly Place[],
): PhysAddr {
  const { abi } = target;
  const count = blocksFor(record, records.length, abi);
  const pas = pagesOf(placement, count, (index) => blockPath(path, index));
  encodedAt(path, () => encodeBlocks(target, record, pas, records));
  const most = blockCapacity(record, target);
  for (const [b, pa] of pas.entries())
    settle(placement, places.slice(b * most, (b + 1) * most), pa, khoBlockHeaderSer, record, abi);
  return pas[0] ?? physAddr(0);
}

/** Says where the records behind a header came to lie. */
function settle(
  placement: Writing["placement"],
  places: readonly Place[],
  pa: PhysAddr,
  header: Struct | undefined,
  record: Struct,
  abi: Abi,
): void {
  const first = header ? sizeOf(header, abi) : 0;
  for (const [i, { path, pa: now }] of places.entries())
    placement.settle(path, physAddr(pa + BigInt(first + i * sizeOf(record, abi))), now);
}
