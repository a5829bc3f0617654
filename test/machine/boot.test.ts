/** Booting cold and with a handover: sections 5.1 and 7.5 of luo-machine, 2.3, 8 and 9 of kho, 7 of luo. */
import { describe, expect, it } from "vitest";
import { Machine, type MachineOptions } from "../../src/machine/index.js";
import { poisonByte } from "../../src/machine/ram.js";
import { physAddr } from "../../src/memory/index.js";
import { allReleases, decoded, depart, holdings, preservedIn, since } from "./departures.js";
import { outcome } from "./luo-support.js";

const MiB = 2 ** 20;
const GiB = 2 ** 30;
/** Where RAM of an arm64 machine begins. */
const armBase = 2 ** 30;

/** What release, regions and log say of `reserve_mem=4M:2M:trace`. */
const trace = { name: "trace", size: 4 * MiB, align: 2 * MiB };
const withTrace = (release: string, more: Partial<MachineOptions> = {}): Machine =>
  Machine.boot({ release, reserveMem: [trace], ...more });
/** The next kernel of the same release and with the same regions, unless said otherwise. */
const goOn = (machine: Machine, more: Partial<MachineOptions> = {}): Machine =>
  Machine.arrive(depart(machine), { release: machine.release, reserveMem: [trace], ...more });
const fill = (machine: Machine, at: bigint, byte: number): void =>
  machine.memory.write(physAddr(at), new Uint8Array(4 * MiB).fill(byte));
const filledWith = (machine: Machine, at: bigint): Set<number> =>
  new Set(machine.memory.read(physAddr(at), 4 * MiB));

describe("a cold boot", () => {
  it("keeps low memory, its image, what early boot took, and scratch to itself", () => {
    const machine = Machine.boot({ release: "7.3.4", liveupdate: false });
    expect(holdings(machine)).toEqual({
      // Below 1 MiB, but for the part that firmware never gave away.
      firmware: 0x9f,
      // 16 MiB of image, and what is behind the last whole block of 4 MiB, without firmware's tables.
      kernel: 4096 + 1024 - 0x21,
      // 16 MiB low, 56 MiB global, 16 MiB of the node.
      scratch: (88 * MiB) / 4096,
      "kho root": 1,
      "kexec-metadata": 1,
      // One path of 6 nodes, all the keys of which share their upper bits.
      "radix node": 6,
    });
    expect(machine.core.pages.nodeOf(0x1000)).toBe(0);
    const image = machine.core.pages.holdings().find(({ owner }) => owner === "kernel");
    expect(image).toMatchObject({ pfn: 0x1000, pages: 4096 });
  });

  it("is deterministic", () => {
    const layout = () => withTrace("7.3.4", { nodes: 2, memory: GiB }).core.pages.holdings();
    expect(layout()).toEqual(layout());
  });

  it.each([
    [4096, 1, 4 * MiB, 0],
    [4096, 2, 4 * MiB, 0],
    [4096, 4, 4 * MiB, 0],
    [16384, 1, 32 * MiB, armBase],
    [16384, 4, 32 * MiB, armBase],
    [65536, 1, 512 * MiB, armBase],
    [65536, 2, 512 * MiB, armBase],
  ])("with %i-byte pages and %i nodes has whole largest blocks of scratch", (pageSize, nodes, unit, base) => {
    const memory = pageSize === 4096 ? GiB : pageSize === 16384 ? 4 * GiB : 16 * GiB;
    const { scratch, hardware, core } = Machine.boot({ release: "7.3.4", memory, nodes, pageSize });
    expect(scratch).toHaveLength(2 + nodes);
    const [low] = scratch;
    expect(Number(low!.pa + low!.size)).toBeLessThanOrEqual(4 * GiB);
    for (const { pa, size } of scratch) {
      expect([Number(pa) % unit, Number(size) % unit]).toEqual([0, 0]);
      expect(Number(size)).toBeGreaterThan(0);
      expect(Number(pa)).toBeGreaterThanOrEqual(base);
      expect(hardware.banks.some((bank) => bank.pa <= pa && pa + size <= bank.pa + bank.size)).toBe(true);
    }
    // One of each node, in their order, and none over another.
    const nodeOf = ({ pa }: { pa: bigint }): number => core.pages.nodeOf(Number(pa) / pageSize);
    expect(scratch.slice(2).map(nodeOf)).toEqual([...Array(nodes).keys()]);
    const sorted = [...scratch].sort((a, b) => Number(a.pa - b.pa));
    for (const [i, { pa }] of sorted.entries())
      if (i > 0) expect(pa).toBeGreaterThanOrEqual(sorted[i - 1]!.pa + sorted[i - 1]!.size);
  });

  it("takes sizes for scratch, rounds them up, and can be without an area", () => {
    const sizes = { lowmem: 5 * MiB, global: 0, perNode: 8 * MiB };
    const { scratch } = Machine.boot({ release: "7.3.4", scratch: sizes });
    expect(scratch.map(({ size }) => Number(size))).toEqual([8 * MiB, 0, 8 * MiB]);
  });

  it.each([
    ["memory for scratch", { memory: 64 * MiB }],
    ["memory for a region", { reserveMem: [{ name: "big", size: 255 * MiB }] }],
    ["a name for a region", { reserveMem: [{ name: "", size: MiB }] }],
    ["a short name for a region", { reserveMem: [{ name: "sixteen-letters-", size: MiB }] }],
    ["names of their own", { reserveMem: [trace, trace] }],
    ["a size", { reserveMem: [{ name: "none", size: 0 }] }],
    ["an alignment", { reserveMem: [{ name: "odd", size: MiB, align: 3 }] }],
    [
      "8 regions at most",
      { reserveMem: Array.from({ length: 9 }, (_, i) => ({ name: `r${i}`, size: 4096 })) },
    ],
    ["whole bytes", { memory: 1.5 }],
  ])("needs %s", (_, options) => {
    expect(() => Machine.boot({ release: "7.3.4", ...options })).toThrowError(
      expect.objectContaining({ name: "KhoError", code: "usage" }),
    );
  });

  it("has no handover with KHO off, and no area for one", () => {
    const machine = withTrace("7.3.4", { kho: false });
    expect([machine.scratch, machine.kho.enabled, machine.luo.enabled]).toEqual([[], false, false]);
    const next = machine.kexec({ release: "7.3.4" });
    expect(next.outcome).toEqual({ kind: "cold" });
    // What nobody kept is overwritten.
    expect(filledWith(next, 64n * 2n ** 20n)).toEqual(new Set([poisonByte]));
  });

  it("is what a kernel with KHO off does, whatever was handed over", () => {
    const old = withTrace("7.3.4");
    fill(old, old.regions[0]!.start, 7);
    const next = goOn(old, { kho: false });
    expect([next.outcome, next.findings, next.scratch]).toEqual([{ kind: "cold" }, [], []]);
    expect(next.regions[0]!.revived).toBe(false);
  });
});

