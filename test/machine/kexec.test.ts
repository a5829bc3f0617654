/** What becomes of a handover in the next kernel: versions, sections 2 and 6; kho, sections 2, 11 and 13. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Departure,
  type KexecOptions,
  Machine,
  type MachineOptions,
  type MemfdFile,
  read,
  write,
} from "../../src/machine/index.js";
import { poisonByte } from "../../src/machine/ram.js";
import { physAddr } from "../../src/memory/index.js";
import { isKhoError } from "../../src/report/error.js";
import { allReleases, decoded, depart, since } from "./departures.js";
import { newTestFlbs, testFlbData } from "./liveupdate-test.js";
import { outcome } from "./luo-support.js";

type Release = (typeof allReleases)[number];
const page = 4096;
const MiB = 2 ** 20;

/** Works, is ignored, stops the boot, or is taken for something else. */
type Result = "w" | "i" | "P" | "m";

/**
 * The rows are who writes, the columns who reads, both as in `allReleases`. By hand, from the table of what works:
 * one version string up to 7.0 with two sizes of bitmaps, another one for 7.1, and a third from 7.2 on.
 */
const withoutLiveUpdate: Record<Release, string> = {
  "6.16": "w w m m m m i i i",
  "6.17.8": "w w m m m m i i i",
  "6.17.9": "m m w w w w i i i",
  "6.18.15": "m m w w w w i i i",
  "6.19.10": "m m w w w w i i i",
  "7.0": "m m w w w w i i i",
  "7.1.13": "i i i i i i w i i",
  "7.2.13": "i i i i i i i w w",
  "7.3.4": "i i i i i i i w w",
};
/** 6.19 hands over live-update state without the FLBs that 7.0 insists on. */
const withLiveUpdate: Record<string, string> = {
  ...withoutLiveUpdate,
  "6.19.10": "m m w w w P i i i",
};

const states = ["blocks", "empty", "memfd", "flb", "reserve_mem"] as const;
type State = (typeof states)[number];
const has: Record<State, (release: string) => boolean> = {
  blocks: () => true,
  empty: (release) => release >= "6.19",
  memfd: (release) => release >= "6.19",
  flb: (release) => release >= "7.0",
  reserve_mem: () => true,
};
const resultOf = (from: Release, to: string, state: State): Result => {
  const table = state === "blocks" || state === "reserve_mem" ? withoutLiveUpdate : withLiveUpdate;
  return table[from]!.split(" ")[(allReleases as readonly string[]).indexOf(to)] as Result;
};

/** Blocks of every state, far enough from each other that bitmaps of either size are several. */
const blocks: [pfn: number, order: number][] = [
  [0x3000, 0],
  [0x7001, 0],
  [0x9010, 4],
];
const marker = (pfn: number): Uint8Array => new Uint8Array(page).fill(pfn % 251);
const regions = [
  { name: "trace", size: 2 * MiB, align: 2 * MiB },
  { name: "small", size: 3 * page },
];
const content = Uint8Array.from({ length: 2 * MiB + 3 * page }, (_, i) => (i * 7 + (i >> 12)) & 0xff);
const options = (state: State): Pick<MachineOptions, "reserveMem" | "liveupdate"> => ({
  liveupdate: state !== "blocks" && state !== "reserve_mem",
  reserveMem: state === "reserve_mem" ? regions : [],
});

function prepared(release: string, state: State): Machine {
  const machine = Machine.boot({ release, ...options(state) });
  for (const [pfn, order] of blocks) {
    machine.core.pages.reserve(pfn, 2 ** order, "test");
    machine.memory.write(physAddr(BigInt(pfn * page)), marker(pfn));
    machine.kho.preserveFolio(pfn, order);
  }
  if (state === "flb") for (const flb of newTestFlbs().slice(0, 2)) machine.registerFlb(flb);
  if (state === "memfd" || state === "flb") {
    const session = machine.liveupdate.createSession("vm");
    const file = machine.memfd({ size: content.length });
    write(file, content, 0n);
    session.preserve(file, 5n);
  }
  for (const { start, size } of machine.regions)
    machine.memory.write(start, content.subarray(0, Number(size)));
  return machine;
}

