/**
 * What the phases of a handover were measured to cost, in instructions. Counted, not timed: x86-64 kernels with 4K pages
 * and one CPU in an emulator that counts every executed instruction, 2 GiB of memory. Kernels 7.3.4 and 6.19.10 in full,
 * 7.2.13 and 7.1.13 at a few points; where those have no point of their own the next kernel's number stands, and
 * `borrowed` says so. The points themselves are in `fixtures/cost`, and a test holds the model against each of them.
 */

/** `file + folio * n` for a file of n folios of one order. */
export interface OrderFit {
  readonly order: number;
  /** For each file, beyond what its being the first one costs. Below 0 where the fit of large files says so. */
  readonly file: number;
  /** For each folio. */
  readonly folio: number;
  /** Most folios of a file that was measured. */
  readonly measuredTo: number;
}

/** A phase that goes file by file. */
export interface FileFit {
  /** Once, for the first file since boot. */
  readonly first: number;
  /** For each session that has files. */
  readonly session: number;
  /** For a file of one folio of order 0: towards {@link fitFrom} folios the fit's own number takes its place. */
  readonly smallFile: number;
  /** Ascending. */
  readonly orders: readonly OrderFit[];
}

/** From so many folios of order 0 on the fits hold; below that the cost of a file was measured at one folio. */
export const fitFrom = 1024;

/** The constants of one kernel. */
export interface Constants {
  /** The release that they stand for. */
  readonly release: string;
  /** The kernel that was measured. */
  readonly kernel: string;
  readonly create: { readonly first: number; readonly each: number; readonly perPresent: number };
  readonly preserve: FileFit;
  /** Copying a folio out of scratch, for each 4 KiB. */
  readonly migrate: number;
  /** Filling a hole, for each page: finding and mapping it, and for each byte that is cleared. */
  readonly hole: { readonly page: number; readonly byte: number };
  readonly reboot: { readonly call: number; readonly session: number; readonly file: number };
  /** Writing the chunks of the memory map in the reboot call; absent where nothing is finalized. */
  readonly finalize?: { readonly call: number; readonly chunk: number };
  /** Walk over all items for free blocks of 1 GiB, and over nodes of the tree; absent where there is no such walk. */
  readonly initEarly?: { readonly item: number; readonly node: number };
  /** Reservation in memblock: `call + n (item + region runs / 2)`. */
  readonly memoryInit: { readonly call: number; readonly item: number; readonly region: number };
  /** Freeing of the rest: less for each preserved page, more for each run. */
  readonly freeAll: { readonly page: number; readonly run: number };
  /** First open: `call + session S + pair S^2 + file F`. Below ten sessions `idle` takes the place of `call`. */
  readonly open: {
    readonly idle: number;
    readonly call: number;
    readonly session: number;
    readonly pair: number;
    readonly file: number;
  };
  readonly retrieveSession: number;
  readonly retrieve: FileFit;
  readonly finish: { readonly first: number; readonly session: number; readonly file: number };
  readonly close: number;
  /** What is not of this kernel. */
  readonly borrowed: readonly string[];
}

const kernel73: Constants = {
  release: "7.3",
  kernel: "7.3.4",
  create: { first: 8000, each: 3400, perPresent: 30 },
  preserve: {
    first: 15_000,
    // 100 sessions of one file against one session of 100.
    session: 4640,
    smallFile: 21_530,
    // Intercepts of the fits, 39,358, 57,454 and 61,000, are of the first file of a boot and its session.
    orders: [
      { order: 0, file: 39_358 - 19_640, folio: 600.8, measuredTo: 131_072 },
      { order: 4, file: 57_454 - 19_640, folio: 623.8, measuredTo: 4096 },
      { order: 9, file: 61_000 - 19_640, folio: 1094.8, measuredTo: 256 },
    ],
  },
  migrate: 4187,
  // 6,734 beyond a populated page, of which 4,096 are the clear, a byte each.
  hole: { page: 2638, byte: 1 },
  reboot: { call: 450, session: 135, file: 129 },
  // What the fits call 19,000 for orders above 0 is five tables and leaves more than the tree has anyway.
  initEarly: { item: 215.0, node: 3500 },
  memoryInit: { call: 21_000, item: 1023, region: 45.8 },
  freeAll: { page: 24.6, run: 520 },
  open: { idle: 3200, call: 700, session: 1360, pair: 14.9, file: 510 },
  retrieveSession: 2455,
  retrieve: {
    first: 0,
    session: 4300,
    smallFile: 9500,
    orders: [
      // The intercept is that of the fit over 1,024 to 131,072 folios: the cost of a folio rises by 2 % on the way.
      { order: 0, file: -30_190 - 4300, folio: 1354.05, measuredTo: 131_072 },
      { order: 4, file: 30_105 - 4300, folio: 3508, measuredTo: 4096 },
      { order: 9, file: 12_796 - 4300, folio: 10_693, measuredTo: 256 },
    ],
  },
  finish: { first: 13_600, session: 3800, file: 1400 },
  close: 1320,
  borrowed: [],
};

