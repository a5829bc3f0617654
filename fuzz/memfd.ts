/** Files of memory: header, list of folios, contents. */
import { kernelOf, type MemfdVersion } from "../formats/kernels.js";
import { khoVmallocChunk } from "../formats/kho/layout.js";
import { encodeVmalloc, vmallocChunks } from "../formats/kho/vmalloc-encode.js";
import { encodeFolios, encodeMemfd, folioCount, folioListSize } from "../formats/memfd/encode.js";
import { newFolioRuns, pagesOf } from "../formats/memfd/folios.js";
import { memfdLuoFolioSer } from "../formats/memfd/layout.js";
import { decodeMemfd, memfdLayouts } from "../formats/memfd/memfd.js";
import { fail } from "../src/fuzz/finding.js";
import type { Random } from "../src/fuzz/random.js";
import { memfdContent } from "../src/handover/content.js";
import { type Abi, pageSizes, sizeOf } from "../src/layout/index.js";
import { pfnOf, physAddr } from "../src/memory/index.js";
import { mutateBytes } from "./mutate/bytes.js";
import { cursorOf } from "./mutate/cursor.js";
import { newBench, type Spot } from "./oracles/bench.js";
import { differenceOf } from "./oracles/equal.js";
import { guarded, reading } from "./oracles/errors.js";
import type { Seed } from "./seeds/seed.js";

export const about = "memfds of both versions: written, read, damaged, and what is in them";

const versions: readonly { readonly version: MemfdVersion; readonly release: string }[] = [
  { version: "memfd-v1", release: "7.0" },
  { version: "memfd-v2", release: "7.3" },
];

export function* seeds(): Generator<Seed> {
  for (const [p, size] of pageSizes.entries())
    for (const [v, { version }] of versions.entries()) {
      const name = `${version}-${size / 1024}k`;
      yield { name: `${name}-empty`, data: Uint8Array.of(p, v, 0) };
      yield {
        name: `${name}-some`,
        data: Uint8Array.of(p, v, 5, 0, 0, 1, 2, 0, 1, 2, 1, 2, 0, 3, 0, 0, 9, 1, 5),
      };
      yield { name: `${name}-many`, data: Uint8Array.of(p, v, 255, ...new Uint8Array(40).fill(1), 7, 7, 7) };
    }
}

export const mutate = (data: Uint8Array, random: Random): Uint8Array => mutateBytes(data, random);

export function fuzz(data: Uint8Array): void {
  const recipe = cursorOf(data);
  const abi: Abi = { byteOrder: "little", pageSize: recipe.pick(pageSizes) };
  const { version, release } = recipe.pick(versions);
  const bench = newBench(abi, kernelOf(release));
  const orders = new Map<number, number>();
  const builder = newFolioRuns();
  let index = 0;
  let next = pfnOf(physAddr(1n << 36n), abi.pageSize) as number;
  for (let left = recipe.u8(); left > 0; left--) {
    const order = recipe.u8() % 10;
    const unit = 2 ** order;
    index = (Math.ceil(index / unit) + (recipe.u8() % 4 === 3 ? 1 : 0)) * unit;
    next = Math.ceil(next / unit) * unit;
    builder.push(index, next, order, recipe.u8() % 4);
    orders.set(next, order);
    index += unit;
    next += unit;
  }
  const folios = builder.finish();
  const count = folioCount(folios);
  const header = {
    pos: recipe.u64() >> 1n,
    size: BigInt(Math.max(0, index * abi.pageSize - recipe.u8())),
    seals: version === "memfd-v1" ? 1 : recipe.u8() & 0x3f,
    flags: 0,
    nrFolios: BigInt(count),
  };
  const pages = Math.ceil(folioListSize(count, { abi }) / abi.pageSize);
  const list = Array.from({ length: pages }, () => pfnOf(bench.place(), abi.pageSize) as number);
  const chunks = Array.from({ length: vmallocChunks(pages, abi) }, () => bench.place());
  const at = bench.place();
  encodeFolios(bench.target, { pfns: list, order: 0 }, folios);
  encodeMemfd(bench.target, version, at, header, encodeVmalloc(bench.target, chunks, list, 0));

  const read = () =>
    bench.read((ctx) =>
      reading("memfd", () =>
        decodeMemfd(ctx, version, at, (pfn) => orders.get(pfn) ?? -1, "luo.sessions[0].files[0].memfd"),
      ),
    );
  const { value: whole, findings } = read();
  const wrong = findings.find(({ severity, code }) => severity !== "info" && code !== "memfd-bad-size");
  if (wrong) fail("roundtrip", `what was written is found to be damaged: ${wrong.message}`);
  const { folios: found, ...rest } = whole.value!;
  const difference = differenceOf(folios, found) ?? differenceOf(header, rest);
  if (difference !== undefined) fail("roundtrip", `written and read: ${difference}`);

  const entry = BigInt(sizeOf(memfdLuoFolioSer, abi));
  const spots: Spot[] = [
    { layout: memfdLayouts[version], pa: at },
    ...chunks.map((pa) => ({ layout: khoVmallocChunk, pa })),
    ...list.flatMap((pfn) =>
      [0n, 1n, 2n, BigInt(abi.pageSize) / entry - 1n].map((i) => ({
        layout: memfdLuoFolioSer,
        pa: physAddr(BigInt(pfn) * BigInt(abi.pageSize) + i * entry),
      })),
    ),
  ];
  bench.damage(spots, recipe);
  const damaged = read().value.value;
  if (!damaged) return;
  if (damaged.folios.length > (pages * abi.pageSize) / Number(entry))
    fail("memory", `${damaged.folios.length} runs of ${pages} pages`);
  for (let i = 0; i < damaged.folios.length; i++)
    if (!(pagesOf(damaged.folios, i) >= 1)) fail("invariant", "a run has no pages");
  // Contents are not there, so that all that matters is that it ends, in order.
  let end = 0;
  let pieces = 0;
  guarded("content", () => {
    for (const piece of memfdContent(bench.memory, damaged, abi.pageSize)) {
      if (piece.offset !== end) fail("invariant", `a piece at ${piece.offset} follows ${end}`);
      end = piece.offset + (piece.kind === "data" ? piece.bytes.length : piece.length);
      if (++pieces > 4 * damaged.folios.length + 4) fail("hang", "more pieces than folios");
    }
  });
}