const departures = new Map<string, Departure>();
function departureOf(release: string, state: State): Departure {
  const key = `${release} ${state}`;
  const departure = departures.get(key) ?? depart(prepared(release, state));
  departures.set(key, departure);
  return departure;
}

/** Every block that a kernel believes to have received, of 256 MiB. */
const receivedBy = ({ kho }: Machine): string[] => {
  const found: string[] = [];
  for (let pfn = 0; pfn < 0x10000; pfn++) {
    const order = kho.receivedOrder(pfn);
    if (order >= 0) found.push(`${pfn}:${order}`);
  }
  return found;
};
const preservedBy = (departure: Departure): string[] => {
  const { preserved } = decoded(departure).handover;
  const { length, pfn, order, count } = preserved!.runs;
  const found: [number, number][] = [];
  for (let i = 0; i < length; i++)
    for (let k = 0; k < count[i]!; k++) found.push([pfn[i]! + k * 2 ** order[i]!, order[i]!]);
  return found.sort((a, b) => a[0] - b[0]).map(([at, of]) => `${at}:${of}`);
};
const holds = ({ memory }: Machine, pfn: number): boolean =>
  Buffer.compare(memory.read(physAddr(BigInt(pfn * page)), page), marker(pfn)) === 0;

/** That everything of a state has arrived. */
function expectAll(machine: Machine, departure: Departure, state: State): void {
  expect(machine.outcome).toEqual({ kind: "received" });
  for (const [pfn, order] of blocks) {
    expect([pfn, holds(machine, pfn)]).toEqual([pfn, true]);
    expect(machine.kho.receivedOrder(pfn)).toBe(order);
  }
  // From 7.2 on the page of live update's root is given back before anybody else runs.
  const freed = machine.release >= "7.2" && state !== "blocks" && state !== "reserve_mem" ? 1 : 0;
  const [received, preserved] = [receivedBy(machine), preservedBy(departure)];
  expect(preserved.filter((block) => !received.includes(block))).toHaveLength(freed);
  expect(received.filter((block) => !preserved.includes(block))).toEqual([]);
  if (state === "reserve_mem") {
    expect(machine.regions.map(({ name, revived }) => [name, revived])).toEqual([
      ["trace", true],
      ["small", true],
    ]);
    for (const { start, size } of machine.regions)
      expect(
        Buffer.compare(machine.memory.read(start, Number(size)), content.subarray(0, Number(size))),
      ).toBe(0);
  }
  if (!machine.kernel.luo) return;
  const flbs = state === "flb" && machine.kernel.flb ? newTestFlbs().slice(0, 2) : [];
  for (const flb of flbs) {
    machine.registerFlb(flb);
    machine.luo.incomingFlb(flb);
    machine.luo.putIncomingFlb(flb);
  }
  if (state !== "memfd" && state !== "flb") {
    expect(machine.luo.sessions("incoming")).toEqual([]);
    return;
  }
  const session = machine.liveupdate.retrieveSession("vm");
  const file = machine.init.file(session.retrieve(5n)) as MemfdFile;
  expect(Buffer.compare(read(file, content.length, 0n), content)).toBe(0);
  session.finish();
  expect(flbs.map(({ events }) => events)).toEqual(
    flbs.map((_, i) => [`retrieve 0x${testFlbData(i).toString(16)}`, "finish"]),
  );
}

