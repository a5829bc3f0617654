import { fastestEdges, plainEdges } from "../formats/kho/bitmap-edges.js";
import { khoRadixLeaf } from "../formats/kho/layout.js";
import { sizeOf } from "../src/layout/index.js";
import type { Subject } from "./measure.js";
import { native, nativePeer } from "./native.js";
import { xorshift } from "./random.js";

const count = 128;
const leafBytes = sizeOf(khoRadixLeaf, { byteOrder: "little", pageSize: 4096 });
/** Memory that is hardly preserved at all, every other page at random, and all but a few. */
const shares = [0.001, 0.5, 0.999];

/** From bitmaps to where runs begin and end, a leaf at a time and into one array, as the memory map is read. */
export const bitmapsSubjects = (): Subject[] => shares.map(subjectOf);

function subjectOf(share: number): Subject {
  const bytes = new Uint8Array(count * leafBytes);
  const random = xorshift(7);
  for (let bit = 0; bit < bytes.length * 8; bit++)
    if (random() < share * 2 ** 32) bytes[bit >> 3]! |= 1 << (bit & 7);
  const leaves = Array.from({ length: count }, (_, i) => bytes.subarray(i * leafBytes, (i + 1) * leafBytes));
  const found = ({ edges, find } = fastestEdges()): number => {
    let sum = 0;
    for (const leaf of leaves) {
      const length = find(leaf);
      sum = (Math.imul(sum, 31) + length + (length > 0 ? edges[length >>> 1]! : 0)) >>> 0;
    }
    return sum;
  };
  const plain = plainEdges();
  const c = native("bitmaps");
  const name = `${share * 100} %`;
  return {
    name: `${count} bitmaps of ${leafBytes} bytes to ranges, ${name} set`,
    sameResult: true,
    ours: [{ name: "fastestEdges", run: () => found() }],
    peers: [
      ...nativePeer({ name: "C -O2, no checks", goal: 1.2 }, c, [
        c?.file(`bitmaps-${share}.bin`, bytes) ?? "",
        `${leafBytes}`,
      ]),
      { name: "plain JavaScript", run: () => found(plain) },
    ],
  };
}
