/** Shapes of the captures, made without looking into them: from what other observers recorded. */
import { existsSync, readFileSync } from "node:fs";
import { kernelOf } from "../../formats/kernels.js";
import { type Shape, shapeFrom } from "../../src/exports/cost.js";
import { parseMeta } from "../../src/index.js";
import type { Fixture, TruthFile } from "../conformance/truth.js";

type Block = readonly [order: number, pfn: number];

/**
 * The folios of a file by the page frame numbers of its pages: a folio of the size that huge pages had for the file is
 * where so many pages are adjacent, and aligned in the file and in memory.
 */
function foliosOf(file: TruthFile & { readonly thpKb?: number }, pageSize: number): Block[] {
  const order = Math.max(0, Math.log2(((file.thpKb ?? 0) * 1024) / pageSize));
  const unit = Number.isInteger(order) ? 2 ** order : 1;
  const pfns = new Map<number, number>();
  for (const [page, pfn, count] of file.pageRuns) for (let i = 0; i < count; i++) pfns.set(page + i, pfn + i);
  const blocks: Block[] = [];
  for (let page = 0; pfns.has(page); ) {
    const pfn = pfns.get(page)!;
    let whole = page % unit === 0 && pfn % unit === 0;
    for (let i = 1; i < unit && whole; i++) whole = pfns.get(page + i) === pfn + i;
    blocks.push([whole ? Math.log2(unit) : 0, pfn]);
    page += whole ? unit : 1;
  }
  return blocks;
}

/** A range as it is preserved: at every place the largest block that is aligned and fits. */
function blocksOf(pfn: number, pages: number): Block[] {
  const blocks: Block[] = [];
  for (let at = pfn; at < pfn + pages; ) {
    let order = 0;
    while (at % 2 ** (order + 1) === 0 && at + 2 ** (order + 1) <= pfn + pages) order++;
    blocks.push([order, at]);
    at += 2 ** order;
  }
  return blocks;
}

const tally = (blocks: readonly Block[]): { order: number; blocks: number }[] =>
  [...new Set(blocks.map(([order]) => order))]
    .sort((a, b) => a - b)
    .map((order) => ({ order, blocks: blocks.filter((each) => each[0] === order).length }));

const u64At = (hexBytes: string, at: number): bigint => Buffer.from(hexBytes, "hex").readBigUInt64LE(at);

export function truthShape({ name, truth, meta }: Fixture): Shape {
  const side = parseMeta(meta);
  const pageSize = side.pageSize!;
  const kernel = kernelOf(truth.kernelRelease);
  const contents: Block[] = [];
  const sessions = (truth.sessions ?? []).map(({ files }) => ({
    count: 1,
    files: files.map((file) => {
      const folios = foliosOf(file, pageSize);
      contents.push(...folios);
      return { count: 1, handler: "memfd", folios: tally(folios), holes: 0, inScratch: [] } as const;
    }),
  }));
  const regions = Object.entries(truth.reserveMem ?? {}).map(([region, { start, size }]) => {
    const pages = Number(BigInt(size) / BigInt(pageSize));
    contents.push(...blocksOf(Number(BigInt(start) / BigInt(pageSize)), pages));
    return { name: region, pages };
  });
  const path = new URL(`shapes/${name}.json`, import.meta.url);
  const module = existsSync(path)
    ? (JSON.parse(readFileSync(path, "utf8")) as { blobOrder: number; folios: Block[] })
    : undefined;
  contents.push(...(module?.folios ?? []));
  // sysfs boot_params has the record, and with it the page of the root tree; a device tree is in the side file alone.
  const record = (truth as unknown as { setupData: { fromSysfs: { type: number; data: string }[] } })
    .setupData;
  const own = record.fromSysfs.find(({ type }) => type === 10);
  const root = own ? u64At(own.data, 0) : side.fdtPhys!;
  const { arch } = shapeFrom({ release: truth.kernelRelease, memory: 0, vms: 0, pageSize });
  return {
    release: truth.kernelRelease,
    pageSize,
    arch,
    scratch: {
      areas: truth.scratchAreas.length,
      bytes: truth.scratchAreas.reduce((sum, [, size]) => sum + Number(size), 0),
    },
    liveUpdate: kernel.luo !== undefined,
    sessions,
    // The in-kernel test registers three, which are handed over with the first file.
    flbs: kernel.flb && sessions.some(({ files }) => files.length > 0) ? 3 : 0,
    regions,
    ...(module && { testModule: { folios: module.folios.length, blobOrder: module.blobOrder } }),
    data: contents.map(([order, pfn]) => ({ order, pfn, blocks: 1, runs: 1, step: 2 ** order })),
    // Where structures lie nobody recorded, but for the root tree: as if one behind the other from there on.
    structures: { pfn: Number(root / BigInt(pageSize)) },
    assumed: [],
  };
}
