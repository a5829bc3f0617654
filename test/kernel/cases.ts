/** The handovers that real kernels are to take: each made by a simulated machine of the same release. */
import { isAtLeast, type Kernel, kernelOf } from "../../formats/kernels.js";
import { MEMFD_LUO_ALL_SEALS, seals as sealBits } from "../../formats/memfd/layout.js";
import {
  attempt,
  type Departure,
  type Errno,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  fallocate,
  fillPattern,
  Machine,
  type MachineOptions,
  type MemfdFile,
} from "../../src/machine/index.js";
import { type Fixture, fixtures } from "../conformance/truth.js";
import { departureOf } from "../machine/arrival.js";
import { newTestFlbs } from "../machine/liveupdate-test.js";
import { expectation, type FilePlan, makeFile, preserve, type SessionPlan, written } from "./plan.js";
import { relocated } from "./relocate.js";
import { handOverTestFolios } from "./test-module.js";

/** A handover and what the kernel that takes it is to see. */
export interface Made {
  readonly departure: Departure;
  readonly expected: object;
  readonly cmdline?: string;
  /** Regular expressions that its log must match. */
  readonly console: readonly string[];
}

export interface Case {
  readonly name: string;
  /** Bytes of the machine. */
  readonly ramSize: number;
  /** Takes minutes and is the same in every release: the newest alone runs it, and all with KHO_ACCEPT=all. */
  readonly slow?: true;
  /** Whether a release has what this is about. */
  applies(kernel: Kernel): boolean;
  make(release: string): Made;
}

const MiB = 2 ** 20;
const pageSize = 4096;
const hasLiveUpdate = (kernel: Kernel): boolean => kernel.luo !== undefined;

/** Boots a machine whose memfds carry the FLBs of the kernel's own test. */
function boot(options: MachineOptions): Machine {
  const machine = Machine.boot(options);
  if (machine.kernel.flb) for (const flb of newTestFlbs()) machine.registerFlb(flb);
  return machine;
}

/** What a kernel with live update says after `kexecs` jumps; of the FLBs, because files were handed over. */
function luoLog({ release, kernel }: Machine, kexecs: number): string[] {
  const flbs = kernel.flb ? newTestFlbs().map(({ name }) => name) : [];
  return [
    `luo: Retrieved live update data, liveupdate number: ${kexecs}\\b`,
    ...(kernel.metadata === undefined
      ? []
      : [`KHO: exec from: ${release.replaceAll(".", "\\.")} \\(count ${kexecs}\\)`]),
    ...flbs.map((name) => `${name}: found flb data from the previous boot`),
    ...flbs.map((name) => `${name}: finish was triggered`),
  ];
}

/**
 * A machine that has run for a while. Free memory is in single pages here and there, and a program made sessions and
 * died: what was preserved for it is freed, and traces of it stay in the memory map.
 */
function useFor(machine: Machine): void {
  const holey = machine.memfd({ size: 32 * MiB });
  fallocate(holey, 0, 0n, 32n * BigInt(MiB));
  const punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  for (let at = 0; at < 32 * MiB; at += 3 * pageSize) fallocate(holey, punch, BigInt(at), BigInt(pageSize));
  const agent = machine.process();
  const device = agent.openLiveUpdate();
  for (let i = 0; i < 70; i++) {
    const session = device.createSession(`given-up-${i}`);
    for (let token = 0n; token < BigInt(i % 3); token++) {
      const plan = { token, size: MiB - i * pageSize, folioOrder: i % 10 };
      session.preserve(makeFile(machine, plan, agent), token);
    }
    // Some are given up one by one before.
    if (i % 4 === 0) session.close();
    // Each time the map is made anew; live update does it once more before the jump.
    if (i % 20 === 10 && !isAtLeast(machine.kernel, "7.1")) machine.kho.finalize();
  }
  agent.exit();
}

