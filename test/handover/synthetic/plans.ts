/** Descriptions of handovers with something of everything. */

import type { Form } from "./releases.js";
import type { FilePlan, FolioPlan, Plan, SessionPlan } from "./writer.js";

const utf8 = new TextEncoder();

/** A sequence of pseudo-random numbers below `below`, the same each time. */
export function sequence(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Folios one behind the other from the start of the file, of the orders given. */
export function folios(orders: readonly number[], from = 0): FolioPlan[] {
  let index = from;
  return orders.map((order) => {
    const folio = { index, order };
    index += 2 ** order;
    return folio;
  });
}

export const systemdMapping = {
  version: 1,
  state: { kexecsCount: 3 },
  units: {
    "vm@1.service": {
      fdstore: [
        { type: "fd", name: "guest-memory", token: 1 },
        { type: "luo_session", name: "state", sessionName: "vm-1" },
      ],
    },
    "empty.service": { fdstore: [] },
  },
};
export const earlySystemdMapping = {
  "/system.slice/vm@1.service": [
    { type: "fd", name: "guest-memory", fd_index: 2 },
    { type: "luo_session", name: "state", session_name: "vm-1" },
  ],
};

/** A session as systemd makes it: the mapping under token 0, then the stored files. */
export function systemdSession(mapping: unknown): SessionPlan {
  const content = utf8.encode(JSON.stringify(mapping));
  return {
    name: "systemd",
    files: [
      {
        token: 0n,
        memfd: { size: BigInt(content.length), seals: 0x0f, folios: [{ index: 0, order: 0, content }] },
      },
      { token: 1n, memfd: { size: 0n, folios: [] } },
      { token: 2n, memfd: { size: 1n, pos: 1n, folios: folios([0]) } },
    ],
  };
}

/** Largest order whose block a reader of any release works out right. */
export const safeOrder = (pageSize: number): number => 30 - Math.log2(pageSize);
/** Largest order of a folio that a reader up to 7.0 restores: that of its page allocator. */
const largestFolio = (form: Form, pageSize: number): number =>
  ["6.19", "7.0"].includes(form.release)
    ? { 4096: 10, 16384: 11, 65536: 13 }[pageSize]!
    : safeOrder(pageSize);

/** Scratch areas as kernels lay them out: low memory, global, one per node; below everything else. */
export const scratch = [
  { pa: 0x8000000n, size: 0x2000000n },
  { pa: 0x60000000n, size: 0x10000000n },
  { pa: 0x40000000n, size: 0x10000000n },
];

/** Everything that the release has, at any page size. */
export function everything(form: Form, pageSize: number): Plan {
  const page = BigInt(pageSize);
  const far = 2 ** 40 / pageSize;
  const files: FilePlan[] = [
    { token: 0n, memfd: { size: 0n, folios: [], seals: 1 } },
    { token: 2n ** 64n - 1n, memfd: { size: 1n, pos: 0n, seals: 0x3f, folios: folios([0]) } },
    // Orders 0 to 9, largest first so that every one is at an index of its own size, with a last one beyond the size.
    {
      token: 7n,
      memfd: {
        size: 1023n * page - 100n,
        pos: 4096n,
        seals: 0x0e,
        folios: folios([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
      },
    },
    // Flags in all four combinations; entries to skip, and indices that no entry covers.
    {
      token: 8n,
      memfd: {
        size: 40n * page,
        pos: 2n ** 62n,
        folios: [
          { index: 0, order: 0, flags: 0 },
          { index: 1, order: 0, flags: 1 },
          { index: 2, order: 0, flags: 2 },
          { index: 3, order: 0, flags: 3 },
          { index: 4, order: 0, hole: true },
          { index: 16, order: 2 },
          { index: 20, order: 2 },
          { index: 32, order: 3, flags: 2 },
        ],
      },
    },
    {
      token: 9n,
      memfd: {
        size: 2n ** BigInt(largestFolio(form, pageSize)) * page,
        folios: folios([largestFolio(form, pageSize)]),
      },
    },
    // A list of two pages, and one of a few pages in one block.
    {
      token: 10n,
      memfd: { size: BigInt(pageSize / 16 + 1) * page, folios: folios(new Array(pageSize / 16 + 1).fill(0)) },
    },
    { token: 11n, memfd: { size: 3n * page, folios: folios([0, 0, 0]), listOrder: 2 } },
    { token: 0xabcd1234n, compatible: "somebody-elses-v1", data: 0xdeadbeefn },
    { token: 12n, compatible: utf8.encode("x".repeat(47)), data: 0n },
  ];
  const many = Array.from({ length: 130 }, (_, i) => ({
    token: BigInt(1000 + i),
    memfd: { size: 0n, folios: [] },
  }));
  const sessions: SessionPlan[] = [
    { name: "vm-agent", files },
    { name: "n".repeat(63), files: form.luo?.files === "blocks" ? many : many.slice(0, 128) },
    { name: "größe-机器-🖥", files: [] },
    {
      name: Uint8Array.of(0x66, 0xff, 0xc3, 0x28, 0xe2, 0x82),
      files: [{ token: 1n, memfd: { size: 5n, folios: folios([1]) } }],
    },
    systemdSession(systemdMapping),
    ...Array.from({ length: 55 }, (_, i) => ({ name: `filler-${i}`, files: [] })),
  ];
  return {
    form,
    pageSize,
    handoff: pageSize === 4096 ? "setup_data" : { cells: [2, 2] },
    scratch,
    liveupdateNumber: 5n,
    ...(form.luo && { sessions }),
    ...(form.luo?.flb && {
      flbs: [
        { name: "liveupdate-test-flb-v0", data: 0xfeedf00dcafebee0n, count: 1n },
        { name: "f".repeat(47), data: 0n, count: 2n ** 40n },
      ],
    }),
    reserveMem: [
      { name: "trace", start: 0x12000000n, size: 0x200000n },
      { name: "fifteen-letters", start: 0x13010000n, size: 0x30000n },
    ],
    ...(form.metadata && {
      metadata: { release: form.label.startsWith("7") ? `${form.label}.4` : "7.1.0-rc3", count: 5 },
    }),
    khoTest: [0, 3, 0, 5, 1],
    unknown: [
      {
        name: "vendor,data",
        // Before sizes were recorded every blob was a tree.
        blob: form.kho === "kho-v3" || form.kho === "kho-v4" ? Uint8Array.of(1, 2, 3, 4, 5) : emptyTree,
      },
    ],
    stray: [
      { pfn: far + 4, order: 2 },
      { pfn: 2 * far, order: safeOrder(pageSize) },
      { pfn: 2 * far + 2 ** safeOrder(pageSize), order: safeOrder(pageSize) },
    ],
    cleared: [
      { pfn: 4 * far, order: 0 },
      { pfn: 4 * far, order: 4 },
    ],
  };
}

/** A tree of one empty node. */
const emptyTree = Uint8Array.from(
  [0xd00dfeed, 72, 56, 72, 40, 17, 16, 0, 0, 16, 0, 0, 0, 0, 1, 0, 2, 9].flatMap((word) => [
    word >>> 24,
    (word >>> 16) & 255,
    (word >>> 8) & 255,
    word & 255,
  ]),
);