const { initEarly: _, ...withoutInitEarly } = kernel73;

const kernel72: Constants = {
  ...withoutInitEarly,
  release: "7.2",
  kernel: "7.2.13",
  preserve: {
    ...kernel73.preserve,
    smallFile: 21_610,
    orders: [
      { order: 0, file: 44_400 - 19_640, folio: 594.3, measuredTo: 16_384 },
      kernel73.preserve.orders[1]!,
      { order: 9, file: 64_828 - 19_640, folio: 1094.8, measuredTo: 128 },
    ],
  },
  memoryInit: { call: 0, item: 1102, region: 45.8 },
  retrieve: {
    ...kernel73.retrieve,
    smallFile: 9540,
    orders: [
      { order: 0, file: -16_700 - 4300, folio: 1333.2, measuredTo: 16_384 },
      kernel73.retrieve.orders[1]!,
      { order: 9, file: 12_796 - 4300, folio: 11_710, measuredTo: 128 },
    ],
  },
  borrowed: ["64K folios", "holes", "calls for sessions (one point of its own agrees)"],
};

const kernel71: Constants = {
  ...kernel72,
  release: "7.1",
  kernel: "7.1.13",
  preserve: {
    ...kernel73.preserve,
    session: 8800,
    smallFile: 21_140,
    orders: [
      { order: 0, file: 70_300 - 23_800, folio: 591.8, measuredTo: 16_384 },
      kernel73.preserve.orders[1]!,
      { order: 9, file: 87_723 - 23_800, folio: 1094.8, measuredTo: 128 },
    ],
  },
  // 228 for a session of one file; how it is shared between the two was not measured.
  reboot: { call: 426, session: 114, file: 114 },
  memoryInit: { call: 0, item: 1155, region: 45.4 },
  open: { idle: 4600, call: 4600, session: 710, pair: 16.2, file: 480 },
  retrieve: {
    ...kernel73.retrieve,
    smallFile: 8850,
    orders: [
      { order: 0, file: -18_000 - 4300, folio: 1325.8, measuredTo: 16_384 },
      kernel73.retrieve.orders[1]!,
      { order: 9, file: 12_796 - 4300, folio: 11_523, measuredTo: 128 },
    ],
  },
  borrowed: ["64K folios", "holes", "calls for sessions (one point of its own agrees)"],
};

const kernel619: Constants = {
  release: "6.19",
  kernel: "6.19.10",
  create: { first: 2800, each: 2800, perPresent: 33 },
  preserve: {
    first: 0,
    session: 8800,
    smallFile: 19_980,
    orders: [
      { order: 0, file: 16_720 - 8800, folio: 685.3, measuredTo: 65_536 },
      // One point: all of it is said to be the folios.
      { order: 4, file: -8800, folio: 688, measuredTo: 4096 },
      { order: 9, file: 46_000 - 8800, folio: 1150, measuredTo: 128 },
    ],
  },
  migrate: 4199,
  hole: kernel73.hole,
  reboot: { call: 56, session: 115, file: 117 },
  // 15,055 with nothing (orders 0 and 4), 20,130 with file areas (order 1), 25,200 with 2M folios too: 5,075 each.
  finalize: { call: 4905, chunk: 5075 },
  memoryInit: { call: 14_100, item: 1024, region: 44.8 },
  freeAll: kernel73.freeAll,
  open: { idle: 4600, call: 4600, session: 710, pair: 16.2, file: 480 },
  retrieveSession: 2355,
  retrieve: {
    first: 0,
    session: 0,
    smallFile: 7200,
    orders: [
      { order: 0, file: -20_760, folio: 1328.4, measuredTo: 65_536 },
      { order: 4, file: 0, folio: 3346, measuredTo: 4096 },
      { order: 9, file: 6163, folio: 10_064, measuredTo: 128 },
    ],
  },
  finish: { first: 1310, session: 1310, file: 240 },
  close: 1175,
  borrowed: ["holes"],
};

/** Kernels that were measured, oldest first. */
export const measuredKernels: readonly Constants[] = [kernel619, kernel71, kernel72, kernel73];

/** Constants for a release, and what there is to say of them. */
export interface ChosenConstants {
  readonly constants: Constants;
  /** True if the release itself was not measured, and another one's numbers stand in. */
  readonly standIn: boolean;
  /** For people. */
  readonly note: string;
}

/**
 * The constants for a row of the release table. 7.0 has the memory map and the finalize of 6.19, and so have, as far as
 * they have the phases at all, the releases before it.
 */
export function constantsFor(release: string): ChosenConstants {
  const own = measuredKernels.find((constants) => constants.release === release);
  const constants = own ?? kernel619;
  return {
    constants,
    standIn: own === undefined,
    note: own
      ? `constants counted on Linux ${constants.kernel}`
      : `no kernel of ${release} was measured: the constants of Linux ${constants.kernel} stand in`,
  };
}
