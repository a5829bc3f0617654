import { decodeRadixMap, radixShape } from "../formats/kho/map-radix.js";
import { orderCounts } from "../formats/kho/preserved.js";
import { physAddr } from "../src/index.js";
import { type Capture, captureName } from "./capture.js";
import type { Subject } from "./measure.js";

/** From the root of the radix tree to runs of preserved blocks. */
export function radixSubject({ image, decoded, newContext }: Capture): Subject {
  const { rootPa, runs, mapPages } = decoded.handover.preserved!;
  const { abi } = newContext();
  const shape = radixShape(abi);

  /** Looks at every bit, a number at a time, and makes the same runs; believes every pointer. */
  const plain = (): number => {
    const found: { order: number; pfn: number; count: number }[] = [];
    let blocks = 0;
    const descend = (pa: bigint, level: number, prefix: number): void => {
      const bytes = image.memory.read(physAddr(pa), abi.pageSize);
      if (level > 0) {
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        for (let i = 0; i < bytes.length / 8; i++) {
          const child = view.getBigUint64(i * 8, true);
          if (child !== 0n) descend(child, level - 1, prefix * 2 ** shape.table + i);
        }
        return;
      }
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        if ((bytes[bit >> 3]! & (1 << (bit & 7))) === 0) continue;
        const key = prefix * 2 ** shape.leaf + bit;
        const marker = Math.floor(Math.log2(key));
        const order = shape.key - 1 - marker;
        const pfn = (key - 2 ** marker) * 2 ** order;
        const last = found.at(-1);
        if (last && last.order === order && last.pfn + last.count * 2 ** order === pfn) last.count++;
        else found.push({ order, pfn, count: 1 });
      }
    };
    descend(rootPa, shape.depth - 1, 0);
    found.sort((a, b) => a.order - b.order || a.pfn - b.pfn);
    for (const { count } of found) blocks += count;
    return found.length * 2 ** 20 + blocks;
  };

  const ours = (): number => {
    const { runs } = decodeRadixMap(newContext(), rootPa, shape)!;
    return runs.length * 2 ** 20 + orderCounts(runs).reduce((sum, { blocks }) => sum + blocks, 0);
  };

  return {
    name: `memory map: ${mapPages} pages of radix tree to ${runs.length} runs (${captureName})`,
    sameResult: true,
    baseline: { name: "plain loop over bits, no checks", run: plain },
    contenders: [{ name: "decodeRadixMap", run: ours }],
  };
}
