/** IOMMU page tables of every format: built call by call, walked, looked up, damaged. */
import { decodeTable, encodeTable } from "../formats/iommu/content.js";
import { newDomain, tableOf } from "../formats/iommu/domain.js";
import type { PageTable } from "../formats/iommu/format.js";
import { mapTable, unmapTable } from "../formats/iommu/map.js";
import { mappingsOf } from "../formats/iommu/mappings.js";
import { translate } from "../formats/iommu/translate.js";
import { decodeMappings } from "../formats/iommu/walk.js";
import { fail } from "../src/fuzz/finding.js";
import type { Random } from "../src/fuzz/random.js";
import { newReading } from "../src/iommu/open.js";
import { physAddr } from "../src/memory/index.js";
import { newModel } from "../test/formats/iommu/model.js";
import { newStore, type Store } from "../test/formats/iommu/store.js";
import { optionsOf, type Vector, vectors } from "../test/formats/iommu/vectors.js";
import { edges } from "./mutate/bytes.js";
import { type Cursor, cursorOf } from "./mutate/cursor.js";
import { mutateSteps } from "./mutate/steps.js";
import { differenceOf, firstDifference } from "./oracles/equal.js";
import { reading } from "./oracles/errors.js";
import { checkLookups } from "./oracles/lookups.js";
import { watched } from "./oracles/watched.js";
import type { Seed } from "./seeds/seed.js";

export const about = "IOMMU page tables of every format: mapped, walked, looked up, damaged";

/** One configuration of each shape. */
const shapes: readonly Vector[] = [
  ...new Map(
    vectors.map((vector) => {
      const { levels, granuleLg2, vaBits, signExtend } = vector.config;
      return [[vector.format, levels, granuleLg2, vaBits, signExtend].join(), vector] as const;
    }),
  ).values(),
];

const head = 1;
const size = 7;
/** Calls of one input, and largest of one call in pages. */
const mostCalls = 24;

export function* seeds(): Generator<Seed> {
  for (const [i, { name }] of shapes.entries()) {
    const few = [0, 1, 0, 2, 0, 3, 3, 0, 9, 0, 4, 1, 200, 1, 2, 1, 0, 0, 0, 1, 0];
    yield { name, data: Uint8Array.of(i, ...few, 3, 0, 0, 1, 2, 3, 4) };
  }
}

export const mutate = (data: Uint8Array, random: Random): Uint8Array => mutateSteps(data, head, size, random);

export function fuzz(data: Uint8Array): void {
  const recipe = cursorOf(data);
  const shape = recipe.pick(shapes);
  const store = newStore();
  const options = optionsOf(shape);
  const domain = newDomain(options, store);
  if (!domain) return;
  const model = newModel(shape.format, shape.config);
  const granule = 2 ** shape.config.granuleLg2;
  let damaged = false;
  for (let left = mostCalls; left > 0 && recipe.left > 0; left--) {
    const kind = recipe.u8() % 4;
    if (kind === 3) {
      if (!damaged) checkWhole(tableOf(domain), store, model.runs);
      damage(store, recipe);
      damaged = true;
      continue;
    }
    if (damaged) break;
    const iova = address(recipe, granule, shape.config.vaBits);
    const pa = address(recipe, granule, Math.min(shape.config.paBits, 48));
    const length = BigInt(granule) * BigInt(1 + (recipe.u8() % 8) * 2 ** ((recipe.left % 4) * 3));
    if (kind === 2) {
      const wanted = model.unmap(iova, length);
      const done = unmapTable(domain, iova, length);
      if (done !== wanted) fail("invariant", `${done} bytes are unmapped, the model says ${wanted}`);
    } else {
      const wanted = model.map(iova, pa, length, kind === 0 ? 3 : 1);
      const { errno, mapped } = mapTable(domain, iova, pa, length, kind === 0 ? 3 : 1);
      if (errno !== wanted.errno || mapped !== wanted.mapped)
        fail(
          "invariant",
          `${errno} after ${mapped} bytes, the model says ${wanted.errno} after ${wanted.mapped}`,
        );
    }
  }
  if (damaged) checkDamaged(tableOf(domain), store);
  else checkWhole(tableOf(domain), store, model.runs);
}

