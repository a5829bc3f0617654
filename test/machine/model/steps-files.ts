/** Commands on files and processes, live update or not. */
import fc from "fast-check";
import { expect } from "vitest";
import {
  addSeals as addSealsReal,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  type File,
  fallocate as fallocateReal,
  type MemfdFile,
  openFile,
  truncate as truncateReal,
  write,
} from "../../../src/machine/index.js";
import { checkContent } from "./check-status.js";
import { addSeals, fallocate, store, truncate, writable } from "./files.js";
import { closeFd, exit, install, lowestFree } from "./luo.js";
import { limits, type Model, type ModelFile, type ModelInode, newInode, openInode, traits } from "./state.js";
import { both, descriptors, fault, pick, type Step, step, type Where } from "./step.js";
import { type ToyInode, toyInode } from "./toys.js";
import { resultOf, type World } from "./world.js";

const process = fc.constantFrom(0, 0, 0, 0, 1, 1, 2);
const nat = fc.nat({ max: 1000 });
const always = (): boolean => true;

const sizes: readonly ((page: number) => number)[] = [
  () => 0,
  () => 1,
  (page) => page - 1,
  (page) => page,
  (page) => 3 * page + 5,
  (page) => 16 * page,
  (page) => 40 * page + 100,
];
const size = fc.integer({ min: 0, max: 30 });
const bytesOf = (n: number, page: number): number => pick(sizes, n)(page);

const memfds = (m: Model) => descriptors(m, "file").filter(({ open }) => isMemfd(open));
const toys = (m: Model) =>
  descriptors(m, "file").filter(({ open }) => ["toy", "lone", "odd"].includes(open.inode.type));
const isMemfd = ({ inode }: ModelFile): boolean => ["memfd", "hugetlb", "linked"].includes(inode.type);
const realOf = (world: World, { p, fd }: Where): File => world.processes[p]!.file(fd);

const newMemfd = step(
  "memfd",
  fc.record({
    p: process,
    size,
    folioOrder: fc.constantFrom(0, 0, 0, 1, 2, 4, 9),
    seals: fc.option(fc.constantFrom(0, 1, 2, 4, 8, 0x10, 6, 0x20, 0x3f), { nil: undefined }),
    executable: fc.constantFrom(true, true, true, false),
    kind: fc.constantFrom(
      "memfd",
      "memfd",
      "memfd",
      "memfd",
      "memfd",
      "memfd",
      "memfd",
      "sparse",
      "hugetlb",
      "linked",
    ),
    more: fc.constantFrom(0, 0, 0, 0, 512),
  }),
  ({ processes }, { p }) => lowestFree(processes[p]!) !== undefined,
  ({ m }, world, { p, size: n, folioOrder, seals: asked, executable, kind, more }) => {
    const page = m.pageSize;
    const bytes = bytesOf(n, page) + (folioOrder === 9 && page === 4096 ? more * page : 0);
    // One is too large to pin, the other for the number of pages there can be.
    const unpinnable = { 4096: 2n ** 40n, 16384: 2n ** 44n }[page] ?? 2n ** 47n;
    const length = kind === "sparse" ? (n % 2 === 0 ? unpinnable : 2n ** 52n) : BigInt(bytes);
    const type = kind === "sparse" ? "memfd" : kind;
    const seals = type === "linked" ? undefined : asked;
    const sealing = type !== "linked" && (seals !== undefined || !executable);
    const first = (sealing ? 0 : 1) | (executable ? 0 : 0x20);
    const inode = newInode({ type, size: length, executable, seals: first });
    const file = openInode(inode);
    const options = {
      size: length,
      name: `m${inode.id}`,
      folioOrder: Math.min(folioOrder, page === 4096 ? 9 : 4),
      executable,
      ...(seals !== undefined && { seals }),
      ...(type === "hugetlb" && { huge: "hugetlb" as const }),
      ...(type === "linked" && { linked: true }),
    };
    const result = both(
      m,
      world,
      () => world.machine.memfd(options, world.processes[p]!),
      () => (seals === undefined ? "ok" : addSeals(file, seals)),
    );
    if (result === "ok") install(m.processes[p]!, file);
  },
);

