/** What is in memory at the jump: the invariants of spec/luo-machine, section 10, and every block explained. */
import { expect } from "vitest";
import { decodeHandover, type Handover } from "../../../src/handover/index.js";
import { captureOf, type Departure } from "../../../src/machine/index.js";
import { type Memory, pfnOf, physAddr } from "../../../src/memory/index.js";
import type { Finding } from "../../../src/report/finding.js";
import { mapOwners } from "./check-pages.js";
import { bytesText, contentOf } from "./check-status.js";
import { preservedBlocks } from "./driver.js";
import { perBlock } from "./luo.js";
import { since } from "./releases.js";
import { hasLuo, type Item, type Model, type ModelSession, type Saved } from "./state.js";
import { unpackToy } from "./toys.js";
import { region } from "./world.js";

/** Pages by what they are, as {@link Model.received} counts them. */
export type Labels = Map<string, number>;

/** `held` is who holds which pages in the kernel that leaves. */
export function checkDeparture(
  model: Model,
  sessions: readonly ModelSession[],
  departure: Departure,
  held: readonly { readonly pfn: number; readonly pages: number; readonly owner: string }[],
): Labels {
  const { release, pageSize } = model;
  const { handover, findings, structures } = decodeHandover(captureOf(departure), {
    handoff: departure.bootData!,
    release,
    pageSize,
    mode: "forensic",
  });
  expect(findings.filter((finding) => !isExpected(finding, model, handover))).toEqual([]);
  const { preserved, scratch, subtrees } = handover;
  const blocks = new Map<number, number>();
  const { runs, skeleton } = preserved!;
  for (let i = 0; i < runs.length; i++)
    for (let k = 0; k < runs.count[i]!; k++) {
      const pfn = runs.pfn[i]! + k * 2 ** runs.order[i]!;
      expect(blocks.has(pfn), `two blocks begin at page ${pfn}`).toBe(false);
      blocks.set(pfn, runs.order[i]!);
    }
  checkPlaces(blocks, scratch, held, pageSize);
  checkMap(mapPagesOf(skeleton, pageSize), blocks, held);

  const labels: Labels = new Map();
  const take = (label: string, pfn: number, order: number): void => {
    expect(blocks.get(pfn), `order of the block of ${label} at page ${pfn}`).toBe(order);
    blocks.delete(pfn);
    labels.set(label, (labels.get(label) ?? 0) + 2 ** order);
  };
  const takeRange = (label: string, pfn: number, end: number): void => {
    for (let at = pfn; at < end; ) {
      const order = blocks.get(at);
      expect(order, `a block of ${label} at page ${at}`).toBeDefined();
      take(label, at, order!);
      at += 2 ** order!;
    }
  };
  const blobs = new Map(model.items.filter(({ subtree }) => subtree).map((item) => [item.subtree, item]));
  for (const { pa, pages, keeping, path } of structures) {
    const [, name] = /^subtrees\.(.*)$/.exec(path) ?? [];
    // The driver's own blobs are among its items.
    if (keeping === "not-preserved" || blobs.has(name)) continue;
    const start: number = pfnOf(pa, pageSize);
    const label = labelOf(path);
    if (keeping === "any-order") takeRange(label, start, start + pages);
    else for (let at = start; at < start + pages; at += 2 ** keeping) take(label, at, keeping);
  }
  const regions = handover.reserveMem.map(({ name, size }) => [name, Number(size) / pageSize]);
  expect(regions).toEqual([[region.name, region.pages]]);
  for (const { name, start, size } of handover.reserveMem)
    takeRange(
      `reserve_mem ${name}`,
      pfnOf(start, pageSize),
      pfnOf(start, pageSize) + Number(size) / pageSize,
    );

  const own = [
    "memblock",
    ...(hasLuo(model) ? ["LUO"] : []),
    ...(since(release, "7.1.13") ? ["kexec-metadata"] : []),
  ];
  expect(subtrees.map(({ name }) => name).sort()).toEqual(
    [...own, ...(blobs.keys() as Iterable<string>)].sort(),
  );
  for (const item of model.items.filter(({ preserved: handed }) => handed)) {
    if (item.subtree)
      expect(subtrees.find(({ name }) => name === item.subtree)!.pa).toBe(paOfItem(item, pageSize));
    for (const { pfn, order } of preservedBlocks(item, departure.memory, pageSize, model))
      take(`driver ${item.id}`, pfn, order);
  }
  if (hasLuo(model)) {
    checkLiveUpdate(model, sessions, handover, departure.memory, take);
    const root = subtrees.find(({ name }) => name === "LUO")!;
    if (since(release, "7.2.13")) checkLists(model, sessions, root.pa, departure.memory);
  } else expect(handover.luo).toBeUndefined();
  expect(handover.kexecMetadata?.kexecCount).toBe(since(release, "7.1.13") ? model.kexecCount : undefined);
  expect([...blocks], "blocks that are preserved for nobody").toEqual([]);
  return labels;
}

