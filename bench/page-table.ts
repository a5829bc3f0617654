import { newDomain, type TableStore, tableOf } from "../formats/iommu/domain.js";
import { mapTable } from "../formats/iommu/map.js";
import { IOMMU_READ, IOMMU_WRITE } from "../formats/iommu/prot.js";
import { decodeMappings } from "../formats/iommu/walk.js";
import { x86Format } from "../formats/iommu/x86.js";
import { type PhysAddr, physAddr } from "../src/memory/index.js";
import { type Arena, newArena, sampleOf } from "./arena.js";
import type { Subject } from "./measure.js";
import { native, nativePeer } from "./native.js";
import { xorshift } from "./random.js";
import { wordsFile } from "./runs.js";

const mappings = 2 ** 20;

/** What is mapped by one call each: addresses in pages of 4 KiB. */
interface Calls {
  readonly length: number;
  readonly page: Float64Array;
  readonly frame: Float64Array;
  readonly count: Float64Array;
}

/** A million pages whose memory is in runs of 64 on average, as a buddy allocator leaves it. */
function newCalls(): Calls {
  const random = xorshift(99);
  const page: number[] = [];
  const frame: number[] = [];
  const count: number[] = [];
  for (let at = 0; at < mappings; at += count.at(-1)!) {
    page.push(at);
    count.push(Math.min(1 + (random() % 127), mappings - at));
    frame.push(0x100000 + (random() & 0xffffff));
  }
  return {
    length: page.length,
    page: Float64Array.from(page),
    frame: Float64Array.from(frame),
    count: Float64Array.from(count),
  };
}

/** Makes the table from nothing. */
function build(arena: Arena, { length, page, frame, count }: Calls) {
  arena.reset();
  const at = (pa: bigint): number => Number(pa - arena.base);
  const store: TableStore = {
    allocate(size) {
      const pa: PhysAddr = arena.place(size / 4096);
      arena.bytes.fill(0, at(pa), at(pa) + size);
      return pa;
    },
    free: () => {},
    read: (pa, length) => arena.bytes.subarray(at(pa), at(pa) + length),
    write: (pa, written) => arena.bytes.set(written, at(pa)),
  };
  const options = { levels: 4, vaBits: 48, paBits: 52, pgsizeBitmap: 0x1000n };
  const domain = newDomain({ format: x86Format(), ...options }, store)!;
  for (let i = 0; i < length; i++) {
    const [iova, pa, size] = [BigInt(page[i]!) << 12n, BigInt(frame[i]!) << 12n, BigInt(count[i]!) << 12n];
    mapTable(domain, iova, physAddr(pa), size, IOMMU_READ | IOMMU_WRITE);
  }
  return tableOf(domain);
}

/** From the root of a page table to what it maps, in runs, and back. */
export function pageTableSubjects(): Subject[] {
  const arena = newArena(4096, "7.3");
  const calls = newCalls();
  const table = build(arena, calls);
  const { base } = arena;
  const bytes = arena.used();
  const result = (runs: number, pages: number): number => (runs * 2 ** 20 + pages) % 2 ** 32;
  const walk = (): number => {
    const { length, frames } = decodeMappings(arena.newContext(), table, "table");
    let pages = 0;
    for (let i = 0; i < length; i++) pages += frames[i]!;
    return result(length, pages);
  };
  const c = native("page-table");
  const file = c?.file("page-table.bin", bytes) ?? "";
  const callsFile = c?.file("page-table-calls.bin", wordsFile([calls.page, calls.frame, calls.count])) ?? "";
  const peer = { name: "C -O2, no checks" };
  return [
    {
      name: `page table, ${mappings} mappings of 4 KiB to ${decodeMappings(arena.newContext(), table, "table").length} runs`,
      sameResult: true,
      ours: [{ name: "decodeMappings", run: walk }],
      peers: [
        ...nativePeer({ ...peer, goal: 2 }, c, ["walk", file, `${base}`]),
        { name: "plain loop over entries, no checks", run: () => plainWalk(bytes, base, result) },
      ],
    },
    {
      name: `page table, ${calls.length} calls to ${mappings} mappings of 4 KiB`,
      sameResult: true,
      ours: [
        {
          name: "newDomain, mapTable",
          run() {
            build(arena, calls);
            return sampleOf(arena.used());
          },
        },
      ],
      peers: nativePeer(peer, c, ["build", callsFile, `${base}`]),
    },
  ];
}

/** The same in plain JavaScript: 32-bit halves, runs in arrays that grow. */
function plainWalk(bytes: Uint8Array, base: bigint, result: (runs: number, pages: number) => number): number {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const iovas: number[] = [];
  const frames: number[] = [];
  const counts: number[] = [];
  const first = Number(base) / 4096;
  const walk = (frame: number, level: number, iova: number): void => {
    const at = (frame - first) * 1024;
    for (let i = 0; i < 512; i++) {
      const lo = words[at + 2 * i]!;
      if ((lo & 1) === 0) continue;
      const target = (words[at + 2 * i + 1]! & 0xfffff) * 2 ** 20 + (lo >>> 12);
      const here = iova + i * 512 ** level;
      if (level > 0) {
        walk(target, level - 1, here);
        continue;
      }
      const last = frames.length - 1;
      if (last >= 0 && iovas[last]! + counts[last]! === here && frames[last]! + counts[last]! === target)
        counts[last]!++;
      else {
        iovas.push(here);
        frames.push(target);
        counts.push(1);
      }
    }
  };
  walk(first, 3, 0);
  return result(
    frames.length,
    counts.reduce((sum, count) => sum + count, 0),
  );
}
