/** The model against every instruction count that it was made from: within the residuals that the fits have. */
import { describe, expect, it } from "vitest";
import { fitAt } from "../../src/cost/fit.js";
import {
  constantsFor,
  measuredKernels,
  modelOf,
  type PhaseId,
  type Shape,
  shapeFrom,
} from "../../src/exports/cost.js";
import { type FilePoint, type Kernel, kernels, ruleFor, type SessionPoint, tolerance } from "./points.js";

const page = 4096;

/**
 * Where the files of the measurements lay is not known, but for the number of runs. A leaf of the memory map ends 600
 * pages behind the first structure here, because of the counts of `init_early` those of 64 and 256 folios have no leaf
 * more than a handover of nothing, and that of 1,024 has.
 */
const base = (32_768 - 600) * page;

/** Folios that lay in scratch, and were moved: by their page frame numbers 8 of 8, else 12. */
const moved = 12;

const fileShape = (release: string, { order, layout, n, runs }: FilePoint): Shape =>
  shapeFrom({
    release,
    memory: n * 2 ** order * page,
    order,
    runs: runs ?? 1,
    base,
    ...(layout === "unpopulated" && { holes: n * page }),
    ...(order === 9 && { inScratch: Math.min(n, moved) * 2 ** order * page }),
  });

const sessionShape = (release: string, { sessions, files }: SessionPoint, runs: number): Shape =>
  shapeFrom({ release, vms: sessions * files, sessions, memory: page, runs, base });

function phasesOf(shape: Shape): (...ids: PhaseId[]) => number {
  const { phases } = modelOf(shape);
  return (...ids) =>
    phases.reduce((sum, { id, instructions }) => sum + (ids.includes(id) ? instructions : 0), 0);
}

/** Each phase as it was counted, by the name that it has in the points. */
function fileCounts(
  { release, idle: [idle] }: Kernel,
  row: FilePoint,
): Record<string, readonly [number, number]> {
  const phase = phasesOf(fileShape(release, row));
  const early = phase("init-early", "memory-init", "free-all");
  const sameMachine = row.setup !== "init_on_free=1";
  return {
    preserve: [phase("preserve", "fill-holes", "migrate"), row.preserve],
    ...(row.initEarly > 0 && { initEarly: [idle!.initEarly + phase("init-early"), row.initEarly] as const }),
    ...(row.runs !== null && {
      memoryInit: [phase("memory-init"), row.memoryInit - idle!.memoryInit] as const,
    }),
    // With init_on_free the base is another one, which was not counted.
    ...(sameMachine && { freeAll: [idle!.freeAll + phase("free-all"), row.freeAll] as const }),
    ...(sameMachine &&
      row.runs !== null && { kernelInit: [idle!.kernelInit + early, row.kernelInit] as const }),
    retrieve: [phase("retrieve"), row.retrieve],
  };
}

function sessionCounts({ release }: Kernel, row: SessionPoint): Record<string, readonly [number, number]> {
  const phase = phasesOf(sessionShape(release, row, 1));
  return {
    create: [phase("create"), row.create],
    preserve: [phase("preserve"), row.preserve],
    reboot: [phase("reboot", "finalize"), row.reboot],
    open: [phase("open"), row.open],
    retrieveSession: [phase("retrieve-session"), row.retrieveSession],
    retrieve: [phase("retrieve"), row.retrieve],
    finish: [phase("finish"), row.finish],
    close: [phase("close"), row.close],
  };
}

describe.each(kernels)("Linux $kernel", (kernel) => {
  const { release } = kernel;

  it.each(kernel.files)("$n folios of order $order, $runs runs, $layout, $setup", (row) => {
    for (const [phase, [modelled, counted]] of Object.entries(fileCounts(kernel, row))) {
      const rule = ruleFor(tolerance.files, phase, release, row);
      expect(Math.abs(modelled / counted - 1), `${phase}: ${modelled} for ${counted}`).toBeLessThanOrEqual(
        rule.within,
      );
    }
  });

  it.each(kernel.sessions)("$sessions sessions with $files files of a page", (row) => {
    for (const [phase, [modelled, counted]] of Object.entries(sessionCounts(kernel, row))) {
      const rule = ruleFor(tolerance.sessions, phase, release, row);
      expect(Math.abs(modelled / counted - 1), `${phase}: ${modelled} for ${counted}`).toBeLessThanOrEqual(
        rule.within,
      );
    }
    // In how many runs these lay was not taken. The constant is of files of 1,024 folios, too much for a few pages.
    const { memoryInit } = constantsFor(release).constants;
    const counted = row.memoryInit - kernel.idle[0]!.memoryInit;
    const [least, most] = [1, row.sessions * row.files].map((runs) =>
      phasesOf(sessionShape(release, row, runs))("memory-init"),
    );
    expect(counted).toBeGreaterThanOrEqual(least! - memoryInit.call);
    if (row.sessions * row.files >= 50) expect(counted).toBeLessThanOrEqual(most!);
  });

  it("finalizes in as many instructions as counted, or not at all", () => {
    for (const row of kernel.sessions)
      expect(phasesOf(sessionShape(release, row, 1))("finalize")).toBe(row.finalize);
  });

  it("memory_init of unpopulated files is that of some number of runs", () => {
    for (const row of kernel.files.filter(({ runs }) => runs === null)) {
      const counted = row.memoryInit - kernel.idle[0]!.memoryInit;
      const at = (runs: number): number => phasesOf(fileShape(release, { ...row, runs }))("memory-init");
      expect(counted).toBeGreaterThanOrEqual(at(1));
      expect(counted).toBeLessThanOrEqual(at(64));
    }
  });
});

