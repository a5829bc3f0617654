/** What programs hand over through live update. */

import type { Kernel } from "../../../formats/kernels.js";
import { blockCapacity } from "../../../formats/kho/blocks.js";
import { luoFileSer, luoSessionSer } from "../../../formats/luo/layout.js";
import { MEMFD_LUO_ALL_SEALS, memfdLuoFolioSer, seals as sealBits } from "../../../formats/memfd/layout.js";
import { memfdLayouts } from "../../../formats/memfd/memfd.js";
import { type Abi, sizeOf } from "../../layout/index.js";
import { newTestFlbs } from "../liveupdate-test.js";
import { type FilePlan, written } from "../plan.js";
import type { State } from "./state.js";

const noLiveUpdate = ({ luo }: Kernel): string | undefined => (luo ? undefined : "has no live update");

/** The handler's format has no place for seals: that files had some is not handed over. */
const noSeals = (kernel: Kernel): string | undefined => {
  const none = noLiveUpdate(kernel);
  if (none !== undefined || !kernel.memfd) return none;
  return "seals" in memfdLayouts[kernel.memfd].fields
    ? undefined
    : `carries no seals: its files are of ${kernel.memfd}`;
};

const one = (token: bigint, { pageSize }: Abi): FilePlan => ({ token, size: pageSize, ranges: [written(0)] });

export const memfd: State = {
  name: "memfd",
  summary: "a session with two memfds",
  liveupdate: true,
  lacks: noLiveUpdate,
  sessions: (_, { pageSize }) => [
    {
      name: "vm",
      files: [
        { token: 1n, size: 20 * pageSize, ranges: [written(0, 20)] },
        { token: 2n, size: 5 * pageSize + 123, ranges: [written(0, 6)] },
      ],
    },
  ],
};

export const flb: State = {
  name: "flb",
  summary: "objects that all files of a handler share, with a memfd that keeps them alive",
  liveupdate: true,
  lacks: (kernel) => noLiveUpdate(kernel) ?? (kernel.flb ? undefined : "has no FLBs"),
  prepare(machine) {
    for (const flb of newTestFlbs()) machine.registerFlb(flb);
  },
  sessions: (_, abi) => [{ name: "vm", files: [one(1n, abi)] }],
};

export const emptyFiles: State = {
  name: "empty-files",
  summary: "a session without files, and a memfd without bytes",
  liveupdate: true,
  lacks: noLiveUpdate,
  sessions: () => [
    { name: "nothing", files: [] },
    { name: "zero", files: [{ token: 0n, size: 0 }] },
  ],
};

export const manySessions: State = {
  name: "sessions",
  summary: "more sessions, and more files of one, than one page of records has room for",
  liveupdate: true,
  lacks: noLiveUpdate,
  sessions(_, abi) {
    const sessions = blockCapacity(luoSessionSer, { abi }) + 2;
    const files = blockCapacity(luoFileSer, { abi }) + 2;
    return Array.from({ length: sessions }, (_unused, i) => ({
      name: `vm-${i}`,
      files: Array.from({ length: i === 1 ? files : i % 2 }, (_file, token) => one(BigInt(token), abi)),
    }));
  },
};

export const holes: State = {
  name: "holes",
  summary: "a memfd with holes, which are given memory when it is preserved",
  liveupdate: true,
  lacks: noLiveUpdate,
  sessions: (_, { pageSize }) => [
    {
      name: "sparse",
      files: [
        { token: 1n, size: 300 * pageSize, ranges: [written(0), written(7, 2), written(299)] },
        { token: 2n, size: 9 * pageSize, ranges: [{ kind: "f", index: 3, count: 4 }] },
        { token: 3n, size: 64 * pageSize },
      ],
    },
  ],
};

export const positions: State = {
  name: "positions",
  summary: "memfds whose position is inside, behind the end, and the largest there is",
  liveupdate: true,
  lacks: noLiveUpdate,
  sessions: (_, { pageSize }) => [
    {
      name: "positions",
      files: [0, 1, pageSize, 17 * pageSize, Number.MAX_SAFE_INTEGER].map((pos, i) => ({
        token: BigInt(i),
        size: 2 * pageSize,
        pos,
        ranges: [written(0, 2)],
      })),
    },
  ],
};

/** Orders of 16 KiB, 64 KiB and 2 MiB with pages of 4 KiB. */
const orders = [0, 2, 4, 9] as const;

export const largeFolios: State = {
  name: "folios",
  summary: "memfds of folios of orders 0, 2, 4 and 9",
  liveupdate: true,
  lacks: noLiveUpdate,
  sessions: (_, { pageSize }) => [
    {
      name: "folios",
      files: orders.map((folioOrder) => ({
        token: BigInt(folioOrder),
        size: 2 ** folioOrder * 2 * pageSize + pageSize + 7,
        folioOrder,
        ranges: [written(0, 2 ** folioOrder * 2 + 2, 8)],
      })),
    },
  ],
};

/** Pages of a file whose list of folios needs a second chunk. */
const longList = (abi: Abi): number =>
  (abi.pageSize / 8 - 1) * Math.floor(abi.pageSize / sizeOf(memfdLuoFolioSer, abi)) + 1;
/** Larger files take longer than they are worth. */
const largest = 2 ** 30;

export const chunks: State = {
  name: "chunks",
  summary: "a memfd whose list of folios is so long that two chunks describe it",
  liveupdate: true,
  memory: (abi) => Math.ceil((2 * longList(abi) * abi.pageSize) / largest) * largest,
  lacks(kernel, abi) {
    const size = longList(abi) * abi.pageSize;
    const tooLarge = size > largest ? `needs a file of ${size} bytes for that` : undefined;
    return noLiveUpdate(kernel) ?? tooLarge;
  },
  sessions: (_, abi) => [
    {
      name: "long",
      files: [
        {
          token: 1n,
          size: longList(abi) * abi.pageSize,
          ranges: [written(0, 2), written(longList(abi) - 2, 2)],
        },
      ],
    },
  ],
};

/**
 * One file for each seal. F_SEAL_EXEC is set on a file that may be executed, which brings the seals against writing along:
 * of one that may not (MFD_NOEXEC_SEAL) no release gives back what it was, not even to itself.
 */
export const everySeal: State = {
  name: "seals",
  summary: "memfds with every seal, and with all of them",
  liveupdate: true,
  lacks: noSeals,
  sessions: (_, abi) => [
    {
      name: "seals",
      files: [0, ...Object.values(sealBits), MEMFD_LUO_ALL_SEALS].map((seals, i) => ({
        ...one(BigInt(i), abi),
        seals,
      })),
    },
  ],
};
