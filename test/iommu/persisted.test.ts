/** IOMMU state of every proposed series, over page tables that are really there. */
import { describe, expect, it } from "vitest";
import { newDomain } from "../../formats/iommu/domain.js";
import { iommuMap } from "../../formats/iommu/map.js";
import { mappingsOf } from "../../formats/iommu/mappings.js";
import { vtdss } from "../../formats/iommu/vtd/second-stage.js";
import { kernelOf } from "../../formats/kernels.js";
import { encodeIommuState } from "../../formats/proposed/iommu/encode.js";
import { type IommuSeries, iommuSeries } from "../../formats/proposed/iommu/series.js";
import { readPersisted } from "../../src/iommu/persisted.js";
import { physAddr } from "../../src/memory/index.js";
import { newStore } from "../formats/iommu/store.js";
import { faultless } from "../formats/proposed/iommu/sample.js";
import { contextOver, handoverOf } from "./support.js";

const places = {
  root: physAddr(0x1000),
  iommus: [physAddr(0x2000)],
  domains: [physAddr(0x3000)],
  devices: [physAddr(0x4000)],
};

/** The state of a series with two domains of real tables; the first maps 2 MiB and a page. */
function scene(series: IommuSeries) {
  const store = newStore(0x100000n);
  const make = () =>
    newDomain({ format: vtdss(), levels: 3, vaBits: 39, paBits: 52, pgsizeBitmap: 0x40201000n }, store)!;
  const [first, second] = [make(), make()];
  expect(iommuMap(first, 0x40000000n, 0x200000n, 0x201000n, 3)).toBeUndefined();
  const state = faultless(series.name);
  const domains = state.domains.map((domain, i) =>
    i === 1 ? domain : { ...domain, topTablePa: (i === 0 ? first : second).root, topLevel: 2n, vaBits: 39 },
  );
  const memory = store.memory as ReturnType<typeof import("../../src/memory/index.js").sparseMemory>;
  const target = {
    abi: { byteOrder: "little", pageSize: 4096 },
    kernel: kernelOf("7.3"),
    write: memory.write,
    leave: () => {},
  } as const;
  const intel = state.iommus[0]!.intel;
  const iommus = state.iommus.map((iommu, i) =>
    i === 0 && intel ? { ...iommu, intel: { ...intel, rootTable: physAddr(0x5000) } } : iommu,
  );
  memory.cover(physAddr(0x5000), 4096);
  encodeIommuState(target, series, places, { ...state, iommus, domains });
  const tables = [...store.tables.keys()].map((pa) => Number(pa >> 12n));
  return { memory, tables, flb: { name: series.compatible, data: 0x1000n, count: 1n } };
}

describe.each(iommuSeries)("series $name", (series) => {
  it("leads to the tables of its domains, which are preserved", () => {
    const { memory, tables, flb } = scene(series);
    const { ctx, findings } = contextOver(memory);
    const handover = handoverOf({
      preserved: [[1, 5], ...tables.map((frame) => [frame, 1] as const)],
      flbs: [flb],
    });
    const { domains, state } = readPersisted(ctx, handover, series)!;
    expect(findings).toEqual([]);
    // Which format the tables have follows from the type of the IOMMU, where the records of the series have one.
    const known = domains[0]!.table !== undefined;
    expect(known).toBe(true);
    expect([...mappingsOf(domains[0]!.runs)]).toEqual([
      {
        iova: 0x40000000n,
        pa: 0x200000n,
        size: 0x201000n,
        read: true,
        write: true,
        pageSizes: [4096n, 2097152n],
      },
    ]);
    expect(domains[2]!.runs).toHaveLength(0);
    expect(state.devices[0]).toMatchObject({ domain: 0, iommu: 0 });
  });

  it("a table that is not preserved stops the kernel that restores it", () => {
    const { memory, tables, flb } = scene(series);
    const { ctx, findings } = contextOver(memory);
    const handover = handoverOf({
      preserved: [[1, 5], ...tables.slice(0, -1).map((frame) => [frame, 1] as const)],
      flbs: [flb],
    });
    readPersisted(ctx, handover, series);
    expect(findings).toMatchObject([
      {
        severity: "error",
        code: "page-not-preserved",
        pa: BigInt(tables.at(-1)!) << 12n,
        message: expect.stringContaining("1 of the"),
      },
    ]);
  });

  it("is not found in a handover without its FLB", () => {
    const { ctx } = contextOver();
    expect(() => readPersisted(ctx, handoverOf({}), series)).toThrow(
      expect.objectContaining({ code: "not-found" }),
    );
  });
});
