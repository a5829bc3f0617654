import type { Context } from "../../formats/context.js";
import type { PreservedMemory } from "../../formats/kho/preserved.js";
import { type OrderOf, orderIn } from "../../formats/kho/runs.js";
import type { Luo } from "../../formats/luo/luo.js";
import { decodeLuo } from "../../formats/luo/records.js";
import { looksLikeLuo } from "../../formats/luo/root.js";
import type { FolioRoom } from "../../formats/memfd/folio-list.js";
import { decodeMemfd, isMemfd } from "../../formats/memfd/memfd.js";
import { filePath, luoPath, memfdPath, sessionPath } from "../../formats/paths.js";
import type { Image } from "../image/image.js";
import { physAddr } from "../memory/index.js";
import type { File, LiveUpdate, Session, Subtree } from "./model.js";
import { decodeSystemdMapping, SYSTEMD_MAPPING_TOKEN, SYSTEMD_SESSION } from "./systemd.js";

/** Reads live-update state from the blob of the `LUO` subtree, with what the files of known handlers lead to. */
export function decodeLiveUpdate(
  ctx: Context,
  image: Image,
  { blob, pa }: Required<Subtree>,
  preserved: PreservedMemory | undefined,
): LiveUpdate | undefined {
  if (image.debugfs && !looksLikeLuo(blob)) {
    ctx.report(
      "info",
      "stale-blob",
      "the copy of LUO is not live update state: from 7.2 on in/sub_fdts/LUO shows a page that was freed",
      {
        path: luoPath,
        pa,
      },
    );
    return undefined;
  }
  const luo = decodeLuo(ctx, blob, pa);
  if (!luo) return undefined;
  // Without a map nothing tells how long a folio is.
  const orderOf = preserved ? orderIn(preserved.runs) : undefined;
  if (!preserved && luo.sessions.some(({ files }) => files.some(({ compatible }) => isMemfd(compatible))))
    ctx.report(
      "info",
      "map-missing",
      "without a memory map the length of a folio is taken from where the next one begins",
      {
        path: luoPath,
        pa,
      },
    );
  const left: FolioRoom = { entries: ctx.limits.maxFolios, runs: ctx.limits.maxRuns };
  const sessions = luo.sessions.map((session, s) => withPayloads(ctx, session, s, orderOf, left));
  // Of two sessions with one name the first is looked at: a mapping is large, and there could be any number of them.
  const s = sessions.findIndex(({ name }) => name === SYSTEMD_SESSION);
  const session = sessions[s];
  const mapping = session?.files.find(({ token }) => token === SYSTEMD_MAPPING_TOKEN)?.memfd;
  const systemd = mapping && decodeSystemdMapping(ctx, image.memory, mapping, sessionPath(s));
  if (session && systemd) sessions[s] = { ...session, systemd };
  return { ...luo, sessions };
}

function withPayloads(
  ctx: Context,
  session: Luo["sessions"][number],
  s: number,
  orderOf: OrderOf | undefined,
  left: FolioRoom,
): Session {
  const files = session.files.map((file, f): File => {
    if (!isMemfd(file.compatible)) return file;
    const path = memfdPath(filePath(sessionPath(s), f));
    const memfd = decodeMemfd(ctx, file.compatible, physAddr(file.data), orderOf, path, left);
    ctx.progress?.("files", f + 1, session.files.length);
    return memfd ? { ...file, memfd } : file;
  });
  return { ...session, files };
}
