import { describe, expect, it } from "vitest";
import {
  assumedSpeed,
  costOf,
  measureToolkit,
  type Parameters,
  parseShape,
  type Shape,
  secondsOf,
  shapeFrom,
  spaceOf,
  speedsOf,
  sweep,
} from "../../src/exports/cost.js";

const MiB = 2 ** 20;
const GiB = 2 ** 30;

const costs = (parameters: Partial<Parameters>) =>
  costOf(shapeFrom({ release: "7.3", memory: GiB, ...parameters }));

describe("advice", () => {
  const ids = (parameters: Partial<Parameters>) => costs(parameters).advice.map(({ id }) => id);

  it("is what the model says of the handover as it would be then", () => {
    for (const parameters of [
      { fragmentation: 1, memory: 64 * MiB },
      { vms: 200, memory: 16 * MiB },
      { holes: GiB / 2, inScratch: 64 * MiB },
    ]) {
      const { advice, model } = costs(parameters);
      expect(advice.length).toBeGreaterThan(0);
      for (const { shape, blackout, before } of advice) {
        const changed = costOf(shape).model;
        expect(blackout).toBe(model.blackout - changed.blackout);
        expect(before).toBe(model.before - changed.before);
      }
      const saved = advice.map(({ blackout }) => blackout);
      expect(saved).toEqual([...saved].sort((a, b) => b - a));
    }
  });

  it("is about what dominates", () => {
    expect(ids({ memory: 64 * MiB, fragmentation: 1 }).slice(0, 2)).toEqual(["larger-folios", "compaction"]);
    expect(ids({ memory: 64 * GiB, order: 9, runs: 20_000 })[0]).toBe("compaction");
    expect(ids({ memory: 2 * MiB, order: 9, vms: 400 })).toContain("sessions");
    expect(ids({ memory: GiB, order: 9, holes: GiB / 4 })).toContain("populate");
    expect(ids({ memory: GiB, order: 9, inScratch: 64 * MiB })).toContain("scratch");
  });

  it("is none where there is nothing to gain, or nothing to hand over", () => {
    expect(ids({ memory: GiB / 2, order: 9, runs: 1 })).toEqual([]);
    expect(ids({ memory: 0, vms: 0 })).toEqual([]);
    expect(ids({ release: "7.1", vms: 1000, memory: MiB })).toEqual([]);
  });

  it("leaves what it is not about", () => {
    const { shape, advice } = costs({
      memory: GiB + 12_288,
      files: 3,
      vms: 5,
      holes: 64 * MiB,
      fragmentation: 0.5,
    });
    const pages = (of: Shape): number => costOf(of).totals.pages;
    for (const { id, shape: changed } of advice) {
      expect(pages(changed)).toBe(pages(shape));
      expect(spaceOf(changed).impossible).toEqual([]);
      if (id !== "populate") expect(costOf(changed).totals.holes).toBe(costOf(shape).totals.holes);
    }
    const compact = advice.find(({ id }) => id === "compaction")!;
    // One run for each of the files, in which the rest that is no huge page has its own.
    expect(spaceOf(compact.shape).runs).toBe(15);
  });
});

describe("calls and scratch", () => {
  it("counts the calls of both kernels", () => {
    const { calls } = costs({ vms: 3, devices: 2, memory: MiB, files: 2 });
    expect(calls.map(({ kernel, count }) => [kernel, count])).toEqual([
      ["old", 3],
      ["old", 8],
      ["new", 1],
      ["new", 3],
      ["new", 8],
      ["new", 3],
      ["new", 3],
    ]);
    expect(costs({ release: "6.18", vms: 0, memory: 0 }).calls).toEqual([]);
  });

  it("scratch has room for memblock's list, which doubles", () => {
    const need = (runs: number) => costs({ memory: GiB, runs }).scratch.regions;
    expect(need(100)).toBe(0);
    expect(need(104)).toBe(256 * 24);
    expect(need(1000)).toBe((2048 + 1024) * 24);
  });
});

describe("time", () => {
  const { model } = costs({});

  it("is instructions at an assumed speed, or at that of a real run", () => {
    const retrieve = model.phases.find(({ id }) => id === "retrieve")!;
    const { other } = speedsOf(model);
    expect(other).toEqual(assumedSpeed);
    expect(secondsOf([retrieve], speedsOf(model))).toEqual({
      least: retrieve.instructions / 3e9,
      most: retrieve.instructions / 1e9,
    });
    const calibrated = speedsOf(model, assumedSpeed, { retrieve: 0.5, preserve: 0.125 });
    const own = secondsOf([retrieve], calibrated);
    expect(own.least).toBeCloseTo(0.5);
    expect(own.most).toBeCloseTo(0.5);
    expect(calibrated.calibrated).toBe(true);
    expect(calibrated.other.slow).toBe(Math.min(calibrated.preserve.slow, calibrated.retrieve.slow));
    expect(calibrated.other.fast).toBe(Math.max(calibrated.preserve.slow, calibrated.retrieve.slow));
    expect(() => speedsOf(costs({ memory: 0, vms: 0 }).model, assumedSpeed, { retrieve: 1 })).toThrow(
      expect.objectContaining({ code: "usage" }),
    );
  });

  it("says of every phase that it is modelled, and only of kernels", () => {
    expect(model.modelled).toBe(true);
    expect(model.before + model.blackout + model.after).toBe(
      model.phases.reduce((sum, { instructions }) => sum + instructions, 0),
    );
  });

  it("of this toolkit is measured by the clock that is given", () => {
    let ticks = 0;
    const now = (): number => (ticks += 1000);
    for (const [parameters, sizes] of [
      [
        { memory: MiB, vms: 3, fragmentation: 1 },
        { sessions: 3, files: 3, folios: 768, runs: 768, factor: 1 },
      ],
      [
        { memory: 64 * GiB, order: 9, vms: 2 },
        { sessions: 2, files: 2, folios: 2048, runs: 2, factor: 32 },
      ],
      [
        { release: "6.19", memory: MiB / 16, vms: 200 },
        { sessions: 64, files: 128, folios: 2048, runs: 128, factor: 1.5625 },
      ],
    ] as const) {
      const times = measureToolkit(costs(parameters).shape, now)!;
      expect(times).toMatchObject({ measured: true, ...sizes });
      expect(times.phases.map(({ name, seconds }) => [name, seconds])).toEqual(
        ["preserve", "leave", "decode", "encode", "arrive", "retrieve"].map((name) => [name, 1]),
      );
    }
    expect(measureToolkit(costs({ memory: 0, vms: 0 }).shape, now)).toBeUndefined();
  });
});

