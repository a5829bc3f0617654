/** Bytes and pages of every structure, from the shape alone, against what decoding the captures finds. */
import { describe, expect, it } from "vitest";
import { kernels } from "../../formats/kernels.js";
import { orderCounts } from "../../formats/kho/preserved.js";
import type { Runs } from "../../formats/kho/runs.js";
import { type Shape, shapeFrom, shapeOf, spaceOf } from "../../src/exports/cost.js";
import { decodeHandover, openImage, parseMeta } from "../../src/index.js";
import { captureOf, Machine } from "../../src/machine/index.js";
import { fixtures } from "../conformance/truth.js";
import { truthShape } from "./truth-shape.js";

/** Which rows of the table a decoded structure counts in, by its path. */
const idOf = (path: string): string =>
  [
    [/^root$/, "root"],
    [/^preserved/, "map"],
    [/^subtrees\.memblock$/, "memblock"],
    [/^subtrees\.kho_test$/, "test-tree"],
    [/^subtrees\.kexec-metadata$/, "metadata"],
    [/^subtrees\.LUO$/, "luo-root"],
    [/^kho_test\.folios_info\.chunks/, "test-chunks"],
    [/^kho_test\.folios_info$/, "test-list"],
    [/^kho_test\.folios$/, "contents"],
    [/^luo\.sessions(\.blocks\[\d+\])?$/, "sessions"],
    [/^luo\.sessions\[\d+\]\.files(\.blocks\[\d+\])?$/, "files"],
    [/^luo\.flbs$/, "flbs"],
    [/\.memfd\.folios\.chunks/, "folio-chunks"],
    [/\.memfd\.folios$/, "folio-lists"],
    [/\.memfd$/, "memfds"],
  ].find(([pattern]) => (pattern as RegExp).test(path))?.[1] as string;

/** A decoded handover in the terms of the table: pages by kind, bytes of blobs and lists. */
function found(decoded: ReturnType<typeof decodeHandover>) {
  const { handover, structures } = decoded;
  const pages: Record<string, number> = {};
  for (const { path, pages: count, pa } of structures) {
    const id = idOf(path);
    expect(id, path).toBeDefined();
    // Of the test module's tree only the bytes are claimed; the block is what the map has.
    const order = id === "test-tree" ? orderAt(handover.preserved!.runs, pa, handover.pageSize) : 0;
    pages[id] = (pages[id] ?? 0) + count * 2 ** order;
  }
  delete pages.contents;
  const subtree = (name: string): number | undefined => {
    const size = handover.subtrees.find((each) => each.name === name)?.size;
    return size === undefined ? undefined : Number(size);
  };
  const memfds = (handover.luo?.sessions ?? []).flatMap(({ files }) =>
    files.flatMap(({ memfd }) => memfd ?? []),
  );
  return {
    pages,
    bytes: {
      memblock: subtree("memblock"),
      "test-tree": subtree("kho_test"),
      metadata: subtree("kexec-metadata"),
      "luo-root": subtree("LUO"),
      scratch: Number(handover.handoff.scratchSize),
      "folio-lists": memfds.length
        ? 16 * memfds.reduce((sum, { nrFolios }) => sum + Number(nrFolios), 0)
        : undefined,
    },
  };
}

/** The order of the block that begins at an address. */
function orderAt({ length, order, pfn, count }: Runs, pa: bigint, pageSize: number): number {
  const page = Number(pa) / pageSize;
  for (let i = 0; i < length; i++) {
    const into = (page - pfn[i]!) / 2 ** order[i]!;
    if (Number.isInteger(into) && into >= 0 && into < count[i]!) return order[i]!;
  }
  return 0;
}

function modelled(shape: Shape) {
  const { structures } = spaceOf(shape);
  const sums = { pages: {} as Record<string, number>, bytes: {} as Record<string, number> };
  for (const { id, pages, bytes } of structures) {
    if (pages > 0) sums.pages[id] = (sums.pages[id] ?? 0) + pages;
    sums.bytes[id] = (sums.bytes[id] ?? 0) + bytes;
  }
  return sums;
}