const sessionsAndFiles: Case = {
  name: "60 sessions of a busy machine, with files of every size, position and seal",
  ramSize: 256 * MiB,
  applies: hasLiveUpdate,
  make(release) {
    let failures = 1;
    const freeze = (session: string): Errno | undefined =>
      session === "many" && failures-- > 0 ? "EIO" : undefined;
    const machine = boot({ release, faults: { freeze } });
    const { kernel } = machine;
    useFor(machine);
    const one = (token: bigint): FilePlan => ({ token, size: pageSize, ranges: [written(0)] });
    // A session holds what one area of 2 pages has room for; lists of blocks hold more.
    const most = isAtLeast(kernel, "7.2") ? 150 : 128;
    const kinds: FilePlan[] = [
      { token: 0x10n, size: 0 },
      { token: 0x11n, size: 1, ranges: [written(0)] },
      { token: 0x12n, size: 1001 * pageSize, ranges: [written(0), written(5), written(1000)] },
      { token: 0x13n, size: 8 * pageSize, ranges: [{ kind: "f", index: 0, count: 8 }] },
      { token: 0x14n, size: 2 * pageSize, ranges: [{ kind: "f", index: 0, count: 16 }, written(0)] },
      { token: 0x15n, size: 20603, pos: 12345, ranges: [written(0, 6)] },
      { token: 0x16n, size: 3 * pageSize, pos: Number.MAX_SAFE_INTEGER, ranges: [written(1)] },
      { token: 0x17n, size: 257 * pageSize, ranges: [written(0, 257, 8)] },
      { token: 0x18n, size: 256 * pageSize, pos: 1, ranges: [written(0, 256, 1)] },
      { token: 0x19n, size: 5 * pageSize + 1 },
      { token: 0n, size: pageSize, ranges: [written(0)] },
      { token: 2n ** 64n - 1n, size: 2 * pageSize, ranges: [written(0, 2)] },
    ];
    const { F_SEAL_EXEC } = sealBits;
    const sealed: FilePlan[] = Array.from({ length: MEMFD_LUO_ALL_SEALS + 1 }, (_, seals) => ({
      ...one(BigInt(0x100 + seals)),
      seals,
      ...((seals & F_SEAL_EXEC) !== 0 && { executable: false as const }),
    }));
    const special: SessionPlan[] = [
      { name: "nothing", files: [] },
      { name: "kinds", files: kinds },
      {
        name: "seals",
        files: [
          ...sealed,
          { ...one(0x200n), seals: F_SEAL_EXEC },
          { token: 0x201n, size: 0, seals: MEMFD_LUO_ALL_SEALS },
        ],
      },
      // Two blocks of a list, both full.
      { name: "full", files: Array.from({ length: 126 }, (_, i) => one(BigInt(i))) },
      { name: "many", files: Array.from({ length: most }, (_, i) => one(BigInt(0x1000 + i))) },
      { name: "ünïcöde-☃", files: [one(1n)] },
      // 63 bytes in 21 characters.
      { name: "語".repeat(21), files: [one(1n)] },
    ];
    const others = Array.from({ length: 60 - special.length }, (_, i): SessionPlan => {
      const name = `${i}`.padStart(63 - (i % 60), "-");
      return { name, files: i % 3 === 0 ? [] : [one(BigInt(i))] };
    });
    const sessions = [...special, ...others];
    preserve(machine, sessions);
    const first = attempt(() => machine.leave());
    if (!("errno" in first) || first.errno !== "EIO") throw new Error("the kexec did not fail");
    return {
      console: luoLog(machine, 1),
      expected: expectation(release, sessions),
      departure: machine.leave(),
    };
  },
};

/** Entries of a page of a folio list, and pages that one chunk of a vmalloc area lists. */
const entries = pageSize / 16;
const pagesOfChunk = pageSize / 8 - 1;

const longLists: Case = {
  name: "folio lists of exactly one chunk, and of more",
  slow: true,
  ramSize: 1280 * MiB,
  applies: hasLiveUpdate,
  make(release) {
    const ramSize = this.ramSize;
    const machine = boot({ release, memory: ramSize });
    const file = (token: bigint, pages: number): FilePlan => ({
      token,
      size: pages * pageSize,
      ranges: [written(0), written(entries - 1, 2, 8), written(pages >> 1, 3), written(pages - 1)],
    });
    const full = pagesOfChunk * entries;
    const sessions: SessionPlan[] = [
      // An empty chunk follows one that is full.
      { name: "full", files: [file(1n, full)] },
      { name: "more", files: [file(2n, full + 1)] },
    ];
    preserve(machine, sessions);
    return {
      console: luoLog(machine, 1),
      expected: expectation(release, sessions),
      departure: machine.leave(),
    };
  },
};

const largeFolios: Case = {
  name: "large folios, reserve_mem, the KHO test module's folios",
  ramSize: 256 * MiB,
  applies: ({ vmalloc }) => vmalloc,
  make(release) {
    const regions = [
      { name: "foo", size: MiB, cmdline: "1M:4096:foo" },
      { name: "bar", size: 2 * MiB, align: 2 * MiB, cmdline: "2M:2M:bar" },
      { name: "odd", size: 7 * pageSize, cmdline: "28K:4096:odd" },
    ];
    const kernel = kernelOf(release);
    const options: MachineOptions = { release, reserveMem: regions };
    const machine = kernel.luo ? boot(options) : Machine.boot(options);
    for (const { start, size } of machine.regions)
      machine.memory.write(start, new Uint8Array(Number(size)).fill(0x5a));
    handOverTestFolios(machine, [0, 3, 9, 1, 0, 10]);
    const sessions: SessionPlan[] = kernel.luo
      ? [
          {
            name: "folios",
            files: [
              { token: 9n, size: 4 * MiB, folioOrder: 9, ranges: [written(0, 1024, 8)] },
              // Beyond the last whole folio of its order a file has smaller ones.
              { token: 10n, size: 2 * MiB + 12345, folioOrder: 9, ranges: [written(0, 516, 8)] },
              { token: 11n, size: 8 * MiB, folioOrder: 9, ranges: [written(600, 1)] },
              { token: 4n, size: 64 * pageSize, folioOrder: 4, ranges: [written(0, 64)] },
              { token: 5n, size: 21 * pageSize, folioOrder: 4, ranges: [written(0, 21)] },
              { token: 2n, size: 16 * pageSize, folioOrder: 2, ranges: [written(0, 16)] },
              { token: 0n, size: 16 * pageSize, ranges: [written(0, 16)] },
            ],
          },
        ]
      : [];
    if (kernel.luo) preserve(machine, sessions);
    if (!isAtLeast(kernel, "6.19")) machine.kho.finalize();
    return {
      console: [
        "KHO restore succeeded",
        ...regions.map(({ name }) => `Revived memory reservation '${name}' from KHO`),
        ...(kernel.luo ? luoLog(machine, 1) : []),
      ],
      cmdline: regions.map(({ cmdline }) => `reserve_mem=${cmdline}`).join(" "),
      expected: expectation(release, sessions),
      departure: machine.leave(),
    };
  },
};