describe("the sweep", () => {
  it("is the model at each size", () => {
    const shape = shapeFrom({ release: "7.3", memory: GiB, vms: 4 });
    const lines = sweep(shape);
    expect(lines.map(({ order, layout }) => `${order} ${layout}`)).toEqual(
      [0, 4, 9].flatMap((order) => [`${order} contiguous`, `${order} scattered`]),
    );
    const at = lines[0]!.points.find(({ memory }) => memory === 4 * GiB)!;
    const { phases } = costOf(shape).model;
    const sum = phases.filter(({ when, id }) => when === "blackout" && id !== "free-all");
    expect(at.instructions).toBe(sum.reduce((all, { instructions }) => all + instructions, 0));
    for (const { points } of lines)
      for (let i = 1; i < points.length; i++)
        expect(points[i]!.instructions).toBeGreaterThan(points[i - 1]!.instructions);
  });

  it("has folios of 2 MiB with every page size", () => {
    const orders = (pageSize: number) => [
      ...new Set(sweep(shapeFrom({ release: "7.3", memory: GiB, pageSize })).map(({ order }) => order)),
    ];
    expect(orders(16_384)).toEqual([0, 4, 7]);
    expect(orders(65_536)).toEqual([0, 4, 5]);
  });
});

describe("shapes as JSON", () => {
  it("come back as they were", () => {
    for (const parameters of [
      { vms: 3, devices: 2, files: 2, order: 9, runs: 77, flbs: 3 },
      {
        holes: 4096,
        inScratch: 8192,
        regions: [{ name: "trace", pages: 300 }],
        scratch: { areas: 4, bytes: GiB },
      },
      { release: "7.1", pageSize: 65_536 },
    ]) {
      const { shape } = costs(parameters);
      expect(parseShape(JSON.stringify(shape))).toEqual(shape);
    }
  });

  it("may leave out what follows", () => {
    const json = {
      release: "7.3",
      sessions: [{ count: 2, files: [{ folios: [{ order: 0, blocks: 1000 }] }] }],
    };
    const shape = parseShape(JSON.stringify(json));
    expect(shape).toEqual(shapeFrom({ release: "7.3", vms: 2, memory: 1000 * 4096 }));
    expect(spaceOf(parseShape(JSON.stringify({ ...json, runs: 50 }))).runs).toBe(50);
  });

  it.each([
    ["{", undefined],
    ["[]", "shape"],
    [{}, "release"],
    [{ release: "7.3" }, "sessions"],
    [{ release: "7.3", sessions: [], extra: 1 }, "shape.extra"],
    [{ release: "7.3", sessions: [{ count: 0 }] }, "sessions[0].count"],
    [{ release: "7.3", sessions: [{ count: 1.5 }] }, "sessions[0].count"],
    [{ release: "7.3", sessions: [], pageSize: 8192 }, "pageSize"],
    [{ release: "7.3", sessions: [], arch: "riscv" }, "arch"],
    [{ release: "7.3", sessions: [{ files: [{ handler: "vfio" }] }] }, "sessions[0].files[0].handler"],
    [{ release: "7.3", sessions: [{ files: [{ holes: 1 }] }] }, "sessions[0].files[0].holes"],
    [
      { release: "7.3", sessions: [{ files: [{ inScratch: [{ order: 9, blocks: 1 }] }] }] },
      "sessions[0].files[0].inScratch",
    ],
    [{ release: "7.3", sessions: [], data: [{ order: 9, pfn: 1, blocks: 1 }] }, "data[0]"],
    [
      { release: "7.3", sessions: [], data: [{ order: 0, pfn: 1, blocks: 2, runs: 2, step: 1 }] },
      "data[0].step",
    ],
    [
      { release: "7.3", sessions: [], data: [{ order: 0, pfn: 0, blocks: 1, runs: 2 ** 52, step: 4 }] },
      "data[0]",
    ],
    [{ release: "7.3", sessions: [{ files: [{ folios: [{ order: 0, blocks: 1 }] }] }], data: [] }, "data"],
    [{ release: "7.3", sessions: [], data: [], runs: 1 }, "runs"],
    [{ release: "7.3", sessions: [], regions: [{ name: 1, pages: 1 }] }, "regions[0].name"],
    [{ release: "7.3", sessions: [], testModule: null }, "testModule"],
    [{ release: "7.3", sessions: [], liveUpdate: 1 }, "liveUpdate"],
  ])("%j is refused at %s", (json, path) => {
    expect(() => parseShape(typeof json === "string" ? json : JSON.stringify(json))).toThrow(
      expect.objectContaining({ code: "usage", ...(path !== undefined && { path }) }),
    );
  });
});
