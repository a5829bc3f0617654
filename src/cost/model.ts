/** A model of what a kernel spends on each phase of a handover. Modelled: nothing here was measured on the shape given. */
import { kernelOf } from "../../formats/kernels.js";
import type { Abi } from "../layout/index.js";
import { cautionsOf } from "./cautions.js";
import { type ChosenConstants, type Constants, constantsFor } from "./constants.js";
import { type Counts, countsOf } from "./counts.js";
import { filesCost } from "./fit.js";
import { type Shape, totalsOf } from "./shape.js";
import { type SpaceCost, spaceOf } from "./structures.js";

export type PhaseId =
  | "create"
  | "preserve"
  | "fill-holes"
  | "migrate"
  | "reboot"
  | "finalize"
  | "init-early"
  | "memory-init"
  | "free-all"
  | "open"
  | "retrieve-session"
  | "retrieve"
  | "finish"
  | "close";

/** Before the blackout, within it, or when the workload may run again. */
export type When = "before" | "blackout" | "after";

/** One phase. */
export interface Phase {
  readonly id: PhaseId;
  /** What runs: a kernel function or a call. */
  readonly name: string;
  readonly when: When;
  /** Modelled, beyond what the same kernel spends with nothing preserved. May be below 0: what need not be done. */
  readonly instructions: number;
}

/** The phases of a handover, modelled. */
export interface Model {
  /** Always true: no number of it was measured on this handover. */
  readonly modelled: true;
  readonly constants: ChosenConstants;
  readonly phases: readonly Phase[];
  /** Sums of instructions. */
  readonly before: number;
  readonly blackout: number;
  readonly after: number;
  /** Where the shape is beyond what was measured. For people. */
  readonly cautions: readonly string[];
}

/** What only the machine can tell. */
export interface MachineFacts {
  /** Regions that memblock has reserved before those of the handover; 25 on the machine of the measurements. */
  readonly reservedRegions?: number;
}

const measuredRegions = 25;

/** Works out the phases. @throws KhoError as {@link spaceOf} does */
export function modelOf(
  shape: Shape,
  { reservedRegions = measuredRegions }: MachineFacts = {},
  space?: SpaceCost,
): Model {
  const abi: Abi = { byteOrder: "little", pageSize: shape.pageSize };
  const kernel = kernelOf(shape.release);
  const chosen = constantsFor(kernel.release);
  const { constants } = chosen;
  const counts = countsOf(shape, space ?? spaceOf(shape), abi);
  const liveUpdate = kernel.luo !== undefined && shape.liveUpdate;
  const phases = [
    ...(liveUpdate ? oldKernel(shape, constants, counts) : []),
    ...earlyBoot(constants, counts, reservedRegions),
    ...(liveUpdate ? newKernel(shape, constants) : []),
  ].map((phase): Phase => ({ ...phase, instructions: Math.round(phase.instructions) }));
  const sum = (when: When): number =>
    phases.reduce((all, phase) => all + (phase.when === when ? phase.instructions : 0), 0);
  return {
    modelled: true,
    constants: chosen,
    phases,
    before: sum("before"),
    blackout: sum("blackout"),
    after: sum("after"),
    cautions: [
      ...cautionsOf(shape, chosen, counts),
      ...(reservedRegions === measuredRegions
        ? []
        : [
            `what ${reservedRegions} reserved regions cost is inferred: ${measuredRegions} were there when it was measured`,
          ]),
    ],
  };
}

function oldKernel(shape: Shape, constants: Constants, { chunks }: Counts): Phase[] {
  const { sessions, files, sessionsWithFiles, holes, inScratch } = totalsOf(shape);
  const { create, reboot, finalize, hole, migrate } = constants;
  const phases: Phase[] = [
    {
      id: "create",
      name: "create sessions",
      when: "before",
      instructions:
        sessions === 0
          ? 0
          : create.first + (sessions - 1) * create.each + (create.perPresent * sessions * (sessions - 1)) / 2,
    },
    {
      id: "preserve",
      name: "preserve files",
      when: "before",
      instructions: filesCost(shape, constants.preserve, sessionsWithFiles),
    },
  ];
  if (holes > 0)
    phases.push({
      id: "fill-holes",
      name: "populate holes",
      when: "before",
      instructions: holes * (hole.page + hole.byte * shape.pageSize),
    });
  if (inScratch > 0)
    phases.push({
      id: "migrate",
      name: "move out of scratch",
      when: "before",
      instructions: (inScratch * shape.pageSize * migrate) / 4096,
    });
  phases.push({
    id: "reboot",
    name: "liveupdate_reboot",
    when: "blackout",
    instructions: reboot.call + reboot.session * sessions + reboot.file * files,
  });
  if (finalize)
    phases.push({
      id: "finalize",
      name: "kho_finalize",
      when: "blackout",
      instructions: finalize.call + finalize.chunk * chunks,
    });
  return phases;
}

function earlyBoot(
  { initEarly, memoryInit, freeAll }: Constants,
  { items, fitted, pages, runs, nodes }: Counts,
  reservedRegions: number,
): Phase[] {
  const { call, item, region } = memoryInit;
  // Inferred: every region that is there anyway is looked at like one of the handover's own.
  const others = region * (reservedRegions - measuredRegions);
  const none = items === 0;
  return [
    ...(initEarly
      ? [
          {
            id: "init-early",
            name: "kho_memory_init_early",
            when: "blackout",
            instructions: initEarly.item * items + initEarly.node * nodes,
          } as const,
        ]
      : []),
    {
      id: "memory-init",
      name: "kho_memory_init",
      when: "blackout",
      instructions: none ? 0 : call + fitted * (item + others + (region * runs) / 2),
    },
    {
      id: "free-all",
      name: "memblock_free_all",
      when: "blackout",
      instructions: freeAll.run * runs - freeAll.page * pages,
    },
  ];
}

function newKernel(shape: Shape, constants: Constants): Phase[] {
  const { sessions, files, sessionsWithFiles } = totalsOf(shape);
  const { open, finish } = constants;
  // The fit is one of ten sessions and more; with none the call costs what it was measured to cost.
  const few = Math.max(0, Math.min(1, (10 - sessions) / 9));
  return [
    {
      id: "open",
      name: "open /dev/liveupdate",
      when: "blackout",
      instructions:
        open.call +
        few * (open.idle - open.call) +
        open.session * sessions +
        open.pair * sessions ** 2 +
        open.file * files,
    },
    {
      id: "retrieve-session",
      name: "retrieve sessions",
      when: "blackout",
      instructions: constants.retrieveSession * sessions,
    },
    {
      id: "retrieve",
      name: "retrieve files",
      when: "blackout",
      instructions: filesCost(shape, constants.retrieve, sessionsWithFiles),
    },
    {
      id: "finish",
      name: "finish sessions",
      when: "after",
      instructions:
        sessions === 0
          ? 0
          : finish.first +
            (sessions - 1) * finish.session +
            Math.max(0, files - sessionsWithFiles) * finish.file,
    },
    { id: "close", name: "close sessions", when: "after", instructions: constants.close * sessions },
  ];
}