describe.each(allReleases)("what Linux %s hands over", (from) => {
  for (const state of states) {
    if (!has[state](from)) continue;
    it.each(allReleases)(`with ${state}, to Linux %s`, (to) => {
      const departure = departureOf(from, state);
      const arrive = (): Machine =>
        Machine.arrive(departure, {
          release: to,
          ...options(state),
          liveupdate: to >= "6.19" && options(state).liveupdate!,
        });
      const machine = arrive();
      const result = resultOf(from, to, state);
      if (result === "w") expectAll(machine, departure, state);
      else if (result === "i") {
        expect(machine.outcome).toMatchObject({ kind: "ignored", reason: { code: "compatible-mismatch" } });
        expect(receivedBy(machine)).toEqual([]);
        expect(blocks.map(([pfn]) => holds(machine, pfn))).toEqual([false, false, false]);
        expect(machine.regions.some(({ revived }) => revived)).toBe(false);
        // And so it is every time.
        expect(arrive().outcome).toEqual(machine.outcome);
      } else if (result === "P") {
        expect(machine.outcome).toMatchObject({
          kind: "panic",
          reason: { code: "flb-missing", consequence: { errno: "ENOENT" } },
        });
        expect(() => machine.kho).toThrowError(expect.objectContaining({ code: "machine-misuse" }));
      } else {
        // Not refused by anybody, and wrong.
        if (machine.outcome.kind === "panic") return;
        expect(machine.outcome).toEqual({ kind: "received" });
        expect(receivedBy(machine)).not.toEqual(preservedBy(departure));
      }
    });
  }
});

describe("bitmaps of 512 bytes and of pages, under one version string", () => {
  const order0 = (release: string, pfns: number[], more: [number, number][] = []): Departure => {
    const machine = Machine.boot({ release, liveupdate: false });
    for (const pfn of pfns) {
      machine.memory.write(physAddr(BigInt(pfn * page)), marker(pfn));
      machine.kho.preserveFolio(pfn, 0);
    }
    for (const [pfn, order] of more) machine.kho.preserveFolio(pfn, order);
    return depart(machine);
  };

  it("lose what is behind the first eighth, from 6.18 to 6.17.8", () => {
    // A page of bits is for 32768 pages, 512 bytes are for the first 4096 of these.
    const machine = Machine.arrive(order0("6.18.15", [0x8000, 0x8fff, 0x9000, 0xa000]), {
      release: "6.17.8",
    });
    expect(machine.outcome.kind).toBe("received");
    const seen = [0x8000, 0x8fff, 0x9000, 0xa000].map((pfn) => machine.kho.receivedOrder(pfn));
    expect(seen).toEqual([0, 0, -1, -1]);
    expect([0x8fff, 0x9000, 0xa000].map((pfn) => holds(machine, pfn))).toEqual([true, false, false]);
  });

  it("invent blocks that nobody preserved, from 6.17.8 to 6.18", () => {
    const departure = order0("6.17.8", [0x3000, 0x7007]);
    const machine = Machine.arrive(departure, { release: "6.18.15" });
    expect(machine.outcome.kind).toBe("received");
    // What was meant is there, and the bitmaps that lie behind it in memory are taken for its continuation.
    expect([0x3000, 0x7007].map((pfn) => machine.kho.receivedOrder(pfn))).toEqual([0, 0]);
    const wanted = preservedBy(departure);
    const invented = receivedBy(machine).filter((block) => !wanted.includes(block));
    expect(invented).toContain(`${0x4007}:0`);
    expect(machine.findings.map(({ code }) => code)).toContain("map-bad-bitmap");
  });

  it("stop the boot where invented blocks are none of RAM", () => {
    // Order 9 has one bitmap for 8 GiB; what follows it in memory then names blocks far above RAM.
    const machine = Machine.arrive(
      order0(
        "6.17.8",
        [],
        [
          [0x8000, 9],
          [0x9008, 3],
        ],
      ),
      { release: "6.18.15" },
    );
    expect(machine.outcome).toMatchObject({ kind: "panic", reason: { code: "bad-address" } });
    // A machine that has the memory goes on.
    const large = Machine.boot({ release: "6.17.8", memory: 64n << 30n });
    large.kho.preserveFolio(0x8000, 9);
    large.kho.preserveFolio(0x9008, 3);
    expect(Machine.arrive(depart(large), { release: "6.18.15" }).outcome.kind).toBe("received");
  });
});