/** A memfd with something in it, behind a descriptor of its own. */
export function filledMemfd(m: Model, world: World, p: number, n: number): number {
  const fd = lowestFree(m.processes[p]!)!;
  const inode = newInode({ type: "memfd", size: BigInt(bytesOf(n, m.pageSize)) });
  const pos = BigInt(n * 1000);
  const options = { size: inode.size, allowSealing: true, name: `m${inode.id}`, folioOrder: n % 3 };
  const file = world.machine.memfd(options, world.processes[p]!);
  file.pos = pos;
  install(m.processes[p]!, openInode(inode, pos));
  for (const at of [0, 2 * m.pageSize + 7]) {
    const bytes = new Uint8Array(100).fill(n + 1);
    write(file, bytes, BigInt(at));
    store(inode, at, bytes, m.pageSize);
  }
  return fd;
}

/** A toy behind a descriptor of its own. */
export function addToy(
  m: Model,
  world: World,
  p: number,
  toy: Pick<ModelInode, "type" | "trait" | "order" | "value">,
): number {
  const fd = lowestFree(m.processes[p]!)!;
  const inode = newInode(toy);
  world.processes[p]!.install(openFile(toyInode(toy.type, inode.id, toy.trait, toy.order, toy.value)));
  install(m.processes[p]!, openInode(inode));
  return fd;
}

const newToy = step(
  "toy",
  fc.record({
    p: process,
    type: fc.constantFrom("toy", "toy", "toy", "lone", "odd"),
    trait: fc.constantFrom("plain", "plain", "plain", ...traits),
    order: fc.constantFrom(0, 0, 1, 3),
    value: nat,
  }),
  ({ processes }, { p }) => lowestFree(processes[p]!) !== undefined,
  ({ m }, world, { p, ...toy }) => {
    addToy(m, world, p, toy);
  },
);

const setToy = step(
  "set toy",
  fc.record({ n: nat, value: nat }),
  (m) => toys(m).length > 0,
  ({ m }, world, { n, value }) => {
    const where = pick(toys(m), n);
    (realOf(world, where).inode as ToyInode).value = value;
    where.open.inode.value = value;
  },
);

const openAgain = step(
  "open again",
  fc.record({ n: nat, p: process }),
  (m, { p }) => descriptors(m, "file").length > 0 && lowestFree(m.processes[p]!) !== undefined,
  ({ m }, world, { n, p }) => {
    const where = pick(descriptors(m, "file"), n);
    world.processes[p]!.install(openFile(realOf(world, where).inode));
    install(m.processes[p]!, openInode(where.open.inode));
  },
);

const pass = step(
  "pass",
  fc.record({ n: nat, p: process }),
  (m) => m.processes.some(({ fds }) => fds.size > 0),
  ({ m }, world, { n, p }) => {
    const all = (["device", "session", "file"] as const).flatMap((kind): Where[] => descriptors(m, kind));
    const where = pick(all, n);
    const to = m.processes[p]!;
    both(
      m,
      world,
      () => world.processes[where.p]!.pass(where.fd, world.processes[p]!),
      () => {
        if (lowestFree(to) === undefined) return "EMFILE";
        install(to, where.open);
        return "ok";
      },
    );
  },
);

const writeFile = step(
  "write",
  fc.record({
    n: nat,
    page: fc.integer({ min: 0, max: 20 }),
    into: fc.constantFrom(0, 0, 1, 100, 4000),
    length: fc.constantFrom(0, 1, 10, 4096, 9000, 40000),
    atPos: fc.boolean(),
    seed: fc.integer({ min: 1, max: 255 }),
    fault,
  }),
  (m) => memfds(m).length > 0,
  ({ m }, world, { n, page, into, length, atPos, seed, fault: wrong }) => {
    const where = pick(memfds(m), n);
    const { open } = where;
    const { inode } = open;
    const at = atPos ? Number(open.pos) : page * m.pageSize + into;
    const bytes = Uint8Array.from({ length }, (_, i) => (seed + i * 7 + (i >> 8)) & 0xff);
    const file = realOf(world, where) as MemfdFile;
    let count = 0;
    both(
      m,
      world,
      () => {
        count = write(file, bytes, atPos ? undefined : BigInt(at));
      },
      () => {
        const wanted = writable(inode, at, length, m.pageSize);
        if (typeof wanted === "string") return wanted;
        // Pages that are missing in the middle end it early, and nobody is told why.
        if (world.failed.length > 0) expect(count).toBeLessThanOrEqual(wanted);
        else expect(count).toBe(wanted);
        if (count > 0) store(inode, at, bytes.subarray(0, count), m.pageSize);
        if (atPos && length > 0) open.pos = BigInt(at + count);
        return "ok";
      },
      wrong,
    );
    checkContent(inode, file, m.pageSize);
  },
);