describe.each(allReleases)("Linux %s", (release) => {
  it("keeps the scratch areas of the first kernel along a chain", () => {
    let machine = Machine.boot({ release, nodes: 2, memory: GiB });
    const { scratch } = machine;
    for (let i = 0; i < 3; i++) {
      machine = goOn(machine, { scratch: { lowmem: 64 * MiB } });
      expect([machine.outcome.kind, machine.scratch]).toEqual(["received", scratch]);
    }
  });

  it("hands on what it preserved itself, and nothing that it received", () => {
    const first = Machine.boot({ release, liveupdate: false });
    first.kho.preserveFolio(0x8000, 0);
    const second = goOn(first);
    expect(holdings(second).received).toBeGreaterThan(0);
    expect(second.kho.receivedOrder(0x8000)).toBe(0);
    expect(preservedIn(depart(second))(0x8000).kind).toBe("absent");
  });

  it("revives regions, contents and all, along a chain", () => {
    let machine = withTrace(release);
    const { start } = machine.regions[0]!;
    expect(machine.regions).toMatchObject([{ name: "trace", size: BigInt(4 * MiB), revived: false }]);
    expect(Number(start) % (2 * MiB)).toBe(0);
    for (let i = 1; i < 4; i++) {
      fill(machine, start, i);
      machine = goOn(machine);
      expect(machine.findings).toEqual([]);
      expect(machine.regions).toMatchObject([{ name: "trace", start, revived: true }]);
      expect(filledWith(machine, start)).toEqual(new Set([i]));
      expect(machine.log.some((line) => line.includes("Revived"))).toBe(true);
      expect(holdings(machine)["reserve_mem trace"]).toBe(1024);
    }
  });

  it.each([
    ["another size", { ...trace, size: 2 * MiB }],
    ["a larger alignment", { ...trace, align: 64 * MiB }],
    ["another name", { ...trace, name: "other" }],
  ])("takes a fresh region out of scratch for %s, which the next kexec overwrites", (_, option) => {
    const old = withTrace(release);
    const { start } = old.regions[0]!;
    const next = goOn(old, { reserveMem: [option] });
    const [region] = next.regions;
    expect(region).toMatchObject({ name: option.name, size: BigInt(option.size), revived: false });
    const inScratch = ({ pa, size }: { pa: bigint; size: bigint }): boolean =>
      pa <= region!.start && region!.start + region!.size <= pa + size;
    expect(next.scratch.some(inScratch)).toBe(true);
    expect(next.kho.receivedOrder(Number(start) / 4096)).toBeGreaterThanOrEqual(0);

    next.memory.write(region!.start, new Uint8Array(option.size).fill(9));
    const third = goOn(next, { reserveMem: [option] });
    expect(third.findings.map(({ code }) => code)).toContain("block-in-scratch");
    expect(third.outcome.kind).toBe("received");
    expect(third.regions).toMatchObject([{ start: region!.start, revived: true }]);
    const left = new Set(third.memory.read(region!.start, option.size));
    expect([left.has(9), left.has(poisonByte)]).toEqual([false, true]);
  });

  it("boots without a region that scratch has no room for", () => {
    const option = { name: "large", size: 100 * MiB };
    const next = goOn(Machine.boot({ release }), { reserveMem: [option] });
    expect([next.outcome.kind, next.regions]).toEqual(["received", []]);
    expect(next.log.some((line) => line.includes("no room for reserve_mem large"))).toBe(true);
  });

  it("has no region revived that is described wrongly, and goes on", () => {
    const old = withTrace(release);
    const departure = depart(old);
    const { pa } = decoded(departure).handover.subtrees.find(({ name }) => name === "memblock")!;
    const blob = departure.memory.read(pa, 4096).slice();
    const at = Buffer.from(blob).indexOf("reserve-mem-v1");
    const next = Machine.arrive(departure, {
      release,
      reserveMem: [trace],
      tamper: ({ memory }) => memory.write(physAddr(pa + BigInt(at)), Uint8Array.of(0x52)),
    });
    expect([next.outcome.kind, next.regions[0]!.revived]).toEqual(["received", false]);
  });
});