/** An address near a border between tables, in the lower or in the upper half of what there is. */
function address(recipe: Cursor, granule: number, width: number): bigint {
  const page = BigInt(recipe.u8());
  const where = recipe.u8();
  const base = where % 4 === 0 ? 0n : 1n << BigInt(Math.min(width - 1, 12 + ((where >> 2) % 40)));
  const at = base + (page - (where & 128 ? 4n : 0n)) * BigInt(granule);
  return BigInt.asUintN(64, (at / BigInt(granule)) * BigInt(granule));
}

function damage(store: Store, recipe: Cursor): void {
  const { memory, tables } = store;
  const pages = [...tables];
  const [pa, bytes] = pages[recipe.u8() % pages.length]!;
  const used: number[] = [];
  const view = new DataView(memory.read(physAddr(pa), bytes).slice().buffer);
  for (let at = 0; at < bytes; at += 8) if (view.getBigUint64(at, true) !== 0n) used.push(at);
  const at =
    used.length > 0 && recipe.u8() % 4 !== 0 ? used[recipe.u8() % used.length]! : (recipe.u16() * 8) % bytes;
  const other = pages[recipe.u8() % pages.length]![0];
  const now = view.getBigUint64(at, true);
  const mask = 0x000ffffffffff000n;
  const value = [
    () => (now & ~mask) | other,
    () => now ^ (1n << BigInt(recipe.u8() % 64)),
    () => (now & ~mask) | (recipe.u64() & mask),
    () => recipe.pick(edges),
    () => (now & ~mask) | ((now + 4096n) & mask),
  ][recipe.u8() % 5]!();
  view.setBigUint64(at, BigInt.asUintN(64, value), true);
  store.write(physAddr(pa), new Uint8Array(view.buffer));
}

/** Walks a table, watched. */
function walk(table: PageTable, { memory }: Store) {
  let length = 0;
  for (const { size: bytes } of memory.ranges) length += Number(bytes);
  // Each of 8 bytes can lead to a table of 64 KiB, of which every page is asked for.
  const view = watched({ kind: "raw", memory, findings: [] }, 128 * length).image.memory;
  const { ctx, findings } = newReading(view, { limits: { maxSharedTables: 64, maxRuns: 100_000 } });
  const runs = reading("walk", () => decodeMappings(ctx, table, "devices[0x0].table")).value;
  if (!runs) fail("untyped-error", "a walk ends with an error");
  return { ctx, findings, runs };
}

function checkWhole(table: PageTable, store: Store, wanted: ReturnType<typeof newModel>["runs"]): void {
  const { ctx, findings, runs } = walk(table, store);
  const wrong = findings[0];
  if (wrong)
    fail("roundtrip", `a table that was built is found to be damaged: ${wrong.code}, ${wrong.message}`);
  const found = Array.from(mappingsOf(runs), ({ iova, pa, size: bytes, read, write }) => ({
    iova,
    pa,
    size: bytes,
    read,
    write,
  }));
  const plain = wanted.map(({ iova, pa, size: bytes, read, write }) => ({
    iova,
    pa,
    size: bytes,
    read,
    write,
  }));
  const difference = differenceOf(plain, found);
  if (difference !== undefined) fail("roundtrip", `mapped and walked: ${difference}`);
  checkLookups(store.memory, table, runs);
  const content = decodeTable(ctx, table, "devices[0x0].table");
  encodeTable(content, (pa, bytes) => {
    const at = firstDifference(store.memory.read(pa, bytes.length), bytes);
    if (at >= 0) fail("roundtrip", `byte ${at} of the table at ${pa} is written otherwise`);
  });
}

function checkDamaged(table: PageTable, store: Store): void {
  const { findings, runs } = walk(table, store);
  // A table that is reached twice, or a walk that ends early, says less than hardware would.
  if (findings.length === 0) checkLookups(store.memory, table, runs);
  for (const { pa } of store.memory.ranges) translate(store.memory, table, pa);
}
