/** Handovers that simulated machines of every release write, with all that belongs to them, in a few dozen pages. */
import { kernels } from "../../formats/kernels.js";
import { decodeHandover } from "../../src/handover/index.js";
import { dataRanges, structureRanges } from "../../src/handover/pack-ranges.js";
import { EM_AARCH64, EM_X86_64 } from "../../src/image/elf-layout.js";
import {
  addSeals,
  captureOf,
  type Departure,
  type FileHandler,
  type Flb,
  Machine,
  openFile,
  write,
} from "../../src/machine/index.js";
import { mergedRanges } from "../../src/memory/ranges.js";
import { framesOf, writeCore } from "../mutate/core.js";
import type { Seed } from "./seed.js";

/** A type of file that hands over a number and no memory. */
export const plainHandler: FileHandler<undefined> = {
  compatible: "plain-v1",
  canPreserve: ({ inode }) => inode.type === "plain",
  preserve: () => ({ data: 5n, state: undefined }),
  unpreserve: () => {},
  retrieve: () => openFile({ type: "plain", opens: 0, release: () => {} }),
  finish: () => {},
  getId: (file) => file,
};

/** An FLB that hands over a number. */
export const plainFlb = (name: string, data: bigint): Flb => ({
  name,
  preserve: () => ({ data, object: name }),
  unpreserve: () => {},
  retrieve: () => name,
  finish: () => {},
});

/** `kho_scratch=` in bytes: as little as kernels of any page size take. */
export const smallScratch = { lowmem: 2 ** 20, global: 2 ** 20, perNode: 2 ** 20 } as const;

/** What is in a handover. */
export type State = "bare" | "memory" | "sessions" | "files" | "lists";

/** Puts a state into a machine. */
function fill(machine: Machine, state: State): void {
  if (state === "bare") return;
  const { pageSize } = machine.hardware.abi;
  if (state === "memory") {
    for (const [i, order] of [0, 0, 1, 3, 5, 0].entries()) {
      const pfn = machine.core.pages.allocate(order, "seed");
      if (pfn !== undefined && i !== 1) machine.kho.preserveFolio(pfn, order);
    }
    return;
  }
  if (machine.kernel.flb)
    for (const [i, name] of ["iommu", "vfio"].entries()) machine.registerFlb(plainFlb(name, BigInt(i)));
  machine.registerFileHandler(plainHandler);
  const { liveupdate } = machine;
  if (state === "lists") {
    // One more than a page has room for.
    const most = machine.kernel.luo === "luo-v1" ? 6 : 52;
    for (let i = 0; i < most; i++) liveupdate.createSession(`s${i}`);
    const many = liveupdate.createSession("many");
    const files = machine.kernel.luo === "luo-v1" ? 5 : 64;
    for (let i = 0; i < files; i++)
      many.preserve(openFile({ type: "plain", opens: 0, release: () => {} }), BigInt(i));
    return;
  }
  const vm = liveupdate.createSession("vm0");
  const sizes = state === "sessions" ? [3 * pageSize + 5] : [1, 0, 8 * pageSize];
  for (const [i, size] of sizes.entries()) {
    const file = machine.memfd({ folioOrder: i === 2 ? 2 : 0, allowSealing: true });
    // A few bytes of every page tell it from the others.
    for (let at = 0; at < size; at += pageSize)
      write(file, Uint8Array.of(at / pageSize + 1, i + 1, size & 0xff).subarray(0, size - at), BigInt(at));
    if (size > 0) write(file, Uint8Array.of(0xee), BigInt(size - 1));
    if (machine.kernel.memfd === "memfd-v2" && i === 0) addSeals(file, 0x2);
    file.pos = BigInt(i);
    vm.preserve(file, BigInt(i) + 7n);
  }
  if (state === "sessions") liveupdate.createSession("empty");
  else {
    const other = liveupdate.createSession("ünï");
    other.preserve(openFile({ type: "plain", opens: 0, release: () => {} }), (1n << 64n) - 1n);
  }
}

/** What a machine leaves that has this release, pages of this size, and this state. */
export function departureWith(release: string, pageSize: number, state: State): Departure {
  const machine = Machine.boot({
    release,
    pageSize,
    liveupdate: !["bare", "memory"].includes(state),
    scratch: smallScratch,
    ...(state === "memory" && { reserveMem: [{ name: "trace", size: 2 * pageSize }] }),
  });
  fill(machine, state);
  if (machine.kernel.kho === "kho-v1") machine.kho.finalize();
  return machine.leave();
}

/** A departure as a core, without what does not belong to the handover. */
export function coreOf(departure: Departure, row = rowOf(departure.release)): Uint8Array {
  const { hardware, bootData, release } = departure;
  const { pageSize } = hardware.abi;
  const { memory } = captureOf(departure);
  const decoded = decodeHandover(captureOf(departure), { handoff: bootData!, release, pageSize });
  const tree = { pa: bootData!, size: BigInt(pageSize) };
  const ranges = mergedRanges([...structureRanges(decoded), ...dataRanges(decoded), tree]);
  return writeCore({
    machine: hardware.arch === "x86_64" ? EM_X86_64 : EM_AARCH64,
    handoff: bootData!,
    row,
    frames: framesOf({ memory: { ...memory, ranges: ranges.map(({ pa, size }) => ({ pa, size })) } })!,
  });
}

/** Number of a release's row, from 1. */
export const rowOf = (release: string): number =>
  kernels.findIndex((kernel) => kernel.release === release) + 1;

/** Every state of every release, and some with larger pages. */
export function* machineSeeds(
  states: readonly State[] = ["bare", "memory", "sessions", "files", "lists"],
): Generator<Seed> {
  for (const { release, luo } of kernels)
    for (const state of states) {
      if (!luo && !["bare", "memory"].includes(state)) continue;
      for (const pageSize of state === "sessions" || state === "memory" ? [4096, 16384, 65536] : [4096]) {
        if (pageSize > 4096 && !["6.18", "7.0", "7.1", "7.3"].includes(release)) continue;
        const name = `${release}-${state}${pageSize === 4096 ? "" : `-${pageSize / 1024}k`}`;
        yield { name, data: coreOf(departureWith(release, pageSize, state)) };
      }
    }
}
