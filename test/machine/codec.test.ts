/** Handlers and FLBs that are made of a layout: over a kexec, and with damage on the way. */
import { describe, expect, it } from "vitest";
import { array, chars, struct, u32, u64 } from "../../src/layout/index.js";
import {
  type Departure,
  type File,
  type Flb,
  type Inode,
  type KernelCore,
  Machine,
  openFile,
  putFile,
  refusal,
  structFlb,
  structHandler,
} from "../../src/machine/index.js";
import { physAddr } from "../../src/memory/index.js";
import { decoded, holdings, since } from "./departures.js";
import { outcome } from "./luo-support.js";

const source = { header: "none: a test's own", since: "6.19" };
const layout = struct("test_counter", { value: u64, step: u32, name: chars(20) }, source);
/** More than a page: three of them are rounded up to a block of four. */
const large = struct("test_table", { count: u64, rows: array(u64, 1300) }, source);

interface Counter extends Inode {
  value: bigint;
  step: number;
  name: string;
  released: boolean;
}
interface Table extends Inode {
  rows: bigint[];
}

const counter = (value: bigint, step = 3, name = "a counter"): Counter => ({
  type: "counter",
  value,
  step,
  name,
  opens: 0,
  released: false,
  release() {
    this.released = true;
  },
});
const counters = () =>
  structHandler({
    compatible: "counter-v1",
    layout,
    is: (inode): inode is Counter => inode.type === "counter",
    save: ({ value, step, name }: Counter) => ({ value, step, name }),
    load({ value, step, name }) {
      if (step === 0) throw refusal("ERANGE", "a counter that does not count");
      return counter(value, step, name);
    },
  });
const table = (rows: bigint[]): Table => ({ type: "table", rows, opens: 0, release: () => {} });
const tables = () =>
  structHandler({
    compatible: "table-v1",
    layout: large,
    is: (inode): inode is Table => inode.type === "table",
    save: ({ rows }: Table) => ({
      count: BigInt(rows.length),
      rows: BigUint64Array.from({ length: 1300 }, (_, i) => rows[i] ?? 0n),
    }),
    load: ({ count, rows }) => table(Array.from(rows).slice(0, Number(count))),
  });

interface Shared {
  value: bigint;
}
/** An FLB that writes down what becomes of it. */
const shared = (events: string[], value = 0n): Flb<Shared> =>
  structFlb({
    name: "shared-v1",
    layout,
    create() {
      events.push("create");
      return { value };
    },
    save: (object: Shared) => ({ value: object.value, step: 1, name: "" }),
    load({ value: found }) {
      events.push(`load ${found}`);
      return { value: found };
    },
    drop: (object) => void events.push(`drop ${object.value}`),
  });

/** A machine with a session of these inodes, under the tokens 0, 1, ... */
function withFiles(release: string, inodes: Inode[], flb?: Flb) {
  const machine = Machine.boot({ release });
  const handlers = [counters(), tables()];
  for (const handler of handlers) machine.registerFileHandler(handler);
  if (flb) machine.registerFlb(flb, handlers[0]!);
  const session = machine.liveupdate.createSession("session");
  const files = inodes.map((inode) => openFile(inode));
  for (const [token, file] of files.entries()) session.preserve(file, BigInt(token));
  return { machine, session, files };
}
function next(machine: Machine, flb?: Flb, tamper?: (departure: Departure) => void) {
  const arrived = machine.kexec({ release: machine.release, ...(tamper && { tamper }) });
  const handlers = [counters(), tables()];
  for (const handler of handlers) arrived.registerFileHandler(handler);
  if (flb) arrived.registerFlb(flb, handlers[0]!);
  const session = arrived.liveupdate.retrieveSession("session");
  const retrieve = (token: bigint): Inode => arrived.init.file(session.retrieve(token)).inode;
  return { machine: arrived, session, retrieve };
}
const held = (machine: Machine): number => {
  const { "counter-v1": one = 0, "table-v1": other = 0, "shared-v1": flb = 0 } = holdings(machine);
  return one + other + flb;
};