const paOfItem = ({ blocks }: Item, pageSize: number): bigint => BigInt(blocks[0]!.pfn) * BigInt(pageSize);

/** What the decoder may say: that it does not know toys, and of the empty block that 7.2 and 7.3 leave behind. */
function isExpected({ severity, code, path }: Finding, model: Model, { luo }: Handover): boolean {
  if (severity === "info") return true;
  if (code === "block-bad-count") return /^luo\.sessions\.blocks/.test(path) && hasEmptyBlock(model);
  const [, s, f] = /^luo\.sessions\[(\d+)\]\.files\[(\d+)\]/.exec(path) ?? [];
  return (
    code === "file-unknown-handler" &&
    /^(toy|lone)-v1$/.test(luo!.sessions[Number(s)]!.files[Number(f)]!.compatible)
  );
}

/** The next kernel stops at it. */
export const hasEmptyBlock = (model: Model): boolean =>
  model.outgoing.length > 0 &&
  model.sessionBlocks > Math.ceil(model.outgoing.length / perBlock(model, "session"));

/** Blocks are aligned, do not overlap, are not in scratch, and are somebody's in the kernel that preserved them. */
function checkPlaces(
  blocks: ReadonlyMap<number, number>,
  scratch: Handover["scratch"],
  held: readonly { readonly pfn: number; readonly pages: number; readonly owner: string }[],
  pageSize: number,
): void {
  let end = 0;
  let h = 0;
  for (const [pfn, order] of [...blocks].sort(([a], [b]) => a - b)) {
    expect(pfn % 2 ** order, `alignment of the block at ${pfn}`).toBe(0);
    if (pfn < end) throw new Error(`the block at page ${pfn} overlaps the one before`);
    end = pfn + 2 ** order;
    for (const { pa, size } of scratch)
      if (pfnOf(pa, pageSize) < end && pfn < Number((pa + size) / BigInt(pageSize)))
        throw new Error(`the block at page ${pfn} is in scratch`);
    for (let at = pfn; at < end; ) {
      while (h < held.length && held[h]!.pfn + held[h]!.pages <= at) h++;
      const holding = held[h];
      if (!holding || holding.pfn > at) throw new Error(`page ${at} is preserved and free`);
      if (["scratch", "kernel", "firmware", "received"].includes(holding.owner))
        throw new Error(`page ${at} is preserved and held as ${holding.owner}`);
      at = Math.min(end, holding.pfn + holding.pages);
    }
  }
}

function mapPagesOf(skeleton: NonNullable<Handover["preserved"]>["skeleton"], pageSize: number): Set<number> {
  if (skeleton.kind === "radix") return new Set(skeleton.pfn.subarray(0, skeleton.length));
  return new Set(
    skeleton.chunks.flatMap(({ pa, entries }) =>
      [pa, ...entries.map(({ bitmap }) => bitmap)].map((at) => Number(at / BigInt(pageSize))),
    ),
  );
}

/** The map lies in pages that are held for it, in all of them, and in none that is preserved. */
function checkMap(
  pages: ReadonlySet<number>,
  blocks: ReadonlyMap<number, number>,
  held: readonly { readonly pfn: number; readonly pages: number; readonly owner: string }[],
): void {
  const own = held
    .filter(({ owner }) => mapOwners.includes(owner))
    .flatMap(({ pfn, pages: count }) => Array.from({ length: count }, (_, i) => pfn + i));
  expect([...pages].sort((a, b) => a - b)).toEqual(own);
  for (const [pfn, order] of blocks)
    for (const page of order === 0 ? [pfn] : [...pages].filter((at) => at >= pfn && at < pfn + 2 ** order))
      expect(pages.has(page), `page ${page} of the map is preserved`).toBe(false);
}

function labelOf(path: string): string {
  const [, s, f] = /^luo\.sessions\[(\d+)\]\.files(?:\[(\d+)\])?/.exec(path) ?? [];
  if (f !== undefined) return `file ${s}.${f}`;
  if (s !== undefined) return `files ${s}`;
  return path.startsWith("luo.sessions") ? "sessions" : path;
}

