/** Shapes as JSON: what `kho cost --json` prints as `shape`, and whatever somebody writes in its place. */
import { kernelOf } from "../../formats/kernels.js";
import type { OrderCount } from "../../formats/kho/preserved.js";
import { KhoError } from "../report/error.js";
import { eachFile, type FileShape, type RegionShape, type SessionShape, type Shape } from "./shape.js";
import { placed } from "./shape-from.js";
import type { Stretch } from "./stretches.js";

/** Most entries of a list of a file that somebody wrote. */
const longest = 1 << 20;

/**
 * Reads a shape. Of its members `release` and `sessions` have to be there. Where there is no `data`, the contents are
 * laid out behind the structures in as many `runs` as it says, one for each file unless it does.
 * @throws KhoError `usage`, with the path of the member; `unknown-release`
 */
export function parseShape(text: string): Shape {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new KhoError("usage", "the shape is not JSON");
  }
  const shape = memberOf(json, "shape", members);
  const release = textOf(shape.release, "release");
  const { luo } = kernelOf(release);
  const pageSize = numberOf(shape.pageSize ?? 4096, "pageSize", 4096, 65536);
  if (![4096, 16384, 65536].includes(pageSize)) throw wrong("pageSize", "4096, 16384 or 65536", pageSize);
  const arch = shape.arch ?? (pageSize === 4096 ? "x86_64" : "aarch64");
  if (arch !== "x86_64" && arch !== "aarch64") throw wrong("arch", "x86_64 or aarch64", arch);
  const scratch = memberOf(shape.scratch ?? {}, "scratch", ["areas", "bytes"]);
  const structures = memberOf(shape.structures ?? { pfn: 2 ** 32 / pageSize }, "structures", [
    "pfn",
    "stretches",
  ]);
  const test =
    shape.testModule === undefined
      ? undefined
      : memberOf(shape.testModule, "testModule", ["folios", "blobOrder"]);
  const read: Shape = {
    release,
    pageSize,
    arch,
    scratch: {
      areas: numberOf(scratch.areas ?? 3, "scratch.areas", 0, 4096),
      bytes: numberOf(scratch.bytes ?? 0, "scratch.bytes"),
    },
    liveUpdate: flagOf(shape.liveUpdate ?? luo !== undefined, "liveUpdate"),
    sessions: listOf(shape.sessions, "sessions", sessionOf),
    flbs: numberOf(shape.flbs ?? 0, "flbs"),
    regions: listOf(shape.regions ?? [], "regions", regionOf),
    ...(test && {
      testModule: {
        folios: numberOf(test.folios, "testModule.folios", 0, longest),
        blobOrder: orderOf(test.blobOrder ?? 0, "testModule.blobOrder"),
      },
    }),
    data: listOf(shape.data ?? [], "data", stretchOf),
    structures:
      structures.stretches === undefined
        ? { pfn: numberOf(structures.pfn, "structures.pfn") }
        : { stretches: listOf(structures.stretches, "structures.stretches", stretchOf) },
    assumed: listOf(shape.assumed ?? [], "assumed", textOf),
  };
  if (shape.data === undefined)
    return placed(read, shape.runs === undefined ? {} : { runs: numberOf(shape.runs, "runs", 1) });
  if (shape.runs !== undefined) throw wrong("runs", "either runs or data", "both");
  mustHold(read);
  return read;
}

const members = [
  "release",
  "pageSize",
  "arch",
  "scratch",
  "liveUpdate",
  "sessions",
  "flbs",
  "regions",
  "testModule",
  "data",
  "runs",
  "structures",
  "assumed",
];

function sessionOf(json: unknown, path: string): SessionShape {
  const { count = 1, files = [] } = memberOf(json, path, ["count", "files"]);
  return { count: numberOf(count, `${path}.count`, 1), files: listOf(files, `${path}.files`, fileOf) };
}