describe("blocks whose size is worked out in 32 bits", () => {
  // 2 GiB of 4K pages.
  const order = 19;
  it.each(since("6.18.15"))("of Linux %s", (release) => {
    const machine = Machine.boot({ release, memory: 8n << 30n });
    machine.memory.write(physAddr(2n ** 31n), Uint8Array.of(1, 2, 3));
    machine.kho.preserveFolio(2 ** order, order);
    const next = Machine.arrive(depart(machine), { release });
    const kept = release >= "7.2";
    expect(next.outcome.kind).toBe("received");
    expect([...next.memory.read(physAddr(2n ** 31n), 3)]).toEqual(kept ? [1, 2, 3] : [165, 165, 165]);
    expect(next.kho.receivedOrder(2 ** order)).toBe(release >= "7.1" ? order : -1);
    if (kept) expect(next.kho.restoreFolio(2 ** order, "test")).toBe(order);
    else expect(next.findings.map(({ code }) => code)).toContain("order-too-large");
  });
});

describe("what is not preserved", () => {
  it("is overwritten, all of it", () => {
    const machine = Machine.boot({ release: "7.3.4", liveupdate: false });
    const at = (pfn: number) => physAddr(BigInt(pfn * page));
    for (let pfn = 0x6000; pfn < 0x6040; pfn++) machine.memory.write(at(pfn), marker(1));
    machine.kho.preservePages(0x6003, 5);
    const next = machine.kexec({ release: "7.3.4" });
    const free = next.core.pages.vacancies();
    const isFree = (at: number): boolean => free.some(({ pfn, pages }) => pfn <= at && at < pfn + pages);
    for (let pfn = 0x6000; pfn < 0x6040; pfn++) {
      const kept = pfn >= 0x6003 && pfn < 0x6008;
      // Of what is free again the next kernel has taken some.
      if (!kept && !isFree(pfn)) continue;
      expect(new Set(next.memory.read(at(pfn), page))).toEqual(new Set([kept ? 1 : poisonByte]));
    }
  });

  it.each(since("6.19.10"))("is not found again by Linux %s: blobs of subtrees", (release) => {
    const machine = Machine.boot({ release, liveupdate: false, reserveMem: regions });
    const lost = machine.kho.allocPreserve(page, "test");
    machine.memory.write(lost, Uint8Array.of(1, 2, 3));
    machine.kho.addSubtree("test", lost, 3);
    const blobs = new Map(decoded(depart(machine)).handover.subtrees.map(({ name, pa }) => [name, pa]));

    const other = Machine.boot({ release, liveupdate: false, reserveMem: regions });
    const same = other.kho.allocPreserve(page, "test");
    expect(same).toBe(lost);
    other.kho.addSubtree("test", lost, 3);
    for (const pa of blobs.values()) other.kho.unpreserveFolio(Number(pa) / page, 0);
    const next = Machine.arrive(depart(other), { release, reserveMem: regions });
    expect(next.outcome.kind).toBe("received");
    const { pa } = next.kho.retrieveSubtree("test");
    // Overwritten, or in use for something else already.
    expect([...next.memory.read(pa, 3)]).not.toEqual([1, 2, 3]);
    expect(next.regions.map(({ revived }) => revived)).toEqual([false, false]);
    expect(next.findings.filter(({ code }) => code === "page-not-preserved").length).toBeGreaterThan(0);
    if (release >= "7.1") expect(decoded(depart(next)).handover.kexecMetadata!.kexecCount).toBe(1);
  });

  it.each(since("6.19.10"))("stops Linux %s if it is the root of live update", (release) => {
    const machine = Machine.boot({ release });
    const [root] = machine.core.pages.holdings().filter(({ owner }) => owner === "luo root");
    machine.kho.unpreserveFolio(root!.pfn, 0);
    expect(machine.kexec({ release }).outcome).toMatchObject({
      kind: "panic",
      reason: { path: expect.stringMatching(/^luo|^subtrees.LUO/) },
    });
  });

  it.each(since("6.19.10"))("leaves Linux %s without subtrees if it is the root tree", (release) => {
    const machine = Machine.boot({ release, reserveMem: regions });
    const [root] = machine.core.pages.holdings().filter(({ owner }) => owner === "kho root");
    machine.kho.preserveFolio(0x8000, 0);
    machine.kho.unpreserveFolio(root!.pfn, 0);
    const next = Machine.arrive(depart(machine), { release, reserveMem: regions });
    expect([next.outcome.kind, next.kho.receivedOrder(0x8000)]).toEqual(["received", 0]);
    for (const name of ["LUO", "memblock", "kexec-metadata"])
      expect(outcome(() => next.kho.retrieveSubtree(name))).toBe("ENOENT");
    expect(next.regions.map(({ revived }) => revived)).toEqual([false, false]);
    expect(next.luo.number).toBe(1n);
  });

  it.each(["6.16", "6.18.15"])("is everything for Linux %s if the map cannot be found", (release) => {
    const departure = departureOf(release, "blocks");
    const root = departure.memory.read(departure.handoff!.fdtPa, page).slice();
    const name = Buffer.from(root).indexOf("preserved-memory-map");
    const next = Machine.arrive(departure, {
      release,
      tamper: ({ memory, handoff }) =>
        memory.write(physAddr(handoff!.fdtPa + BigInt(name)), Uint8Array.of(0x50)),
    });
    expect([next.outcome.kind, receivedBy(next), holds(next, 0x3000)]).toEqual(["received", [], false]);
    // The scratch areas are taken over all the same.
    expect(next.scratch).toHaveLength(3);
  });

  it("is no business of a kernel without live update", () => {
    const next = Machine.arrive(departureOf("7.0", "memfd"), {
      release: "6.18.15",
      tamper(departure) {
        const { pa } = decoded(departure).handover.subtrees.find(({ name }) => name === "LUO")!;
        departure.memory.write(pa, new Uint8Array(page).fill(0xff));
      },
    });
    expect(next.outcome.kind).toBe("received");
  });
});

