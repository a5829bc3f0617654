/** What real kernels handed over arrives on a simulated machine as it arrived on the real one. */
import { describe, expect, it } from "vitest";
import { isAtLeast } from "../../formats/kernels.js";
import { Machine, type MemfdFile, type ReserveMemOption, read } from "../../src/machine/index.js";
import { pfnOf } from "../../src/memory/index.js";
import { expectedContent, type Fixture, fixtures, type TruthFile } from "../conformance/truth.js";
import { decodeDeparture, departureOf } from "./arrival.js";
import { newTestFlbs, testFlbData } from "./liveupdate-test.js";

const factors: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20 };
const bytesOf = (text: string): number => Number.parseInt(text, 10) * (factors[text.at(-1)!] ?? 1);

/** Options of `reserve_mem=`. */
const reserveMemOf = ({ truth }: Fixture): ReserveMemOption[] =>
  (truth.reserveMemParams ?? []).map((option) => {
    const [size, align, name] = option.split(":") as [string, string, string];
    return { name, size: bytesOf(size), align: bytesOf(align) };
  });

/** Page of the file -> PFN. */
function pagesOf(runs: TruthFile["pageRuns"]): [page: number, pfn: number][] {
  return runs.flatMap(([page, pfn, count]) =>
    Array.from({ length: count }, (_, i): [number, number] => [page + i, pfn + i]),
  );
}

function pagesOfFile({ inode }: MemfdFile): [page: number, pfn: number][] {
  const pages: [number, number][] = [];
  const end = Math.ceil(Number(inode.size) / inode.core.abi.pageSize);
  inode.folios.each(0, end, (index, pfn, order) => {
    for (let i = 0; i < 2 ** order && index + i < end; i++) pages.push([index + i, pfn + i]);
  });
  return pages;
}