function fileOf(json: unknown, path: string): FileShape {
  const file = memberOf(json, path, ["count", "handler", "folios", "holes", "inScratch"]);
  const { count = 1, handler = "memfd", folios = [], holes = 0, inScratch = [] } = file;
  if (handler !== "memfd" && handler !== "other") throw wrong(`${path}.handler`, "memfd or other", handler);
  const read: FileShape = {
    count: numberOf(count, `${path}.count`, 1),
    handler,
    folios: listOf(folios, `${path}.folios`, countOf),
    holes: numberOf(holes, `${path}.holes`),
    inScratch: listOf(inScratch, `${path}.inScratch`, countOf),
  };
  const blocksOf = (list: readonly OrderCount[], order: number): number =>
    list.reduce((sum, each) => sum + (each.order === order ? each.blocks : 0), 0);
  if (read.holes > blocksOf(read.folios, 0))
    throw wrong(`${path}.holes`, "at most its folios of order 0", read.holes);
  for (const { order } of read.inScratch)
    if (blocksOf(read.inScratch, order) > blocksOf(read.folios, order))
      throw wrong(`${path}.inScratch`, "at most its folios of that order", `more of order ${order}`);
  return read;
}

function regionOf(json: unknown, path: string): RegionShape {
  const { name, pages } = memberOf(json, path, ["name", "pages"]);
  return { name: textOf(name, `${path}.name`), pages: numberOf(pages, `${path}.pages`, 1) };
}

function countOf(json: unknown, path: string): OrderCount {
  const { order, blocks } = memberOf(json, path, ["order", "blocks"]);
  return { order: orderOf(order, `${path}.order`), blocks: numberOf(blocks, `${path}.blocks`) };
}

function stretchOf(json: unknown, path: string): Stretch {
  const stretch = memberOf(json, path, ["order", "pfn", "blocks", "runs", "step"]);
  const order = orderOf(stretch.order, `${path}.order`);
  const blocks = numberOf(stretch.blocks, `${path}.blocks`, 1);
  const size = blocks * 2 ** order;
  const pfn = numberOf(stretch.pfn, `${path}.pfn`);
  const runs = numberOf(stretch.runs ?? 1, `${path}.runs`, 1);
  const step = numberOf(stretch.step ?? size, `${path}.step`, size);
  if (pfn % 2 ** order !== 0 || step % 2 ** order !== 0)
    throw wrong(path, `multiples of ${2 ** order} pages`, pfn);
  if (!Number.isSafeInteger(pfn + runs * step)) throw wrong(path, "pages below 2^53", pfn);
  return { order, pfn, blocks, runs, step };
}

/** @throws KhoError `usage` if files have folios that lie nowhere */
function mustHold(shape: Shape): void {
  const rest = new Map<number, number>();
  for (const { order, blocks, runs } of shape.data) rest.set(order, (rest.get(order) ?? 0) + blocks * runs);
  eachFile(shape, ({ folios }, count) => {
    for (const { order, blocks } of folios) rest.set(order, (rest.get(order) ?? 0) - blocks * count);
  });
  for (const [order, blocks] of rest)
    if (blocks < 0) throw wrong("data", `every folio of the files`, `${-blocks} fewer of order ${order}`);
}

function memberOf(json: unknown, path: string, known: readonly string[]): Record<string, unknown> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw wrong(path, "an object", json);
  for (const name of Object.keys(json))
    if (!known.includes(name))
      throw wrong(`${path}.${name.slice(0, 40)}`, known.join(", "), "another member");
  return { ...json };
}

function listOf<T>(json: unknown, path: string, item: (json: unknown, path: string) => T): T[] {
  if (!Array.isArray(json) || json.length > longest) throw wrong(path, `a list of at most ${longest}`, json);
  return json.map((each, i) => item(each, `${path}[${i}]`));
}

function numberOf(json: unknown, path: string, least = 0, most = 2 ** 52): number {
  if (!(typeof json === "number" && Number.isInteger(json) && json >= least && json <= most))
    throw wrong(path, `an integer from ${least} to ${most}`, json);
  return json;
}

const orderOf = (json: unknown, path: string): number => numberOf(json, path, 0, 51);

function textOf(json: unknown, path: string): string {
  if (typeof json !== "string" || json.length > 1000) throw wrong(path, "a text", json);
  return json;
}

function flagOf(json: unknown, path: string): boolean {
  if (typeof json !== "boolean") throw wrong(path, "true or false", json);
  return json;
}

function wrong(path: string, expected: string, found: unknown): KhoError {
  const text = typeof found === "object" ? (found === null ? "null" : "an object or a list") : String(found);
  const actual = found === undefined ? "nothing" : text.slice(0, 80);
  return new KhoError("usage", `the shape's ${path} is not that of a handover`, { path, expected, actual });
}
