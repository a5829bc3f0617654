import { decodeVmalloc } from "../formats/kho/vmalloc.js";
import { encodeVmalloc, vmallocChunks } from "../formats/kho/vmalloc-encode.js";
import type { PhysAddr } from "../src/memory/index.js";
import { abi, newArena, sampleOf } from "./arena.js";
import type { Subject } from "./measure.js";
import { native, nativePeer } from "./native.js";
import { xorshift } from "./random.js";
import { wordsFile } from "./runs.js";

/** The area of a folio list of 16 Mi entries: 64 GiB in pages of 4 KiB. */
const count = 65_536;

/** The list of pages of a preserved vmalloc area, which every folio list lies in. */
export function vmallocSubjects(): Subject[] {
  const arena = newArena(256, "7.3");
  const frames = scatteredFrames();
  const encode = () => {
    arena.reset();
    const chunks = Array.from({ length: vmallocChunks(count, abi) }, (): PhysAddr => arena.place());
    return encodeVmalloc(arena.target, chunks, frames, 0);
  };
  const encoded = (): number => {
    encode();
    return sampleOf(arena.used());
  };
  const descriptor = encode();
  const c = native("folios");
  const list = c?.file("vmalloc.bin", arena.used()) ?? "";
  const framesFile = c?.file("vmalloc-frames.bin", wordsFile([frames])) ?? "";
  const { base } = arena;
  const peer = { name: "C -O2, no checks" };
  return [
    {
      name: `vmalloc area, ${arena.used().length >> 12} pages of list to ${count} pages`,
      sameResult: true,
      ours: [
        {
          name: "decodeVmalloc",
          run: () => sumOf(decodeVmalloc(arena.newContext(), descriptor, "area").pfns),
        },
      ],
      peers: nativePeer(peer, c, ["area", list, `${base}`, `${descriptor.first}`, "-"]),
    },
    {
      name: `vmalloc area, ${count} pages to ${arena.used().length >> 12} pages of list`,
      sameResult: true,
      ours: [{ name: "encodeVmalloc", run: encoded }],
      peers: nativePeer(peer, c, ["list", framesFile, `${base}`, `${arena.bytes.length}`, "-"]),
    },
  ];
}

/** Pages that lie in runs of eight on average, as vmalloc gets them one by one. */
function scatteredFrames(): Float64Array {
  const random = xorshift(3);
  const frames = new Float64Array(count);
  for (let i = 0, pfn = 0x20_0000; i < count; i++) {
    pfn += random() % 8 === 0 ? 1 + (random() % 63) : 1;
    frames[i] = pfn;
  }
  return frames;
}

/** Depends on the order; looks at one of 16. */
function sumOf(frames: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < frames.length; i += 16) sum = (sum * 31 + frames[i]!) % 2 ** 32;
  return sum;
}