/** A machine with everything that there is in its release. */
function fullMachine(release: string): Machine {
  const machine = prepared(release, "reserve_mem");
  if (!machine.kernel.luo) return machine;
  const full = Machine.boot({ release, reserveMem: regions });
  if (full.kernel.flb) for (const flb of newTestFlbs()) full.registerFlb(flb);
  for (const name of ["one", "two", ""].slice(0, release < "7.1" ? 3 : 2)) {
    const session = full.liveupdate.createSession(name);
    for (const token of [1n, 2n]) {
      const file = full.memfd({ size: content.length, folioOrder: token === 1n ? 0 : 3 });
      write(file, content.subarray(0, 5 * page), 0n);
      session.preserve(file, token);
    }
  }
  full.kho.preservePages(0x8003, 99);
  return full;
}
const fullDepartures = new Map<string, Departure>();
const fullDeparture = (release: string): Departure => {
  const departure = fullDepartures.get(release) ?? depart(fullMachine(release));
  fullDepartures.set(release, departure);
  return departure;
};

/** Lets a kernel do all that it can with what arrived; whatever it refuses, it refuses in words. */
function exercise(departure: Departure, kexec: KexecOptions): string {
  const problems: string[] = [];
  const attempt = <T>(what: string, call: () => T): T | undefined => {
    try {
      return call();
    } catch (error) {
      if (!isKhoError(error)) throw error;
      // Fine are a refusal with an errno, and a fault that kills the process.
      if (error.code !== "refused" && error.code !== "machine-oops")
        problems.push(`${what}: ${error.code}: ${error.message}`);
      return undefined;
    }
  };
  const machine = Machine.arrive(departure, { reserveMem: regions, ...kexec });
  const { kind } = machine.outcome;
  if (machine.outcome.kind === "panic" || machine.outcome.kind === "ignored")
    expect(machine.outcome.reason.message).not.toBe("");
  if (kind === "panic") return kind;
  if (machine.kernel.luo) {
    for (const flb of machine.kernel.flb ? newTestFlbs() : []) {
      attempt("register", () => machine.registerFlb(flb));
      attempt("flb", () => machine.luo.incomingFlb(flb));
      attempt("put flb", () => machine.luo.putIncomingFlb(flb));
    }
    const device = attempt("open", () => machine.init.openLiveUpdate());
    for (const { name, files } of machine.luo.sessions("incoming")) {
      const session = attempt("session", () => device?.retrieveSession(name));
      for (const { token } of files.slice(0, 20)) {
        const fd = attempt("retrieve", () => session?.retrieve(token));
        if (fd === undefined) continue;
        const file = machine.init.file(fd) as MemfdFile;
        attempt("read", () => read(file, 10 * page, 0n));
      }
      attempt("finish", () => session?.finish());
      attempt("close", () => session?.close());
    }
    attempt("create", () => device?.createSession("again"));
  }
  for (const [pfn] of blocks) attempt("restore", () => machine.kho.restoreFolio(pfn, "test"));
  attempt("memfd", () => machine.memfd({ size: 8 * page }));
  const left = attempt("leave", () => depart(machine));
  expect(problems).toEqual([]);
  if (left) Machine.arrive(left, { release: kexec.release });
  return kind;
}