function compare(shape: Shape, decoded: ReturnType<typeof decodeHandover>): void {
  const space = spaceOf(shape);
  const { preserved } = decoded.handover;
  const there = found(decoded);
  const here = modelled(shape);
  expect(space.impossible).toEqual([]);
  expect(here.pages).toEqual(there.pages);
  for (const [id, bytes] of Object.entries(there.bytes)) expect(here.bytes[id], id).toBe(bytes);
  expect(space.orders).toEqual(orderCounts(preserved!.runs));
  expect(space.map.kind).toBe(preserved!.kind);
  expect(space.map.pages).toBe(preserved!.mapPages);
  const { skeleton } = preserved!;
  const nodes = space.map.rows.map(({ count }) => count);
  if (skeleton.kind === "radix")
    expect([...nodes].reverse()).toEqual(
      nodes.map((_, level) => skeleton.level.filter((l) => l === level).length),
    );
  else
    expect(nodes).toEqual([skeleton.chunks.length, skeleton.chunks.flatMap(({ entries }) => entries).length]);
}

describe.each(fixtures)("$name", (fixture) => {
  const decoded = decodeHandover(openImage(fixture.core), { meta: parseMeta(fixture.meta) });

  it("has the pages, bytes, blocks and nodes that follow from what was recorded of it", () => {
    compare(truthShape(fixture), decoded);
  });

  it("has the root tree of that length", () => {
    const { abi, blob } = rootOf(fixture.core, decoded);
    expect(spaceOf(truthShape(fixture)).structures.find(({ id }) => id === "root")!.bytes).toBe(
      new DataView(blob.buffer, blob.byteOffset).getUint32(4),
    );
    expect(abi).toBe(decoded.handover.pageSize);
  });

  it("has the same shape if it is read from the capture", () => {
    const shape = shapeOf(decoded);
    compare(shape, decoded);
    const truth = truthShape(fixture);
    const { sessions, flbs, scratch, liveUpdate, testModule } = truth;
    expect(shape).toMatchObject({ sessions, flbs, scratch, liveUpdate, ...(testModule && { testModule }) });
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    expect([...shape.regions].sort(byName)).toEqual([...truth.regions].sort(byName));
    const blocks = ({ data }: Shape): string[] =>
      data
        .flatMap(({ order, pfn, blocks }) =>
          Array.from({ length: blocks }, (_, i) => `${order} ${pfn + i * 2 ** order}`),
        )
        .sort();
    expect(blocks(shape)).toEqual(blocks(truth));
  });
});

function rootOf(core: string, { handover }: ReturnType<typeof decodeHandover>) {
  const blob = openImage(core).memory.read(handover.handoff.fdtPa, 64);
  return { abi: handover.pageSize, blob };
}

describe("what a simulated kernel hands over takes what its shape says", () => {
  const releases = kernels.filter(({ luo }) => luo).map(({ release }) => release);
  const sizes = { 4096: [1, 255, 256, 257, 130_816], 65536: [1, 4096, 4097] };
  for (const release of releases)
    for (const [pageSize, lists] of Object.entries(sizes))
      it(`${release} with pages of ${pageSize}`, () => {
        const size = Number(pageSize);
        // Files of so many folios that lists and chunks end full, or begin one more; sessions beyond one block.
        const machine = Machine.boot({ release, pageSize: size, memory: size * 2 ** 19 });
        for (let s = 0; s < 53; s++) {
          const session = machine.liveupdate.createSession(`session ${s}`);
          if (s === 0)
            for (const [token, pages] of lists.entries())
              session.preserve(machine.memfd({ size: pages * size }), BigInt(token));
          if (s === 1)
            for (let token = 0; token < 65; token++) session.preserve(machine.memfd({ size }), BigInt(token));
        }
        const departure = machine.leave();
        const decoded = decodeHandover(captureOf(departure), {
          release,
          handoff: departure.bootData!,
        });
        const shape = shapeOf(decoded);
        compare(shape, decoded);
        // And from numbers alone, but for where it lies.
        const wanted = [
          { files: lists.map((pages) => [[0, pages]]) },
          { files: Array.from({ length: 65 }, () => [[0, 1]]) },
          ...Array.from({ length: 51 }, () => ({ files: [] })),
        ];
        expect(
          shape.sessions.map(({ files }) => ({
            files: files.map(({ folios }) => folios.map(({ order, blocks }) => [order, blocks])),
          })),
        ).toEqual(wanted);
      });
});