describe.each(fixtures)("$name", (fixture) => {
  const { truth } = fixture;
  const sessions = truth.sessions ?? [];
  const departure = departureOf(fixture);
  const { pageSize } = departure.hardware.abi;
  const release = truth.kernelRelease;
  const arrive = (): Machine => Machine.arrive(departure, { release, reserveMem: reserveMemOf(fixture) });

  /** Retrieves everything and looks at it. */
  const takeAll = (machine: Machine) =>
    sessions.map(({ name, files }) => {
      const session = machine.liveupdate.retrieveSession(name);
      const found = files.map((wanted) => {
        const file = machine.init.file(session.retrieve(BigInt(wanted.token))) as MemfdFile;
        const { size, seals } = file.inode;
        const what = `${name} ${wanted.token}`;
        expect({ what, size, seals, pos: file.pos }).toEqual({
          what,
          size: BigInt(wanted.observedAfter.size),
          seals: Number(wanted.observedAfter.seals),
          pos: BigInt(wanted.observedAfter.pos),
        });
        expect(pagesOfFile(file), what).toEqual(pagesOf(wanted.pageRunsAfter));
        const content = read(file, wanted.size, 0n);
        expect(Buffer.compare(content, expectedContent(wanted, pageSize)), what).toBe(0);
        return { token: BigInt(wanted.token), file };
      });
      return { name, session, files: found };
    });

  it("is received, with the scratch areas of its predecessor", () => {
    const { outcome, findings, scratch } = arrive();
    expect(findings).toEqual([]);
    expect(outcome).toEqual({ kind: "received" });
    expect(scratch).toEqual(truth.scratchAreas.map(([pa, size]) => ({ pa: BigInt(pa), size: BigInt(size) })));
  });

  it.runIf(sessions.length > 0)("brings sessions and files, which can be handed on", () => {
    const machine = arrive();
    const flbs = machine.kernel.flb ? newTestFlbs() : [];
    for (const flb of flbs) {
      machine.registerFlb(flb);
      machine.luo.incomingFlb(flb);
      machine.luo.putIncomingFlb(flb);
    }
    expect(machine.liveupdate.fd).toBeGreaterThanOrEqual(0);
    expect(machine.luo.sessions("incoming").map(({ name }) => name)).toEqual(
      sessions.map(({ name }) => name),
    );
    const taken = takeAll(machine);
    for (const { session } of taken) session.finish();
    expect(flbs.map(({ events }) => events)).toEqual(
      flbs.map((_, i) => [`retrieve 0x${testFlbData(i).toString(16)}`, "finish"]),
    );

    for (const { name, files } of taken) {
      const session = machine.liveupdate.createSession(name);
      for (const { file, token } of files) session.preserve(file, token);
    }
    const next = machine.kexec({ release });
    expect(next.findings).toEqual([]);
    takeAll(next);
  });

  it.runIf(truth.scenario === "memfd")("is freed once it is finished, but for what kernels keep", () => {
    const machine = arrive();
    for (const { name, files } of sessions) {
      const session = machine.liveupdate.retrieveSession(name);
      // One of each is retrieved, the others are lost.
      for (const { token } of files.slice(0, 1)) machine.init.close(session.retrieve(BigInt(token)));
      session.finish();
      session.close();
    }
    const { structures } = decodeDeparture(departure);
    const kept = machine.core.pages
      .holdings()
      .filter(({ owner }) => owner === "received")
      .flatMap(({ pfn, pages }) =>
        structures.filter((claim) => {
          const at = pfnOf(claim.pa, pageSize);
          return at < pfn + pages && at + claim.pages > pfn;
        }),
      );
    const { luo, flb, metadata } = machine.kernel;
    expect(kept.map(({ path }) => path).sort()).toEqual([
      ...(flb ? ["luo.flbs"] : []),
      "root",
      // From 7.2 on debugfs shows that this page was freed.
      ...(luo === "luo-v1" ? ["subtrees.LUO"] : []),
      ...(metadata === undefined ? [] : ["subtrees.kexec-metadata"]),
    ]);
    const held = machine.core.pages.holdings().map(({ owner }) => owner);
    expect(held.filter((owner) => owner.startsWith("memfd"))).toEqual([]);
  });

  it("is one of a chain: the regions go on, the kexecs are counted", () => {
    const machine = arrive();
    // Before 6.19 nothing is handed over unless user space says so.
    if (!isAtLeast(machine.kernel, "6.19")) machine.kho.finalize();
    const { handover, findings } = decodeDeparture(machine.leave());
    expect(findings).toEqual([]);
    const { kexecMetadata, luo, reserveMem } = handover;
    expect(reserveMem).toEqual(machine.regions.map(({ name, start, size }) => ({ name, start, size })));
    expect(luo?.liveupdateNumber).toBe(machine.kernel.luo && BigInt(truth.kexecs + 1));
    expect(kexecMetadata?.kexecCount).toBe(machine.kernel.metadata && truth.kexecs + 1);
  });

  it.runIf(truth.reserveMem)("brings the reserve_mem regions, contents and all", () => {
    const { regions, memory } = arrive();
    const wanted = Object.entries(truth.reserveMem!).map(([name, { start, size }]) => ({
      name,
      start: BigInt(start),
      size: BigInt(size),
      revived: true,
    }));
    expect([...regions]).toEqual(wanted);
    for (const { start, size } of regions)
      expect(
        Buffer.compare(memory.read(start, Number(size)), departure.memory.read(start, Number(size))),
      ).toBe(0);
  });

  it.runIf(truth.scenario === "resmem")("brings the folios of the KHO test module", () => {
    const { kho } = arrive();
    const { folios } = decodeDeparture(departure).handover.khoTest!;
    expect(kho.retrieveSubtree("kho_test").pa).toBeGreaterThan(0n);
    for (const [i, order] of folios.order.entries()) {
      expect(kho.restoreFolio(folios.pfn[i]!, "test")).toBe(order);
      expect(kho.restoreFolio(folios.pfn[i]!, "test")).toBe(-1);
    }
  });
});