/** Bytes of all structures that are not zero, and the neighbours of these: what something depends on. */
function bytesOf(departure: Departure): bigint[] {
  const { structures } = decoded(departure);
  const starts = structures.flatMap(({ pa, pages }) =>
    Array.from({ length: pages }, (_, i) => pa + BigInt(i * page)),
  );
  starts.push(departure.bootData!, departure.handoff!.scratchPa);
  const found: bigint[] = [];
  for (const start of new Set(starts))
    departure.memory.read(physAddr(start), page).forEach((byte, i) => {
      if (byte !== 0) found.push(start + BigInt(i));
    });
  return found;
}

describe.each(allReleases)("damage on the way to Linux %s", (release) => {
  it("of a few bits is a boot, a refusal or a panic in words", () => {
    const departure = fullDeparture(release);
    const bytes = bytesOf(departure);
    const flip = fc.record({
      at: fc.nat({ max: bytes.length - 1 }),
      by: fc.integer({ min: -8, max: 8 }),
      bit: fc.nat({ max: 7 }),
    });
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.array(flip, { minLength: 1, maxLength: 4 }), (flips) => {
        const tamper = ({ memory }: Departure): void => {
          for (const { at, by, bit } of flips) {
            const pa = physAddr(bytes[at]! + BigInt(by < -4 ? 0 : by));
            memory.write(pa, Uint8Array.of(memory.read(pa, 1)[0]! ^ (1 << bit)));
          }
        };
        seen.add(exercise(departure, { release, tamper }));
      }),
      { numRuns: 100 },
    );
    expect(seen.size).toBeGreaterThanOrEqual(2);
    expect([...seen].every((kind) => ["cold", "ignored", "panic", "received"].includes(kind))).toBe(true);
  });

  it("of whole pages is, too", () => {
    const departure = fullDeparture(release);
    const { structures } = decoded(departure);
    const pages = new Set(
      structures.flatMap(({ pa, pages: count }) => [Number(pa) / page, Number(pa) / page + count - 1]),
    );
    for (const pfn of pages)
      for (const with_ of ["poison", "zero"] as const)
        exercise(departure, { release, tamper: ({ memory }) => memory[with_](pfn, 1) });
  });
});

describe("a region that is handed over", () => {
  it.each(allReleases)("can be anywhere: Linux %s looks neither at RAM nor at the map", (release) => {
    const departure = departureOf(release, "reserve_mem");
    const { subtrees, reserveMem } = decoded(departure).handover;
    const { pa } = subtrees.find(({ name }) => name === "memblock")!;
    const blob = Buffer.from(departure.memory.read(pa, page));
    const start = Buffer.alloc(8);
    start.writeBigUInt64LE(reserveMem.find(({ name }) => name === "small")!.start);
    const move = (to: bigint): Machine => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(to);
      const at = physAddr(pa + BigInt(blob.indexOf(start)));
      const tamper = ({ memory }: Departure): void => memory.write(at, bytes);
      return Machine.arrive(departure, { release, reserveMem: regions, tamper });
    };
    // A page that nobody preserved, page 0, and one far above RAM.
    for (const to of [0x2345000n, 0n, 1n << 45n]) {
      const next = move(to);
      expect(next.regions).toMatchObject([{ name: "trace" }, { name: "small", start: to, revived: true }]);
      const third = Machine.arrive(depart(next), { release, reserveMem: regions });
      expect(third.outcome.kind).toBe(to < 1n << 40n ? "received" : "panic");
    }
  });
});

