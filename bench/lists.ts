import { blocksFor, encodeBlocks } from "../formats/kho/blocks-encode.js";
import { encodeFileArea, encodeLuoRoot, encodeSessionArea } from "../formats/luo/encode.js";
import { luoFileSer, luoSessionSer } from "../formats/luo/layout.js";
import type { Luo } from "../formats/luo/luo.js";
import { decodeLuo, LUO_FILE_PGCNT, LUO_SESSION_PGCNT } from "../formats/luo/records.js";
import type { ValueOf } from "../src/layout/index.js";
import { type PhysAddr, physAddr } from "../src/memory/index.js";
import { type Arena, abi, newArena, sampleOf } from "./arena.js";
import type { Subject } from "./measure.js";
import { native, nativePeer } from "./native.js";

/** As many sessions as an area holds; with blocks there could be more. */
const sessionCount = 800;
/** More than one block of files, so that lists have links. */
const fileCount = 80;

type FileRecord = ValueOf<typeof luoFileSer>;

/** Sessions and files of live update, in both forms that releases have. */
export function listsSubjects(): Subject[] {
  return [
    ...subjectsOf("blocks", "luo-v5", newArena(sessionCount * 2 + 100, "7.3")),
    ...subjectsOf("area", "luo-v1", newArena(sessionCount * 2 + 100, "7.1")),
  ];
}

function subjectsOf(form: "blocks" | "area", compatible: string, arena: Arena): Subject[] {
  const { target } = arena;
  const sessions = sessionsOf(target.kernel.memfd!);
  const pages = (count: number): PhysAddr[] => Array.from({ length: count }, () => arena.place());

  const writeFiles = (files: readonly FileRecord[]): PhysAddr => {
    if (form === "area") {
      const pa = arena.place(LUO_FILE_PGCNT);
      encodeFileArea(target, pa, files);
      return pa;
    }
    const pas = pages(blocksFor(luoFileSer, files.length, abi));
    encodeBlocks(target, luoFileSer, pas, files);
    return pas[0]!;
  };
  /** Gives the address of the first session's page. */
  const encode = (): PhysAddr => {
    arena.reset();
    const records = sessions.map(({ name, files }) => ({
      name,
      file_set_ser: { files: writeFiles(files), count: BigInt(files.length) },
    }));
    if (form === "area") {
      const pa = arena.place(LUO_SESSION_PGCNT);
      encodeSessionArea(target, pa, records);
      return pa;
    }
    const pas = pages(blocksFor(luoSessionSer, records.length, abi));
    encodeBlocks(target, luoSessionSer, pas, records);
    return pas[0]!;
  };
  const first = encode();
  const used = arena.used().slice();
  const rootPa = arena.place();
  const root = { compatible, liveupdateNumber: 1n, sessions: first, flbs: physAddr(0) };
  const length = encodeLuoRoot(target, rootPa, form === "area" ? "fdt" : "raw", root);
  const blob = arena.bytes.slice(used.length, used.length + length);

  const c = native("lists");
  const map = c?.file(`lists-${form}.bin`, used) ?? "";
  const args = [form, map, `${arena.base}`, `${first}`];
  const peer = { name: "C -O2, no checks" };
  const count = `${sessionCount} sessions with ${sessionCount * fileCount} files in ${form === "area" ? "areas" : "blocks"} (${compatible})`;
  return [
    {
      name: `decode ${count}`,
      sameResult: true,
      ours: [{ name: "decodeLuo", run: () => sumOf(decodeLuo(arena.newContext(), blob, rootPa)!) }],
      peers: nativePeer(peer, c, ["decode", ...args]),
    },
    {
      name: `encode ${count}`,
      sameResult: true,
      ours: [
        {
          name: form === "area" ? "encodeFileArea, encodeSessionArea" : "encodeBlocks",
          run() {
            encode();
            return sampleOf(arena.used());
          },
        },
      ],
      peers: nativePeer(peer, c, ["encode", ...args]),
    },
  ];
}

const sessionsOf = (compatible: string): { name: string; files: FileRecord[] }[] =>
  Array.from({ length: sessionCount }, (_, s) => ({
    name: `guest-${s}`,
    files: Array.from({ length: fileCount }, (_, f) => ({
      compatible,
      data: BigInt(0x2_0000_0000 + (s * fileCount + f) * 4096),
      token: BigInt(f * 3 + 1),
    })),
  }));

/** Of all names and numbers. */
function sumOf({ sessions }: Luo): number {
  let sum = sessions.length;
  for (const { name, files } of sessions) {
    sum += name.length;
    for (const { compatible, data, token } of files) sum += compatible.length + Number(data) + Number(token);
  }
  return sum % 2 ** 32;
}
