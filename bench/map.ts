import { decodeBitmapMap, decodeChunks } from "../formats/kho/map-bitmaps.js";
import { encodeBitmapMap, planBitmapMap } from "../formats/kho/map-bitmaps-encode.js";
import { decodeRadixMap, radixShape } from "../formats/kho/map-radix.js";
import { encodeRadixMap, planRadixMap } from "../formats/kho/map-radix-encode.js";
import type { Runs } from "../formats/kho/runs.js";
import { rootOf } from "../formats/kho/skeleton.js";
import { type Arena, abi, newArena, sampleOf } from "./arena.js";
import type { Subject } from "./measure.js";
import { native, nativePeer } from "./native.js";
import { hostRuns, runsFile, sumOfRuns } from "./runs.js";

/** Pages that a map of the host has room for here. */
const room = 2048;

/** Memory maps of both kinds, to runs and from runs. */
export function mapSubjects(): Subject[] {
  const runs = hostRuns();
  return [...bitmapMap(runs), ...radixMap(runs)];
}

function bitmapMap(runs: Runs): Subject[] {
  const arena = newArena(room, "6.19");
  let first = arena.base;
  const encode = (): number => {
    arena.reset();
    const skeleton = planBitmapMap(runs, "page", abi, () => arena.place());
    first = rootOf(skeleton, abi);
    encodeBitmapMap(arena.target, skeleton, runs);
    return sampleOf(arena.used());
  };
  encode();
  const decode = (): number => {
    const ctx = arena.newContext();
    return sumOfRuns(decodeBitmapMap(ctx, first, decodeChunks(ctx, first)!, "page").runs);
  };
  return subjectsOf("map-bitmaps", "chunks of bitmaps", arena, runs, first, [
    { name: "decodeChunks, decodeBitmapMap", run: decode },
    { name: "planBitmapMap, encodeBitmapMap", run: encode },
  ]);
}

function radixMap(runs: Runs): Subject[] {
  const arena = newArena(room, "7.3");
  const shape = radixShape(abi);
  const encode = (): number => {
    arena.reset();
    const skeleton = planRadixMap(runs, shape, abi, () => arena.place());
    encodeRadixMap(arena.target, skeleton, runs);
    return sampleOf(arena.used());
  };
  encode();
  const decode = (): number => sumOfRuns(decodeRadixMap(arena.newContext(), arena.base, shape)!.runs);
  return subjectsOf("map-radix", "radix tree", arena, runs, arena.base, [
    { name: "decodeRadixMap", run: decode },
    { name: "planRadixMap, encodeRadixMap", run: encode },
  ]);
}

function subjectsOf(
  program: string,
  kind: string,
  arena: Arena,
  runs: Runs,
  root: bigint,
  [decode, encode]: readonly [Subject["ours"][number], Subject["ours"][number]],
): Subject[] {
  const inC = native(program);
  const map = inC?.file(`${program}.bin`, arena.used()) ?? "";
  const blocks = inC?.file(`${program}-runs.bin`, runsFile(runs)) ?? "";
  const size = `${arena.used().length >> 12} pages of ${kind}`;
  const c = { name: "C -O2, no checks" };
  return [
    {
      name: `memory map, ${size} to ${runs.length} runs`,
      sameResult: true,
      ours: [decode],
      peers: nativePeer(c, inC, ["decode", map, `${arena.base}`, `${root}`]),
    },
    {
      name: `memory map, ${runs.length} runs to ${size}`,
      sameResult: true,
      ours: [encode],
      peers: nativePeer(c, inC, ["encode", blocks, `${arena.base}`, `${arena.bytes.length}`]),
    },
  ];
}