describe.each(since("6.19.10"))("Linux %s", (release) => {
  const names = (machine: Machine): string[] =>
    decoded(depart(machine)).handover.subtrees.map(({ name }) => name);

  it("adds its subtrees in the order of its boot, last one in front", () => {
    const own = ["memblock", "LUO", "kexec-metadata"];
    expect(names(withTrace(release))).toEqual(release >= "7.1" ? own : own.slice(0, 2));
  });

  it("counts live updates in the unbroken chain", () => {
    let machine = Machine.boot({ release });
    const numbers: (bigint | undefined)[] = [];
    const leave = (next: Partial<MachineOptions> = {}): void => {
      const departure = depart(machine);
      numbers.push(departure.bootData && decoded(departure).handover.luo?.liveupdateNumber);
      machine = Machine.arrive(departure, { release, ...next });
    };
    leave();
    leave();
    leave({ liveupdate: false });
    // Reads the number, and hands over none.
    leave();
    leave({ kho: false });
    leave();
    leave();
    expect(numbers).toEqual([1n, 2n, 3n, undefined, 1n, undefined, 1n]);
  });

  it("does not count what it panics at, nor start live update that is off", () => {
    const machine = Machine.boot({ release, liveupdate: false });
    expect([machine.luo.enabled, machine.luo.number]).toEqual([false, 0n]);
    expect(outcome(() => machine.liveupdate)).toBe("ENOENT");
    expect(names(machine)).not.toContain("LUO");
  });

  it("gives every page back that live update came in", () => {
    const old = Machine.boot({ release });
    const session = old.liveupdate.createSession("vm");
    session.preserve(old.memfd({ size: 3 * 4096 }), 1n);
    const next = old.kexec({ release });
    const received = next.liveupdate.retrieveSession("vm");
    received.retrieve(1n);
    received.finish();
    // What is left are the predecessor's own pages: its roots, its FLB page, metadata.
    const rest = holdings(next).received!;
    expect(rest).toBe(release < "7.0" ? 2 : release < "7.1" ? 3 : release < "7.2" ? 4 : 3);
  });
});

describe.each(since("7.1.13"))("Linux %s", (release) => {
  const metadataOf = (machine: Machine) => {
    const departure = depart(machine);
    return { departure, metadata: decoded(departure).handover.kexecMetadata! };
  };

  it("counts kexecs, and names itself", () => {
    let machine = Machine.boot({ release });
    for (let i = 1; i < 4; i++) {
      const { departure, metadata } = metadataOf(machine);
      expect(metadata).toEqual({ version: 1, previousRelease: release, kexecCount: i });
      machine = Machine.arrive(departure, { release, liveupdate: i !== 1 });
    }
    const departure = depart(machine);
    expect(Machine.arrive(departure, { release, kho: false }).leave().bootData).toBeUndefined();
  });

  it("begins anew where the count cannot be read, and after the last number", () => {
    const { departure } = metadataOf(Machine.boot({ release }));
    const { pa } = decoded(departure).handover.subtrees.find(({ name }) => name === "kexec-metadata")!;
    const countAfter = (at: bigint, bytes: number[]): number =>
      metadataOf(
        Machine.arrive(departure, {
          release,
          tamper: ({ memory }) => memory.write(physAddr(pa + at), Uint8Array.from(bytes)),
        }),
      ).metadata.kexecCount;
    expect(countAfter(0n, [2])).toBe(1);
    expect(countAfter(0x45n, [6])).toBe(7);
    expect(countAfter(0x45n, [0xff, 0xff, 0xff, 0xff])).toBe(0);
  });

  it("cuts its name to what uname prints", () => {
    const long = `${release}-${"x".repeat(80)}`;
    const { metadata } = metadataOf(Machine.boot({ release: long }));
    expect(metadata.previousRelease).toBe(long.slice(0, 64));
  });
});

describe("the first three releases with KHO", () => {
  it.each(["6.16", "6.17.8", "6.18.15"])("%s hands regions on while it finalizes", (release) => {
    const machine = withTrace(release);
    expect(machine.leave().bootData).toBeUndefined();
    const other = withTrace(release);
    other.kho.finalize();
    other.kho.finalize(false);
    other.kho.finalize();
    expect(decoded(other.leave()).handover.subtrees.map(({ name }) => name)).toEqual(["memblock"]);
  });
});
