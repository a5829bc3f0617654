/**
 * A process of its own that decodes synthetic hosts and prints what that took, as JSON: `measure.ts growth PLAN...` the
 * least time and the most live memory of each plan, for which it needs `--expose-gc`; `measure.ts resident PLAN CORE` the
 * most memory that the process ever had, folio lists being worked out and everything else read from a core.
 */
import { decodeHandover, type Image, openImage } from "../../src/index.js";
import { segmentedMemory } from "../../src/memory/index.js";
import { abi, type HostPlan, listSegment, makeHost } from "./host.js";

/** What decoding a host took. */
export interface Growth {
  /** Seconds of processor time, the least of all runs. */
  readonly seconds: number;
  /** Bytes that were in use at most, garbage not counted, more than before. */
  readonly live: number;
  /** Reads of memory, and the bytes of all of them. */
  readonly reads: number;
  readonly bytes: number;
}

export interface Resident {
  /** Bytes of the process at most. */
  readonly most: number;
  readonly runs: number;
  readonly folios: number;
  readonly findings: number;
}

const [what, ...args] = process.argv.slice(2);

function optionsOf({ release }: HostPlan) {
  return { release, pageSize: abi.pageSize, mode: "forensic" } as const;
}

/** Runs of one plan, of which the fastest counts: more of those that are short. */
const mostRuns = 5;
const enoughSeconds = 1;
/** Looks at the live memory of one run at most: each collects all garbage. */
const mostLooks = 20;

function growthOf(plan: HostPlan): Growth {
  const { memory, handoff } = makeHost(plan);
  let reads = 0;
  let bytes = 0;
  const counted = {
    ...memory,
    read: (...read: Parameters<typeof memory.read>) => {
      reads++;
      bytes += read[1];
      return memory.read(...read);
    },
  };
  const image: Image = { kind: "elf", memory: counted, arch: "x86_64", findings: [] };
  const options = { ...optionsOf(plan), handoff: handoff.recordPa };
  let seconds = Number.POSITIVE_INFINITY;
  let all = 0;
  for (let run = 0; run < mostRuns && (run < 2 || all < enoughSeconds); run++) {
    const before = process.cpuUsage();
    decodeHandover(image, options);
    const { user, system } = process.cpuUsage(before);
    seconds = Math.min(seconds, (user + system) / 1e6);
    all += (user + system) / 1e6;
  }
  reads = 0;
  bytes = 0;
  const before = liveBytes();
  let most = 0;
  let steps = 0;
  const look = (): void => {
    most = Math.max(most, liveBytes() - before);
  };
  const every = Math.max(
    1,
    Math.floor((plan.vms * plan.bytes) / abi.pageSize / 2 ** plan.order / 4096 / mostLooks),
  );
  const decoded = decodeHandover(image, {
    ...options,
    onProgress: () => {
      if (++steps % every === 0) look();
    },
  });
  look();
  if (decoded.findings.length > 0) throw new Error(decoded.findings[0]!.message);
  return { seconds, live: most, reads, bytes };
}

function liveBytes(): number {
  globalThis.gc!();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function residentOf(plan: HostPlan, core: string): Resident {
  const image = openImage(core);
  const { memory } = segmentedMemory([
    ...image.memory.ranges.map(({ pa, size }) => ({
      pa,
      size,
      at: 0,
      source: {
        size: Number(size),
        read: (at: number, length: number) =>
          image.memory.read((pa + BigInt(at)) as typeof pa, Math.min(length, Number(size) - at)),
      },
    })),
    listSegment(plan),
  ]);
  const { handover, findings } = decodeHandover({ ...image, memory }, optionsOf(plan));
  const files = handover.luo!.sessions.flatMap((session) => session.files.map(({ memfd }) => memfd!));
  return {
    most: process.resourceUsage().maxRSS * 1024,
    runs: files.reduce((sum, { folios }) => sum + folios.length, handover.preserved!.runs.length),
    folios: files.reduce((sum, { nrFolios }) => sum + Number(nrFolios), 0),
    findings: findings.length,
  };
}

const result: readonly Growth[] | Resident =
  what === "growth" ? args.map((plan) => growthOf(planOf(plan))) : residentOf(planOf(args[0]!), args[1]!);
console.log(JSON.stringify(result));

/** JSON has no infinity: a mean of null is one. */
function planOf(text: string): HostPlan {
  const plan = JSON.parse(text);
  return { ...plan, mean: plan.mean ?? Number.POSITIVE_INFINITY };
}
