/** Memory maps: what is written reads the same, and damaged ones are survived. */
import { kernelOf } from "../formats/kernels.js";
import {
  khoMemPhysBits,
  khoMemPhysBits512,
  khoRadixLeaf,
  khoRadixNode,
  khoserMemChunk,
} from "../formats/kho/layout.js";
import { decodeBitmapMap, decodeChunks } from "../formats/kho/map-bitmaps.js";
import { encodeBitmapMap, planBitmapMap } from "../formats/kho/map-bitmaps-encode.js";
import { decodeRadixMap, radixShape } from "../formats/kho/map-radix.js";
import { encodeRadixMap, planRadixMap } from "../formats/kho/map-radix-encode.js";
import type { PreservedMemory } from "../formats/kho/preserved.js";
import { newRuns, type Runs } from "../formats/kho/runs.js";
import { rootOf, type Skeleton } from "../formats/kho/skeleton.js";
import { fail } from "../src/fuzz/finding.js";
import type { Random } from "../src/fuzz/random.js";
import { type Abi, pageShift, pageSizes } from "../src/layout/index.js";
import { addressOf, physAddr } from "../src/memory/index.js";
import { mutateBytes } from "./mutate/bytes.js";
import { type Cursor, cursorOf } from "./mutate/cursor.js";
import { type Bench, newBench, type Spot } from "./oracles/bench.js";
import { differenceOf } from "./oracles/equal.js";
import { guarded, reading } from "./oracles/errors.js";
import type { Seed } from "./seeds/seed.js";

export const about = "memory maps of every form and page size: written, read, damaged, written again";

/** Forms of the map, with a release that has each. */
const forms = [
  { kind: "radix", release: "7.3" },
  { kind: "radix", release: "7.1" },
  { kind: "page", release: "7.0" },
  { kind: 512, release: "6.17" },
] as const;

export function* seeds(): Generator<Seed> {
  for (const [f, { release }] of forms.entries())
    for (const [p, size] of pageSizes.entries()) {
      yield { name: `${release}-${size / 1024}k-empty`, data: Uint8Array.of(p, f, 0) };
      // Two runs of order 0, one of order 9, one of order 10; a field of something is damaged.
      const runs = [3, 0, 5, 0, 0, 0, 3, 0, 1, 0, 0, 0, 200, 9, 0, 1, 0, 0, 2, 10, 7, 0, 0, 0, 0];
      yield { name: `${release}-${size / 1024}k-runs`, data: Uint8Array.of(p, f, 4, ...runs) };
    }
}

export const mutate = (data: Uint8Array, random: Random): Uint8Array => mutateBytes(data, random);

/** Runs that a map can hold: ascending in each order. */
function runsOf(recipe: Cursor, { abi }: Bench): Runs {
  const runs = newRuns();
  const ends = new Map<number, number>();
  const most = 2 ** (64 - pageShift(abi));
  for (let left = recipe.below(32); left > 0; left--) {
    const order = recipe.u8() % (left % 7 === 0 ? 64 - pageShift(abi) : 12);
    const unit = 2 ** order;
    const skip = recipe.u32() % 2 ** (left % 5 === 0 ? 32 : 18);
    const from = (ends.get(order) ?? 0) + (skip + 1) * unit;
    const count = 1 + recipe.u8();
    if (from + count * unit > most) continue;
    runs.push(order, from, count);
    ends.set(order, from + count * unit);
  }
  return runs.finish();
}

export function fuzz(data: Uint8Array): void {
  const recipe = cursorOf(data);
  const abi: Abi = { byteOrder: "little", pageSize: recipe.pick(pageSizes) };
  const { kind, release } = recipe.pick(forms);
  const bench = newBench(abi, kernelOf(release));
  const runs = runsOf(recipe, bench);
  const skeleton = guarded("plan", () => plan(bench, kind, runs)).value;
  if (!skeleton) return;
  const written = guarded("write", () => write(bench, skeleton, runs)).error;
  if (written) fail("roundtrip", `a map that was planned cannot be written: ${written.message}`);
  const whole = read(bench, kind, skeleton);
  const wrong = whole.findings.find(({ code }) => code !== "order-too-large");
  if (wrong) fail("roundtrip", `what was written is found to be damaged: ${wrong.message}`);
  const difference = differenceOf(runs, whole.value?.runs) ?? differenceOf(skeleton, whole.value?.skeleton);
  if (difference !== undefined) fail("roundtrip", `written and read: ${difference}`);

  bench.damage(spotsOf(skeleton, abi), recipe);
  const { value: damaged, findings } = read(bench, kind, skeleton);
  if (!damaged || findings.some(({ severity }) => severity === "error")) return;
  if (guarded("encode", () => write(bench, damaged.skeleton, damaged.runs)).error) return;
  const again = read(bench, kind, skeleton).value;
  const changed = differenceOf(damaged.runs, again?.runs);
  if (changed !== undefined) fail("roundtrip", `damaged, read, written and read: ${changed}`);
}

function plan(bench: Bench, kind: (typeof forms)[number]["kind"], runs: Runs): Skeleton {
  const { abi } = bench;
  if (kind === "radix") return planRadixMap(runs, radixShape(abi), abi, () => bench.place());
  let room = 0;
  let next = 0n;
  return planBitmapMap(runs, kind, abi, (what) => {
    if (what === "chunk" || kind === "page") return bench.place();
    if (room === 0) {
      next = bench.place();
      room = abi.pageSize;
    }
    room -= kind;
    next += BigInt(kind);
    return physAddr(next - BigInt(kind));
  });
}

function write({ target }: Bench, skeleton: Skeleton, runs: Runs): void {
  if (skeleton.kind === "radix") encodeRadixMap(target, skeleton, runs);
  else encodeBitmapMap(target, skeleton, runs);
}

function read(bench: Bench, kind: (typeof forms)[number]["kind"], skeleton: Skeleton) {
  const root = rootOf(skeleton, bench.abi);
  return bench.read((ctx) => {
    const found = reading("map", (): PreservedMemory | undefined => {
      if (kind === "radix") return decodeRadixMap(ctx, root, radixShape(bench.abi));
      const list = decodeChunks(ctx, root);
      return list && decodeBitmapMap(ctx, root, list, kind);
    });
    return found.value;
  });
}

function spotsOf(skeleton: Skeleton, { pageSize }: Abi): Spot[] {
  if (skeleton.kind === "radix")
    return Array.from(skeleton.level, (level, i) => ({
      layout: level === 0 ? khoRadixLeaf : khoRadixNode,
      pa: addressOf(skeleton.pfn[i]!, pageSize),
    }));
  const bitmap = skeleton.size === 512 ? khoMemPhysBits512 : khoMemPhysBits;
  return skeleton.chunks.flatMap(({ pa, entries }) => [
    { layout: khoserMemChunk, pa },
    ...entries.map((entry) => ({ layout: bitmap, pa: entry.bitmap })),
  ]);
}