describe("the hand-off", () => {
  it("is a node of setup_data on x86", () => {
    const { memory, handoff, bootData, hardware } = departureOf("7.3.4", "empty");
    expect(hardware.arch).toBe("x86_64");
    const bytes = memory.read(bootData!, 48).slice();
    const view = new DataView(bytes.buffer);
    const words = [0, 16, 24, 32, 40].map((at) => view.getBigUint64(at, true));
    expect(words).toEqual([0n, handoff!.fdtPa, 4096n, handoff!.scratchPa, 48n]);
    expect([view.getUint32(8, true), view.getUint32(12, true)]).toEqual([10, 32]);
    expect(handoff!.scratchPa % 0x10000n).toBe(0n);
  });

  it.each([
    [16384, 1],
    [65536, 2],
  ])("is in /chosen on arm64 with pages of %i bytes", (pageSize, nodes) => {
    const memory = pageSize === 16384 ? 4n << 30n : 16n << 30n;
    const machine = Machine.boot({ release: "7.3.4", pageSize, nodes, memory });
    const session = machine.liveupdate.createSession("vm");
    const file = machine.memfd({ size: 3 * pageSize });
    write(file, content.subarray(0, 3 * pageSize), 0n);
    session.preserve(file, 1n);
    const departure = machine.leave();
    const { memory: left, handoff, bootData } = departure;
    const tree = Buffer.from(left.read(bootData!, 1024));
    expect(tree.readUInt32BE(0)).toBe(0xd00dfeed);
    const cells = (...values: bigint[]): Buffer => {
      const bytes = Buffer.alloc(values.length * 8);
      for (const [i, value] of values.entries()) bytes.writeBigUInt64BE(value, i * 8);
      return bytes;
    };
    expect(tree.includes(cells(handoff!.fdtPa, BigInt(pageSize)))).toBe(true);
    expect(tree.includes(cells(handoff!.scratchPa, 16n * BigInt(2 + nodes)))).toBe(true);
    for (const name of ["linux,kho-fdt\0", "linux,kho-scratch\0"]) expect(tree.includes(name)).toBe(true);

    const other = Machine.arrive(departure, { release: "7.2.13" });
    expect(other.outcome.kind).toBe("received");
    const received = other.liveupdate.retrieveSession("vm");
    const again = other.init.file(received.retrieve(1n)) as MemfdFile;
    expect(Buffer.compare(read(again, 3 * pageSize, 0n), content.subarray(0, 3 * pageSize))).toBe(0);
  });

  it("needs an area of scratch that has room for it", () => {
    const scratch = { lowmem: 0, global: 0, perNode: 0 };
    const machine = Machine.boot({ release: "7.3.4", scratch });
    expect(machine.leave().handoff).toBeUndefined();
  });

  it("is untouched by kernels that are tried, and by tampering", () => {
    const departure = departureOf("7.3.4", "blocks");
    const before = departure.memory.read(departure.handoff!.fdtPa, page).slice();
    const tamper = ({ memory, handoff }: Departure): void =>
      memory.write(handoff!.fdtPa, new Uint8Array(page));
    expect(Machine.arrive(departure, { release: "7.3.4", tamper }).outcome.kind).toBe("ignored");
    expect(departure.memory.read(departure.handoff!.fdtPa, page)).toEqual(before);
    expect(Machine.arrive(departure, { release: "7.3.4" }).outcome.kind).toBe("received");
  });

  it("ends the old kernel", () => {
    const machine = Machine.boot({ release: "7.3.4" });
    machine.leave();
    for (const call of [() => machine.kho, () => machine.core, () => machine.leave(), () => machine.memfd()])
      expect(call).toThrowError(expect.objectContaining({ code: "machine-misuse" }));
  });
});
