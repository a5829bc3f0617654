import { defaultLimits } from "../formats/context.js";
import { newDomain, type TableStore, tableOf } from "../formats/iommu/domain.js";
import { mapTable } from "../formats/iommu/map.js";
import { IOMMU_READ, IOMMU_WRITE } from "../formats/iommu/prot.js";
import { decodeMappings, type IommuContext } from "../formats/iommu/walk.js";
import { x86Format } from "../formats/iommu/x86.js";
import { bytesSource, physAddr, segmentedMemory } from "../src/memory/index.js";
import { KhoError } from "../src/report/error.js";
import type { Contender, Subject } from "./measure.js";
import { native } from "./native.js";

const mappings = 2 ** 20;
const base = 0x4000_0000n;
const room = 16 * 2 ** 20;
/** Walks of one process of the C program, of which the median counts. */
const walks = 25;

/** A million pages of 4 KiB whose memory is in runs of 64 on average, as a buddy allocator leaves it. */
function build() {
  const bytes = new Uint8Array(room);
  let used = 0;
  const at = (pa: bigint): number => Number(pa - base);
  const store: TableStore = {
    allocate(size) {
      const pa = physAddr(base + BigInt(used));
      used += size;
      return pa;
    },
    free: () => {},
    read: (pa, length) => bytes.subarray(at(pa), at(pa) + length),
    write: (pa, written) => bytes.set(written, at(pa)),
  };
  const options = { levels: 4, vaBits: 48, paBits: 52, pgsizeBitmap: 0x1000n };
  const domain = newDomain({ format: x86Format(), ...options }, store)!;
  // xorshift32: the same table in every run.
  let state = 99;
  const random = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  for (let page = 0; page < mappings; ) {
    const pages = Math.min(1 + (random() % 127), mappings - page);
    const pa = BigInt(0x100000 + (random() & 0xffffff)) << 12n;
    mapTable(domain, BigInt(page) << 12n, pa, BigInt(pages) << 12n, IOMMU_READ | IOMMU_WRITE);
    page += pages;
  }
  return { table: tableOf(domain), bytes: bytes.subarray(0, used) };
}

/** From the root of a page table to what it maps, in runs. */
export function pageTableSubject(): Subject {
  const { table, bytes } = build();
  const whole = { pa: physAddr(base), size: BigInt(bytes.length), source: bytesSource(bytes), at: 0 };
  const { memory } = segmentedMemory([whole]);
  const ctx: IommuContext = {
    memory,
    limits: defaultLimits,
    report: (_, code, message) => {
      throw new KhoError(code, message);
    },
  };
  const result = (runs: number, pages: number): number => (runs * 2 ** 20 + pages) % 2 ** 32;
  const ours: Contender = {
    name: "decodeMappings",
    run() {
      const { length, frames } = decodeMappings(ctx, table, "table");
      return result(
        length,
        frames.reduce((sum, count) => sum + count, 0),
      );
    },
  };
  const inC = native("page-table");
  const file = inC?.file("page-table.bin", bytes);
  const c: Contender = {
    name: "C -O2, no checks",
    run: () => {
      const [, runs, pages] = inC!.run(file!, `${base}`, "1");
      return result(Number(runs), Number(pages));
    },
    seconds: () => Number(inC!.run(file!, `${base}`, `${walks}`)[0]) / 1e9,
  };
  const plain: Contender = {
    name: "plain loop over entries, no checks",
    run: () => plainWalk(bytes, result),
  };
  return {
    name: `page table: ${mappings} mappings of 4 KiB to ${decodeMappings(ctx, table, "table").length} runs`,
    sameResult: true,
    baseline: inC ? c : plain,
    contenders: inC ? [plain, ours] : [ours],
  };
}

/** The same in plain JavaScript: 32-bit halves, runs in arrays that grow. */
function plainWalk(bytes: Uint8Array, result: (runs: number, pages: number) => number): number {
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