describe.each(since("6.19.10"))("Linux %s", (release) => {
  it("brings structures over a kexec, as they are at the jump", () => {
    const rows = Array.from({ length: 1299 }, (_, i) => BigInt(i) ** 5n);
    const inodes = [counter(7n), table(rows), counter(2n ** 64n - 1n, 1, "x".repeat(20))];
    const { machine } = withFiles(release, inodes);
    expect(held(machine)).toBe(1 + 4 + 1);
    (inodes[0] as Counter).value = 8n;
    const arrived = next(machine);
    expect(arrived.retrieve(0n)).toMatchObject({ value: 8n, step: 3, name: "a counter" });
    expect(arrived.retrieve(1n)).toMatchObject({ rows });
    expect(arrived.retrieve(2n)).toMatchObject({ value: 2n ** 64n - 1n, step: 1, name: "x".repeat(20) });
    arrived.session.finish();
    expect(held(arrived.machine)).toBe(0);
  });

  it("gives the pages back when a session is closed, and never keeps the file", () => {
    const inode = counter(1n);
    const { machine, session, files } = withFiles(release, [inode, table([1n])]);
    for (const file of files) putFile(file);
    expect(inode.released).toBe(false);
    session.close();
    expect([held(machine), inode.released]).toEqual([0, true]);
  });

  it("gives back what nobody retrieves", () => {
    const arrived = next(withFiles(release, [counter(1n), table([1n, 2n])]).machine);
    const free = arrived.machine.core.pages.freePages;
    arrived.session.finish();
    expect(held(arrived.machine)).toBe(0);
    // A page, four pages, and what the records came in: an area of two pages, or a block.
    expect(arrived.machine.core.pages.freePages - free).toBe(5 + (release < "7.2" ? 2 : 1));
  });

  it("holds nothing of what does not fit its layout, or has no memory", () => {
    let fail = false;
    const machine = Machine.boot({
      release,
      faults: { allocation: (what) => fail && what === "counter-v1" },
    });
    machine.registerFileHandler(counters());
    const session = machine.liveupdate.createSession("session");
    expect(() => session.preserve(openFile(counter(-1n)), 1n)).toThrowError(
      expect.objectContaining({ code: "value-range" }),
    );
    fail = true;
    expect(outcome(() => session.preserve(openFile(counter(1n)), 1n))).toBe("ENOMEM");
    fail = false;
    expect(held(machine)).toBe(0);
    expect(outcome(() => session.preserve(openFile(counter(1n)), 1n))).toBe("ok");
  });

  it("refuses what cannot be right: the structure's own word, for good", () => {
    const { machine } = withFiles(release, [counter(1n, 0)]);
    const arrived = next(machine);
    for (let i = 0; i < 2; i++) expect(outcome(() => arrived.retrieve(0n))).toBe("ERANGE");
    arrived.session.finish();
    expect(held(arrived.machine)).toBe(0);
  });

  it("refuses data that leads to no block, or to one that is too small", () => {
    const data = (machine: Machine): { record: bigint; data: bigint }[] => {
      const departure = machine.leave();
      const [session] = decoded(departure).handover.luo!.sessions;
      return session!.files.map((file) => ({ record: file.pa, data: file.data }));
    };
    const [first, second] = data(withFiles(release, [counter(1n), table([1n])]).machine);
    const other: [at: bigint, value: bigint][] = [
      // In the middle of a page, a page nobody preserved, one that there is not, a block of one page for three.
      [first!.record, first!.data + 8n],
      [first!.record, 0x2345000n],
      [first!.record, 1n << 50n],
      [second!.record, first!.data],
    ];
    for (const [record, value] of other) {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(value);
      // Behind 48 bytes of name.
      const arrived = next(withFiles(release, [counter(1n), table([1n])]).machine, undefined, ({ memory }) =>
        memory.write(physAddr(record + 48n), bytes),
      );
      const token = record === first!.record ? 0n : 1n;
      expect(outcome(() => arrived.retrieve(token))).toBe("EINVAL");
      expect(outcome(() => arrived.session.finish())).toBe("ok");
      expect(held(arrived.machine)).toBe(0);
    }
  });

  it("lets a session end whose data leads nowhere", () => {
    const machine = withFiles(release, [counter(1n)]).machine;
    const [page] = machine.core.pages.holdings().filter(({ owner }) => owner === "counter-v1");
    machine.kho.unpreserveFolio(page!.pfn, 0);
    const arrived = next(machine);
    arrived.session.finish();
    expect(arrived.machine.log.some((line) => line.includes("no block of counter-v1"))).toBe(true);
  });
});

describe.each(since("7.0"))("FLBs of Linux %s", (release) => {
  it("come along once for all files, and are dropped with the last", () => {
    const events: string[] = [];
    const { machine } = withFiles(release, [counter(1n), counter(2n), table([])], shared(events, 77n));
    expect([events.splice(0), holdings(machine)["shared-v1"]]).toEqual([["create"], 1]);
    const flb = shared(events);
    const arrived = next(machine, flb);
    expect(arrived.machine.luo.incomingFlb(flb)).toEqual({ value: 77n });
    arrived.machine.luo.putIncomingFlb(flb);
    expect(holdings(arrived.machine)["shared-v1"]).toBeUndefined();
    arrived.retrieve(0n);
    arrived.session.finish();
    expect(events).toEqual(["load 77", "drop 77"]);
  });

  it("are taken back with the last file", () => {
    const events: string[] = [];
    const { machine, session } = withFiles(release, [counter(1n), counter(2n)], shared(events, 5n));
    session.close();
    expect([events, held(machine)]).toEqual([["create", "drop 5"], 0]);
  });

  it("are refused if their page was not preserved", () => {
    const { machine } = withFiles(release, [counter(1n)], shared([]));
    const [page] = machine.core.pages.holdings().filter(({ owner }) => owner === "shared-v1");
    machine.kho.unpreserveFolio(page!.pfn, 0);
    const flb = shared([]);
    const arrived = next(machine, flb);
    expect(outcome(() => arrived.machine.luo.incomingFlb(flb))).toBe("EINVAL");
  });
});

it("takes files of its own type only", () => {
  const handler = counters();
  const core = {} as KernelCore;
  const files: File[] = [openFile(counter(1n)), openFile(table([]))];
  expect(files.map((file) => handler.canPreserve(file, core))).toEqual([true, false]);
});