describe("a shape from parameters", () => {
  const GiB = 2 ** 30;

  it("deals machines, devices and memory out", () => {
    const shape = shapeFrom({
      release: "7.3",
      vms: 5,
      memory: GiB,
      order: 9,
      files: 2,
      sessions: 2,
      devices: 3,
    });
    expect(shape.sessions).toEqual([
      {
        count: 1,
        files: [
          { count: 6, handler: "memfd", folios: [{ order: 9, blocks: 256 }], holes: 0, inScratch: [] },
          { count: 2, handler: "other", folios: [], holes: 0, inScratch: [] },
        ],
      },
      {
        count: 1,
        files: [
          { count: 4, handler: "memfd", folios: [{ order: 9, blocks: 256 }], holes: 0, inScratch: [] },
          { count: 1, handler: "other", folios: [], holes: 0, inScratch: [] },
        ],
      },
    ]);
    expect(spaceOf(shape).orders.at(-1)).toEqual({ order: 9, blocks: 2560 });
    expect(spaceOf(shape).runs).toBe(10);
  });

  it("lies in as many runs as it is asked to", () => {
    for (const [runs, order] of [
      [1, 0],
      [7, 0],
      [100, 4],
      [16_384, 0],
      [512, 9],
    ] as const) {
      const shape = shapeFrom({ release: "7.3", memory: order === 9 ? GiB : 2 ** 26, order, runs });
      expect(spaceOf(shape).runs).toBe(runs);
    }
    expect(spaceOf(shapeFrom({ release: "7.3", memory: 2 ** 26, fragmentation: 1 })).runs).toBe(16_384);
    expect(spaceOf(shapeFrom({ release: "7.3", memory: 2 ** 26, fragmentation: 0 })).runs).toBe(1);
  });

  it("scattered terabytes take no longer than contiguous ones", () => {
    const shape = shapeFrom({ release: "7.3", vms: 64, memory: 16 * GiB, fragmentation: 1 });
    const { map, runs, orders } = spaceOf(shape);
    expect(runs).toBe(2 ** 28);
    expect(orders[0]!.blocks).toBeGreaterThan(2 ** 28);
    // Every second page of 2 TiB: 2^29 / 2^15 leaves, and what they begin and end in.
    expect(map.rows.at(-1)!.count).toBeGreaterThanOrEqual(2 ** 14);
    expect(map.rows.at(-1)!.count).toBeLessThan(2 ** 14 + 70);
  });

  it("refuses what cannot be, and tells what a release has no room for", () => {
    const refused = (parameters: Partial<Parameters<typeof shapeFrom>[0]>): unknown => {
      try {
        return shapeFrom({ release: "7.3", memory: GiB, ...parameters });
      } catch (error) {
        return (error as { code?: string }).code;
      }
    };
    expect(refused({ runs: GiB })).toBe("usage");
    expect(refused({ runs: 0 })).toBe("usage");
    expect(refused({ runs: 1, fragmentation: 1 })).toBe("usage");
    expect(refused({ holes: 2 * GiB })).toBe("usage");
    expect(refused({ inScratch: 2 * GiB })).toBe("usage");
    expect(refused({ order: 60 })).toBe("usage");
    expect(refused({ sessions: 0 })).toBe("usage");
    expect(refused({ release: "6.18" })).toBe("usage");
    expect(refused({ release: "5.10" })).toBe("unknown-release");
    const many = (release: string) => spaceOf(shapeFrom({ release, vms: 820, memory: 4096 })).impossible;
    expect(many("7.1")).toEqual(["Linux 7.1 has room for 819 sessions"]);
    expect(many("7.2")).toEqual([]);
    expect(spaceOf(shapeFrom({ release: "6.19", vms: 129, sessions: 1, memory: 4096 })).impossible).toEqual([
      "Linux 6.19 has room for 128 files in a session",
    ]);
  });
});