type Take = (label: string, pfn: number, order: number) => void;

/** Sessions, files and FLBs are those of the model, to the byte. */
function checkLiveUpdate(
  model: Model,
  sessions: readonly ModelSession[],
  { luo }: Handover,
  memory: Memory,
  take: Take,
): void {
  const { pageSize } = model;
  expect(luo!.liveupdateNumber).toBe(model.number);
  expect(
    luo!.sessions.map(({ name, files }) => ({
      name: bytesText(name),
      files: files.map(({ token, compatible }) => ({ token, compatible })),
    })),
  ).toEqual(
    sessions.map(({ name, files }) => ({
      name,
      files: files.map(({ token, compatible }) => ({ token, compatible })),
    })),
  );
  for (const [s, { files }] of luo!.sessions.entries())
    for (const [f, { data, memfd }] of files.entries()) {
      const { label, saved } = sessions[s]!.files[f]!;
      if (memfd) {
        checkMemfd(memfd, saved!, label, model, memory, take);
        continue;
      }
      const { number, pa, order, trait } = unpackToy(data);
      expect({ number, order, trait }).toEqual({
        number: saved!.id,
        order: saved!.order,
        trait: saved!.trait,
      });
      const value = new DataView(memory.read(pa, 4).slice().buffer).getUint32(0, true);
      expect(value, `value of toy ${number}`).toBe(saved!.value);
      take(label, pfnOf(pa, pageSize), order);
    }
  const counted = model.flbs.filter(({ count }) => count > 0).map(({ name, count }) => [name, BigInt(count)]);
  expect(luo!.flbs.map(({ name, count }) => [name, count])).toEqual(counted);
  for (const { name, data } of luo!.flbs) take(`flb ${name}`, pfnOf(physAddr(data), pageSize), 0);
}

function checkMemfd(
  memfd: NonNullable<NonNullable<Handover["luo"]>["sessions"][number]["files"][number]["memfd"]>,
  saved: Saved,
  label: string,
  { pageSize, release }: Model,
  memory: Memory,
  take: Take,
): void {
  const { size, pos, seals, folios } = memfd;
  expect({ size, pos }).toEqual({ size: saved.size, pos: saved.pos });
  if (since(release, "7.1.13")) expect(seals).toBe(saved.seals);
  const content = contentOf(saved, pageSize)!;
  let pages = 0;
  for (let i = 0; i < folios.length; i++)
    for (let k = 0; k < folios.count[i]!; k++) {
      const [index, pfn, step] = [folios.index[i]!, folios.pfn[i]!, 2 ** folios.order[i]!];
      take(label, pfn + k * step, folios.order[i]!);
      pages += step;
      const from = (index + k * step) * pageSize;
      const wanted = content.subarray(from, from + step * pageSize);
      const pa = physAddr(BigInt(pfn + k * step) * BigInt(pageSize));
      expect(
        Buffer.compare(memory.read(pa, wanted.length), wanted),
        `${label}, page ${index + k * step}`,
      ).toBe(0);
    }
  expect(pages * pageSize).toBeGreaterThanOrEqual(content.length);
  saved.folioPages = pages;
}

/** Lists of blocks since 7.2, read by hand: all but the last are full, none is empty, all together have every record. */
function checkLists(model: Model, sessions: readonly ModelSession[], root: bigint, memory: Memory): void {
  const u64 = (pa: bigint): bigint =>
    new DataView(memory.read(physAddr(pa), 8).slice().buffer).getBigUint64(0, true);
  const list = (head: bigint, what: "session" | "file", empty: boolean): bigint[] => {
    const records: bigint[] = [];
    const size = what === "session" ? 80n : 64n;
    for (let pa = head; pa !== 0n; ) {
      const [next, count] = [u64(pa), u64(pa + 8n)];
      if (next !== 0n && !empty) expect(count).toBe(BigInt(perBlock(model, what)));
      if (!empty) expect(count).toBeGreaterThan(0n);
      for (let i = 0n; i < count; i++) records.push(pa + 16n + i * size);
      pa = next;
    }
    return records;
  };
  const records = list(u64(root + 16n), "session", hasEmptyBlock(model));
  expect(records.length).toBe(sessions.length);
  for (const [s, pa] of records.entries()) {
    expect(u64(pa + 72n)).toBe(BigInt(sessions[s]!.files.length));
    expect(list(u64(pa + 64n), "file", false).length).toBe(sessions[s]!.files.length);
  }
}
