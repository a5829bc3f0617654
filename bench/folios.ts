import { orderIn, type Runs } from "../formats/kho/runs.js";
import { encodeVmalloc, vmallocChunks } from "../formats/kho/vmalloc-encode.js";
import { encodeFolios, encodeMemfd, folioCount, folioListSize } from "../formats/memfd/encode.js";
import type { FolioRuns } from "../formats/memfd/folios.js";
import { MEMFD_LUO_FOLIO_DIRTY, MEMFD_LUO_FOLIO_UPTODATE } from "../formats/memfd/layout.js";
import { decodeMemfd } from "../formats/memfd/memfd.js";
import { type PhysAddr, pfnOf } from "../src/memory/index.js";
import { abi, newArena, sampleOf } from "./arena.js";
import type { Subject } from "./measure.js";
import { native, nativePeer } from "./native.js";
import { hostRuns, runsFile, wordsFile } from "./runs.js";

/** Files of a guest of 4 GiB whose memory is single pages. */
const wanted = 2 ** 20;

/** The folios of a memfd, with the structures around them and every check: what most of a handover is. */
export function foliosSubjects(): Subject[] {
  const blocks = hostRuns();
  const folios = foliosFrom(blocks);
  const count = folioCount(folios);
  const pages = Math.ceil(folioListSize(count, { abi }) / abi.pageSize);
  const chunkPages = vmallocChunks(pages, abi);
  const arena = newArena(1 + pages + chunkPages, "7.3");
  const size = BigInt(count) * BigInt(abi.pageSize);

  const encode = (): { header: PhysAddr; frames: number[] } => {
    arena.reset();
    const header = arena.place();
    const frames = Array.from({ length: pages }, (): number => pfnOf(arena.place(), abi.pageSize));
    encodeFolios(arena.target, { pfns: frames, order: 0 }, folios);
    const chunks = Array.from({ length: chunkPages }, () => arena.place());
    const area = encodeVmalloc(arena.target, chunks, frames, 0);
    const memfd = { pos: 0n, size, seals: 0, flags: 0, nrFolios: BigInt(count) };
    encodeMemfd(arena.target, "memfd-v2", header, memfd, area);
    return { header, frames };
  };
  const encoded = (): number => {
    encode();
    return sampleOf(arena.used());
  };
  const { header, frames } = encode();
  const orderOf = orderIn(blocks);
  const decode = (): number =>
    sumOf(decodeMemfd(arena.newContext(), "memfd-v2", header, orderOf, "memfd")!.folios);

  const c = native("folios");
  const map = c?.file("memfd.bin", arena.used()) ?? "";
  const blocksFile = c?.file("memfd-blocks.bin", runsFile(blocks)) ?? "";
  const framesFile = c?.file("memfd-frames.bin", wordsFile([frames])) ?? "";
  const { index, pfn, order, count: counts, flags, length } = folios;
  const foliosFile = c?.file("memfd-folios.bin", wordsFile([index, pfn, order, counts, flags], length)) ?? "";
  const { base, bytes } = arena;
  const peer = { name: "C -O2, no checks" };
  return [
    {
      name: `folio list, ${count} entries to ${folios.length} runs`,
      sameResult: true,
      ours: [{ name: "decodeMemfd", run: decode }],
      peers: nativePeer(peer, c, ["decode", map, `${base}`, `${header}`, blocksFile]),
    },
    {
      name: `folio list, ${folios.length} runs to ${count} entries`,
      sameResult: true,
      ours: [{ name: "encodeFolios, encodeVmalloc, encodeMemfd", run: encoded }],
      peers: nativePeer(peer, c, ["encode", foliosFile, `${base}`, `${bytes.length}`, framesFile]),
    },
  ];
}

/** A file whose pages are the preserved single pages of a host, run by run, but not in the order of memory. */
function foliosFrom({ length, order, pfn, count }: Runs): FolioRuns {
  let singles = 0;
  while (singles < length && order[singles] === 0) singles++;
  const runs = { index: [] as number[], pfn: [] as number[], count: [] as number[] };
  // A step that has no divisor with the number of runs comes by each of them once.
  for (let i = 0, run = 0, index = 0; i < singles && index < wanted; i++, run = (run + 7919) % singles) {
    const part = Math.min(count[run]!, wanted - index);
    runs.index.push(index);
    runs.pfn.push(pfn[run]!);
    runs.count.push(part);
    index += part;
  }
  return {
    length: runs.index.length,
    index: Float64Array.from(runs.index),
    pfn: Float64Array.from(runs.pfn),
    order: new Uint8Array(runs.index.length),
    count: Float64Array.from(runs.count),
    flags: new Uint16Array(runs.index.length).fill(MEMFD_LUO_FOLIO_DIRTY | MEMFD_LUO_FOLIO_UPTODATE),
  };
}

/** Depends on the order of the runs; looks at one of 16. */
function sumOf({ length, index, pfn, order, count, flags }: FolioRuns): number {
  let sum = length;
  for (let i = 0; i < length; i += 16)
    sum = (sum * 31 + ((pfn[i]! + index[i]! + count[i]! * 64 + order[i]! + flags[i]!) % 2 ** 32)) % 2 ** 32;
  return sum;
}
