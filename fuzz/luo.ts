/** Live-update state of every version, development kernels' too: areas, blocks, FLBs. */
import { kernelOf } from "../formats/kernels.js";
import { blockCapacity } from "../formats/kho/blocks.js";
import { blocksFor, encodeBlocks } from "../formats/kho/blocks-encode.js";
import { khoBlockHeaderSer } from "../formats/kho/layout.js";
import {
  encodeFileArea,
  encodeFlbPage,
  encodeLuoRoot,
  encodeSessionArea,
  fileAreaCapacity,
  flbCapacity,
  type LuoRootSource,
} from "../formats/luo/encode.js";
import {
  luoFileSer,
  luoFlbHeaderSer,
  luoFlbSer,
  luoSer,
  luoSessionHeaderSer,
  luoSessionSer,
} from "../formats/luo/layout.js";
import { decodeLuo, LUO_FILE_PGCNT } from "../formats/luo/records.js";
import { formOf, type Storage } from "../formats/luo/root.js";
import { fail } from "../src/fuzz/finding.js";
import type { Random } from "../src/fuzz/random.js";
import { type Abi, type Layout, sizeOf, type ValueOf } from "../src/layout/index.js";
import { type PhysAddr, physAddr } from "../src/memory/index.js";
import { mutateBytes } from "./mutate/bytes.js";
import { type Cursor, cursorOf } from "./mutate/cursor.js";
import { type Bench, newBench, type Spot } from "./oracles/bench.js";
import { differenceOf } from "./oracles/equal.js";
import { reading } from "./oracles/errors.js";
import type { Seed } from "./seeds/seed.js";

export const about = "live-update state of every version: written, read, damaged";

/** Containers and version strings that there are or were, each with a release that reads it. */
const versions = (["fdt", "raw"] as const).flatMap((container) =>
  ["luo-v1", "luo-v2", "luo-v3", "luo-v4", "luo-v5"]
    .filter((compatible) => formOf(container, compatible))
    .map((compatible) => ({ container, compatible, release: compatible === "luo-v1" ? "7.0" : "7.3" })),
);

export function* seeds(): Generator<Seed> {
  for (const [v, { container, compatible }] of versions.entries()) {
    yield { name: `${compatible}-${container}-empty`, data: Uint8Array.of(v, 0, 0) };
    yield {
      name: `${compatible}-${container}-some`,
      data: Uint8Array.of(v, 3, 2, 1, 5, 0, 1, 0, 2, 7, 8, 9),
    };
    // More than one block of sessions and of files.
    yield { name: `${compatible}-${container}-many`, data: Uint8Array.of(v, 53, 1, 70, 0, 0, 1, 2, 3) };
  }
}

export const mutate = (data: Uint8Array, random: Random): Uint8Array => mutateBytes(data, random);

const abi: Abi = { byteOrder: "little", pageSize: 4096 };

/** Records behind a head, as spots of their own. */
const spotsAt = (pa: PhysAddr, head: Layout | undefined, record: Layout, count: number): Spot[] => {
  const from = pa + BigInt(head ? sizeOf(head, abi) : 0);
  const size = BigInt(sizeOf(record, abi));
  return [
    ...(head ? [{ layout: head, pa }] : []),
    ...Array.from({ length: count }, (_, i) => ({ layout: record, pa: physAddr(from + BigInt(i) * size) })),
  ];
};

type FileRecord = ValueOf<typeof luoFileSer>;

/** Writes the files of one session; returns what its record says of them. */
function writeFiles(bench: Bench, storage: Storage, files: readonly FileRecord[], spots: Spot[]) {
  const count = BigInt(files.length);
  if (files.length === 0) return { files: physAddr(0), count };
  if (storage === "area") {
    const pa = bench.place(1);
    encodeFileArea(bench.target, pa, files);
    spots.push(...spotsAt(pa, undefined, luoFileSer, files.length));
    return { files: pa, count };
  }
  return { files: writeBlocks(bench, luoFileSer, files, spots), count };
}