const seekFile = step(
  "seek",
  fc.record({ n: nat, pos: fc.constantFrom(0, 1, 4096, 5000, 100000) }),
  (m) => memfds(m).length > 0,
  ({ m }, world, { n, pos }) => {
    const where = pick(memfds(m), n);
    realOf(world, where).pos = BigInt(pos);
    where.open.pos = BigInt(pos);
  },
);

const truncateFile = step(
  "truncate",
  fc.record({ n: nat, size }),
  (m) => memfds(m).length > 0,
  ({ m }, world, { n, size: to }) => {
    const where = pick(memfds(m), n);
    const file = realOf(world, where) as MemfdFile;
    const bytes = bytesOf(to, m.pageSize);
    both(
      m,
      world,
      () => truncateReal(file, BigInt(bytes)),
      () => truncate(where.open.inode, bytes, m.pageSize),
    );
    checkContent(where.open.inode, file, m.pageSize);
  },
);

const modes = {
  allocate: 0,
  "keep size": FALLOC_FL_KEEP_SIZE,
  punch: FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
};

const fallocateFile = step(
  "fallocate",
  fc.record({
    n: nat,
    mode: fc.constantFrom("allocate" as const, "keep size" as const, "punch" as const),
    page: fc.constantFrom(0, 1, 1, 2, 3, 5, 16),
    into: fc.constantFrom(0, 0, 0, 0, 5, 4000),
    length: fc.constantFrom(0, 1, 4096, 12288, 50000),
    fault,
  }),
  (m) => memfds(m).length > 0,
  ({ m }, world, { n, mode, page, into, length, fault: wrong }) => {
    const where = pick(memfds(m), n);
    const file = realOf(world, where) as MemfdFile;
    const at = page * m.pageSize + into;
    both(
      m,
      world,
      () => fallocateReal(file, modes[mode], BigInt(at), BigInt(length)),
      () => fallocate(where.open.inode, mode, at, length, m.pageSize),
      wrong,
    );
    checkContent(where.open.inode, file, m.pageSize);
  },
);

const seal = step(
  "seal",
  fc.record({ n: nat, seals: fc.constantFrom(0, 1, 2, 4, 8, 0x10, 0x20, 0x40) }),
  (m) => memfds(m).length > 0,
  ({ m }, world, { n, seals }) => {
    const where = pick(memfds(m), n);
    both(
      m,
      world,
      () => addSealsReal(realOf(world, where) as MemfdFile, seals),
      () => addSeals(where.open, seals),
    );
  },
);

const close = step(
  "close",
  fc.record({ n: nat }),
  (m) => m.processes.some(({ fds }) => fds.size > 0),
  ({ m }, world, { n }) => {
    const all = m.processes.flatMap(({ fds }, p) => [...fds.keys()].map((fd) => ({ p, fd })));
    const { p, fd } = pick(all, n);
    closeBoth(m, world, p, fd);
  },
);

export function closeBoth(m: Model, world: World, p: number, fd: number): void {
  both(
    m,
    world,
    () => world.processes[p]!.close(fd),
    () => {
      closeFd(m, m.processes[p]!, fd);
      return "ok";
    },
  );
}

/** A process dies, and another one takes its place. */
export function exitBoth(m: Model, world: World, p: number): void {
  expect(resultOf(() => world.processes[p]!.exit())).toBe("ok");
  exit(m, m.processes[p]!);
  world.processes[p] = world.machine.process({ descriptors: limits[p]! });
}

const die = step("exit", fc.record({ p: fc.constantFrom(0, 1, 1, 2) }), always, ({ m }, world, { p }) =>
  exitBoth(m, world, p),
);

export const fileSteps: readonly fc.Arbitrary<Step>[] = [
  newMemfd,
  newMemfd,
  newToy,
  newToy,
  setToy,
  openAgain,
  pass,
  writeFile,
  writeFile,
  seekFile,
  truncateFile,
  fallocateFile,
  fallocateFile,
  seal,
  close,
  die,
];