it("every tolerance is one of some row", () => {
  const hit = new Set<object>();
  for (const kernel of kernels) {
    for (const row of kernel.files)
      for (const phase of Object.keys(fileCounts(kernel, row)))
        hit.add(ruleFor(tolerance.files, phase, kernel.release, row));
    for (const row of kernel.sessions)
      for (const phase of Object.keys(sessionCounts(kernel, row)))
        hit.add(ruleFor(tolerance.sessions, phase, kernel.release, row));
  }
  expect([...tolerance.files, ...tolerance.sessions].filter((rule) => !hit.has(rule))).toEqual([]);
});

describe("what follows from the counts", () => {
  const GiB = 2 ** 30;

  it("scattered pages cost the square of their number", () => {
    const cost = (n: number): number =>
      phasesOf(shapeFrom({ release: "7.3", memory: n * page, runs: n }))("memory-init");
    // The report: T = 22.6 n^2, 1.6 * 10^12 for 1 GiB.
    expect(cost(16_384) / 22.6 / 16_384 ** 2).toBeCloseTo(1.01, 1);
    expect(cost(262_144) / 1.6e12).toBeCloseTo(1, 1);
  });

  it("2M folios make nothing of the blackout", () => {
    const half = modelOf(shapeFrom({ release: "7.3", memory: GiB / 2, order: 9, runs: 5 }));
    expect(Math.abs(half.blackout)).toBeLessThan(500_000);
    // 64 GiB in 1,000 runs: 382 M early and 350 M of retrieve, as the report extrapolates.
    const phase = phasesOf(shapeFrom({ release: "7.3", memory: 64 * GiB, order: 9, runs: 1000 }));
    expect(phase("init-early", "memory-init", "free-all") / 382e6).toBeCloseTo(1, 1);
    expect(phase("retrieve") / 350e6).toBeCloseTo(1, 1);
  });

  it("gives the figures that the report gives for whole handovers", () => {
    const figures = (parameters: { memory: number; order?: number; runs: number }) => {
      const phase = phasesOf(shapeFrom({ release: "7.3", ...parameters }));
      return [phase("preserve"), phase("init-early", "memory-init", "free-all"), phase("retrieve")];
    };
    const near = (found: readonly number[], wanted: readonly number[]): void => {
      for (const [i, value] of wanted.entries()) expect(Math.abs(found[i]! / value - 1)).toBeLessThan(0.025);
    };
    near(figures({ memory: GiB / 2, runs: 41 }), [79e6, 286e6, 178e6]);
    near(figures({ memory: GiB / 16, runs: 16_384 }), [9.9e6, 6074e6, 22e6]);
    near(figures({ memory: 64 * GiB, order: 9, runs: 1000 }), [36e6, 382e6, 350e6]);
    near(figures({ memory: GiB, runs: 262_144 }), [158e6, 1.58e12, 355e6]);
  });

  it("the open is quadratic in sessions", () => {
    const open = (sessions: number): number =>
      phasesOf(shapeFrom({ release: "7.3", vms: sessions, memory: page }))("open");
    expect(open(1000) / 17e6).toBeCloseTo(1, 1);
  });

  it("nothing preserved costs nothing but the calls that are made anyway", () => {
    for (const { release } of kernels) {
      const model = modelOf(shapeFrom({ release, vms: 0, memory: 0 }));
      expect(
        model.phases.filter(({ id }) => /memory|early|free/.test(id)).every((p) => p.instructions === 0),
      ).toBe(true);
      expect(model.before).toBe(0);
    }
  });
});

describe("releases and orders that were not measured", () => {
  it("7.0 and those before 6.19 stand on 6.19.10, and say so", () => {
    for (const release of ["6.16", "6.17", "6.17.9", "6.18", "7.0"]) {
      const { constants, standIn, note } = constantsFor(release);
      expect([constants.kernel, standIn]).toEqual(["6.19.10", true]);
      expect(note).toContain("stand in");
      const vms = release === "7.0" ? 1 : 0;
      expect(modelOf(shapeFrom({ release, vms, memory: page })).cautions[0]).toBe(note);
    }
    for (const { release } of measuredKernels) expect(constantsFor(release).standIn).toBe(false);
  });

  it("orders between two that were measured lie between them, evenly by pages", () => {
    for (const { preserve, retrieve } of measuredKernels)
      for (const { orders } of [preserve, retrieve]) {
        for (let order = 1; order < 9; order++) {
          if (order === 4) continue;
          const fit = fitAt(orders, order);
          expect(fit.origin).toBe("interpolated");
          expect(fit.folio).toBeGreaterThan(fitAt(orders, order - 1).folio);
          expect(fit.folio).toBeLessThan(fitAt(orders, order + 1).folio);
        }
        expect(fitAt(orders, 18).origin).toBe("extrapolated");
        expect(fitAt(orders, 18).folio).toBeGreaterThan(fitAt(orders, 9).folio);
      }
  });

  it("says what is beyond the measurements", () => {
    const cautions = (shape: Shape): string => modelOf(shape).cautions.join("\n");
    expect(cautions(shapeFrom({ release: "7.3", memory: 2 ** 22 }))).toBe("");
    expect(cautions(shapeFrom({ release: "7.3", memory: 2 ** 22, order: 2 }))).toContain(
      "order 2 were not measured",
    );
    expect(cautions(shapeFrom({ release: "7.3", memory: 2 ** 36, pageSize: 65536 }))).toContain(
      "taken over for aarch64",
    );
    expect(cautions(shapeFrom({ release: "7.3", memory: 2 ** 36, vms: 300 }))).toMatch(
      /blocks .* 300 sessions/,
    );
    expect(cautions(shapeFrom({ release: "7.3", memory: 2 ** 30, order: 9 }))).toContain(
      "512 folios of order 9 in a file (measured up to 256)",
    );
  });
});