function writeBlocks<R extends typeof luoFileSer | typeof luoSessionSer>(
  bench: Bench,
  record: R,
  records: readonly ValueOf<R>[],
  spots: Spot[],
): PhysAddr {
  const pages = Array.from({ length: blocksFor(record, records.length, abi) }, () => bench.place());
  encodeBlocks(bench.target, record, pages, records);
  const most = blockCapacity(record, { abi });
  for (const [i, pa] of pages.entries())
    spots.push(...spotsAt(pa, khoBlockHeaderSer, record, Math.min(most, records.length - i * most)));
  return pages[0] ?? physAddr(0);
}

function write(bench: Bench, recipe: Cursor) {
  const { container, compatible } = versions[recipe.u8() % versions.length]!;
  const form = formOf(container, compatible)!;
  const sessionCount = recipe.below(60);
  const flbCount = recipe.u8() % (flbCapacity(bench.target) + 1);
  const spots: Spot[] = [];
  const sessions = Array.from({ length: sessionCount }, (_, s) => {
    const most = form.files === "area" ? fileAreaCapacity(bench.target) : 200;
    const fileCount = s < 3 ? recipe.u8() % (most + 1) : 0;
    const files = Array.from({ length: fileCount }, (_, f) => ({
      compatible: f % 16 === 15 ? "" : "memfd-v2",
      data: BigInt(f),
      token: f % 32 === 31 ? (1n << 64n) - 1n - BigInt(f) : BigInt(f),
    }));
    const name = s === 1 ? "n".repeat(63) : s === 2 ? "s-\udcff-ü" : `session-${s}`;
    return { name, files, record: { name, file_set_ser: writeFiles(bench, form.files, files, spots) } };
  });
  const records = sessions.map(({ record }) => record);
  const area = form.sessions === "area" ? bench.place(4) : undefined;
  if (area !== undefined) {
    encodeSessionArea(bench.target, area, records);
    spots.push(...spotsAt(area, luoSessionHeaderSer, luoSessionSer, records.length));
  }
  const flbs = Array.from({ length: flbCount }, (_, i) => ({
    name: `flb-${i}`,
    data: BigInt.asUintN(64, BigInt(i) << 60n),
    count: BigInt(i + 1),
  }));
  const flbPage = bench.place();
  encodeFlbPage(bench.target, flbPage, flbs);
  spots.push(...spotsAt(flbPage, luoFlbHeaderSer, luoFlbSer, flbs.length));
  const source: LuoRootSource = {
    compatible,
    liveupdateNumber: recipe.u64(),
    sessions: area ?? writeBlocks(bench, luoSessionSer, records, spots),
    flbs: flbPage,
    headerPa: bench.place(),
  };
  const rootPa = bench.place();
  const length = encodeLuoRoot(bench.target, rootPa, container, source);
  if (container === "raw") spots.push({ layout: luoSer, pa: rootPa });
  return { source, sessions, files: form.files, flbs, rootPa, length, spots };
}

export function fuzz(data: Uint8Array): void {
  const { release } = versions[(data[0] ?? 0) % versions.length]!;
  const bench = newBench(abi, kernelOf(release));
  const recipe = cursorOf(data);
  const { source, sessions, files, flbs, rootPa, length, spots } = write(bench, recipe);
  const read = () =>
    bench.read((ctx) =>
      reading("live-update state", () => decodeLuo(ctx, ctx.memory.read(rootPa, length), rootPa)),
    );
  const whole = read().value.value;
  if (!whole) fail("roundtrip", "what was written cannot be read");
  const difference =
    differenceOf(source.liveupdateNumber, whole.liveupdateNumber) ??
    differenceOf(
      sessions.map(({ name, files }) => ({ name, files })),
      whole.sessions.map(({ name, files }) => ({
        name,
        files: files.map(({ pa: _, ...file }) => file),
      })),
    ) ??
    differenceOf(
      flbs,
      whole.flbs.map(({ pa: _, ...flb }) => flb),
    );
  if (difference !== undefined) fail("roundtrip", `written and read: ${difference}`);
  bench.damage(spots, recipe);
  const damaged = read().value.value;
  if (!damaged) return;
  if (files !== "area") return;
  // An area is read for one session, but areas may reach into each other: a page is worth as many records as areas have pages.
  const told = new Map<bigint, number>();
  for (const { pa } of damaged.sessions.flatMap((session) => session.files)) {
    const times = (told.get(pa) ?? 0) + 1;
    if (times > LUO_FILE_PGCNT) fail("memory", `the file at ${pa} is told ${times} times`);
    told.set(pa, times);
  }
}