const secondHop: Case = {
  name: "received files that were changed and handed on, and as many sessions as there can be",
  ramSize: 256 * MiB,
  applies: hasLiveUpdate,
  make(release) {
    const { F_SEAL_GROW, F_SEAL_SHRINK } = sealBits;
    const plans: FilePlan[] = [
      { token: 1n, size: 100 * pageSize, pos: 77, ranges: [written(0, 10), written(50, 1)] },
      { token: 2n, size: 3 * MiB, folioOrder: 9, ranges: [written(0, 600, 4)] },
      { token: 3n, size: 9999, seals: F_SEAL_GROW | F_SEAL_SHRINK, ranges: [written(1)] },
      { token: 4n, size: 0 },
    ];
    // Two nodes have a scratch area each; the real kernel finds more areas than it has nodes.
    const first = boot({ release, nodes: 2 });
    preserve(first, [
      { name: "a", files: plans },
      { name: "left-behind", files: [{ token: 1n, size: 5 * MiB, ranges: [written(0, 1000, 8)] }] },
    ]);
    const machine = Machine.arrive(first.leave(), { release });
    const flbs = machine.kernel.flb ? newTestFlbs() : [];
    for (const flb of flbs) {
      machine.registerFlb(flb);
      machine.luo.incomingFlb(flb);
      machine.luo.putIncomingFlb(flb);
    }
    const session = machine.liveupdate.retrieveSession("a");
    const files = plans.map(({ token }) => machine.init.file(session.retrieve(token)) as MemfdFile);
    session.finish();
    const again = machine.liveupdate.createSession("again");
    for (const [i, file] of files.entries()) again.preserve(file, plans[i]!.token);
    // What is preserved can still be written.
    const [changed, ...others] = plans;
    const more = written(20, 3);
    fillPattern(files[0]!, changed!.token, [more]);
    const handedOn: SessionPlan = {
      name: "again",
      files: [{ ...changed!, ranges: [...changed!.ranges!, more] }, ...others],
    };
    const added: SessionPlan = {
      name: "a",
      files: [{ token: 1n, size: 200 * pageSize, ranges: [written(0, 200, 16)] }],
    };
    // The area of luo-v1 is then full, or 10 blocks are.
    const all = isAtLeast(machine.kernel, "7.2") ? 510 : 819;
    const fillers = Array.from(
      { length: all - 2 },
      (_, i): SessionPlan => ({ name: `filler-${i}`, files: [] }),
    );
    preserve(machine, [added, ...fillers]);
    return {
      console: luoLog(machine, 2),
      expected: expectation(release, [handedOn, added, ...fillers]),
      departure: machine.leave(),
    };
  },
};

/** What the real receiver saw. */
const observed = ({ sessions }: Fixture["truth"]): object => ({
  sessions: (sessions ?? []).map(({ name, files }) => ({
    name,
    files: files.map(({ token, ranges, observedAfter: { size, pos, seals } }) => ({
      token,
      size,
      pos,
      seals: Number(seals),
      ranges,
    })),
  })),
});

/** What real kernels of this release handed over, with every structure at another place. */
const captures = (release: string): Case[] =>
  fixtures
    .filter(
      ({ truth, meta }) =>
        `${truth.kernelRelease}.`.startsWith(`${release}.`) && JSON.parse(meta).arch === "x86_64",
    )
    .map((fixture) => {
      const { truth, name, meta } = fixture;
      const { ramSize } = JSON.parse(meta);
      return {
        name: `the capture ${name} with every structure at another place`,
        ramSize: Number(ramSize),
        applies: () => true,
        make: () => ({
          departure: relocated(departureOf(fixture)),
          cmdline: (truth.reserveMemParams ?? []).map((option) => `reserve_mem=${option}`).join(" "),
          console: [
            ...Object.keys(truth.reserveMem ?? {}).map(
              (region) => `Revived memory reservation '${region}' from KHO`,
            ),
            ...(truth.scenario === "resmem" ? ["KHO restore succeeded"] : []),
          ],
          expected: observed(truth),
        }),
      };
    });

/** The cases for a release. */
export const casesFor = (release: string): Case[] => [
  ...[sessionsAndFiles, longLists, largeFolios, secondHop].filter(({ applies }) =>
    applies(kernelOf(release)),
  ),
  ...captures(release),
];
