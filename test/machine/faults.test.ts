/** Every allocation of a kernel failing once: refused in words, or done without, and nothing is held that nobody has. */
import { describe, expect, it } from "vitest";
import {
  type Faults,
  type LiveUpdateSession,
  Machine,
  type MemfdFile,
  write,
} from "../../src/machine/index.js";
import { allReleases, before, decoded, depart, holdings, since } from "./departures.js";
import { newTestFlbs } from "./liveupdate-test.js";
import { outcome } from "./luo-support.js";

const MiB = 2 ** 20;
const reserveMem = [{ name: "trace", size: 2 * MiB, align: 2 * MiB }];

/** Fails one allocation, and writes down what all were for. */
function failing(at: number): Faults & { readonly asked: string[]; readonly failed: string | undefined } {
  const asked: string[] = [];
  return {
    asked,
    get failed() {
      return asked[at];
    },
    allocation: (what) => asked.push(what) - 1 === at,
  };
}

/** Runs something with its first allocation failing, then its second, until it makes no more of them. */
function withEach(run: (faults: ReturnType<typeof failing>) => void): Set<string> {
  const seen = new Set<string>();
  for (let at = 0; ; at++) {
    const faults = failing(at);
    run(faults);
    if (faults.failed === undefined) return seen;
    seen.add(faults.failed);
  }
}

/** What the map lies in: it stays for the next one who preserves something. */
const ofMap = ["kho bitmap", "radix node"];
const apartFromMap = (machine: Machine): Record<string, number> =>
  Object.fromEntries(Object.entries(holdings(machine)).filter(([owner]) => !ofMap.includes(owner)));
const owners = (machine: Machine): string[] => Object.keys(holdings(machine)).sort();

/** What goes without what, if there is no memory for it at boot. */
const without: Record<string, "kho" | "live update" | "memblock"> = {
  "kho root": "kho",
  "kexec-metadata": "kho",
  "luo root": "live update",
  "luo session area": "live update",
  "luo flb page": "live update",
  "memblock fdt": "memblock",
};
/** The pages of each, apart from the map. */
const pagesOf: Record<(typeof without)[string], string[]> = {
  kho: [
    "kho root",
    "kexec-metadata",
    "luo root",
    "luo session area",
    "luo flb page",
    "memblock fdt",
    "scratch",
  ],
  "live update": ["luo root", "luo session area", "luo flb page"],
  memblock: ["memblock fdt"],
};

/** What a kernel does without after its boot, which has to be consistent. */
function missing(machine: Machine): (typeof without)[string] | "nothing" {
  const live = machine.kernel.luo !== undefined && !machine.luo.enabled;
  const memblock = !owners(machine).includes("memblock fdt");
  const lost = !machine.kho.enabled ? "kho" : live ? "live update" : memblock ? "memblock" : "nothing";
  if (lost !== "nothing") for (const owner of pagesOf[lost]) expect(owners(machine)).not.toContain(owner);
  if (lost === "kho") {
    expect(machine.scratch).toEqual([]);
    expect(owners(machine).filter((owner) => ofMap.includes(owner))).toEqual([]);
    expect(machine.leave().bootData).toBeUndefined();
  } else if (lost !== "nothing")
    expect(machine.log.at(-1)).toMatch(lost === "memblock" ? /ENOMEM/ : /off|ENOMEM/);
  return lost;
}

describe.each(allReleases)("Linux %s", (release) => {
  it("boots whatever there is no memory for", () => {
    const seen = withEach((faults) => {
      const machine = Machine.boot({ release, reserveMem, faults });
      const { failed } = faults;
      const lost = missing(machine);
      if (failed === undefined) expect(lost).toBe("nothing");
      else if (!ofMap.includes(failed)) expect([failed, lost]).toEqual([failed, without[failed]]);
      else expect(lost).not.toBe("nothing");
    });
    const wanted = ["memblock fdt"];
    if (release >= "6.19") wanted.push("kho root", "luo root");
    if (release >= "6.19" && release < "7.2") wanted.push("luo session area");
    if (release >= "7.0") wanted.push("luo flb page");
    if (release >= "7.1") wanted.push("kexec-metadata", "radix node");
    for (const purpose of wanted) expect(seen).toContain(purpose);
  });

  it("boots on a handover, too, and takes what there is", () => {
    const old = Machine.boot({ release, reserveMem });
    const free = old.core.pages.freePages;
    old.kho.preserveFolio(0x8000, 0);
    const departure = depart(old);
    withEach((faults) => {
      const next = Machine.arrive(departure, { release, reserveMem, faults });
      expect(next.outcome).toEqual({ kind: "received" });
      expect(next.regions).toMatchObject([{ name: "trace", revived: true }]);
      expect(next.kho.restoreFolio(0x8000, "test")).toBe(0);
      const now = next.core.pages.freePages;
      // All of scratch, but for what the firmware or early boot has of it.
      if (missing(next) === "kho") expect(now).toBeGreaterThan(free + (64 * MiB) / 4096);
    });
  });
});

describe.each(before("6.19.10"))("finalizing Linux %s", (release) => {
  it("is taken back as a whole, and can be tried again", () => {
    const seen = withEach((faults) => {
      let on = false;
      const machine = Machine.boot({
        release,
        reserveMem,
        faults: { allocation: (what, order) => on && faults.allocation!(what, order) },
      });
      const { pages } = machine.core;
      const free = pages.freePages;
      machine.kho.preserveFolio(0x8000, 3);
      on = true;
      const result = outcome(() => machine.kho.finalize());
      expect([faults.failed, result]).toEqual([faults.failed, faults.failed ? "ENOMEM" : "ok"]);
      expect(machine.kho.finalized).toBe(result === "ok");
      on = false;
      if (result === "ok") return;
      expect(pages.freePages).toBe(free);
      machine.kho.finalize();
      const { subtrees, preserved } = decoded(machine.leave()).handover;
      expect([subtrees.map(({ name }) => name), preserved!.runs.order.includes(3)]).toEqual([
        ["memblock"],
        false,
      ]);
    });
    // Bitmaps of 512 bytes share the page that the first one had.
    const bitmap = release >= "6.17.9" ? ["kho bitmap"] : [];
    expect([...seen].sort()).toEqual([...bitmap, "kho map", "kho root"]);
  });
});

describe.each(since("6.19.10"))("live update of Linux %s", (release) => {
  /** A machine whose allocations fail only once it is up. */
  const late = (faults: Faults) => {
    const state = { on: false };
    const machine = Machine.boot({
      release,
      faults: { allocation: (what, order) => state.on && faults.allocation!(what, order) },
    });
    return { machine, state };
  };
  /** One file of small folios, with holes, and one of large ones. */
  const filesOf = (machine: Machine): MemfdFile[] => {
    const files = [machine.memfd({ size: 20 * 4096 }), machine.memfd({ size: 4 * MiB, folioOrder: 9 })];
    for (const file of files) write(file, Uint8Array.of(1, 2, 3), 8192n);
    return files;
  };

  it("refuses to preserve, holds nothing then, and preserves when asked again", () => {
    const seen = withEach((faults) => {
      const { machine, state } = late(faults);
      const flbs = machine.kernel.flb ? newTestFlbs() : [];
      for (const flb of flbs) machine.registerFlb(flb);
      const files = filesOf(machine);
      const device = machine.liveupdate;
      const before = apartFromMap(machine);
      state.on = true;
      let session: LiveUpdateSession | undefined;
      const results = [
        outcome(() => {
          session = device.createSession("vm");
        }),
        ...files.map((file, i) => outcome(() => session?.preserve(file, BigInt(i)))),
      ];
      state.on = false;
      // Memory for a hole or a folio that is not there in one size is taken in another.
      for (const result of results) expect(["ok", "ENOMEM"]).toContain(result);
      session?.close();
      // Holes that were filled stay filled.
      const { memfd: _, ...after } = apartFromMap(machine);
      const { memfd: __, ...expected } = before;
      expect(after).toEqual(expected);
      for (const { events } of flbs)
        expect(events.filter((event) => event === "preserve").length).toBe(
          events.filter((event) => event === "unpreserve").length,
        );

      const again = device.createSession("again");
      for (const [i, file] of files.entries()) again.preserve(file, BigInt(i));
      const next = machine.kexec({ release });
      if (next.kernel.flb) for (const flb of newTestFlbs()) next.registerFlb(flb);
      const received = next.liveupdate.retrieveSession("again");
      expect(outcome(() => received.retrieve(1n))).toBe("ok");
    });
    expect(seen.size).toBeGreaterThanOrEqual(4);
  });

  it("goes on if the reboot finds no memory", () => {
    const seen = withEach((faults) => {
      const { machine, state } = late(faults);
      const session = machine.liveupdate.createSession("vm");
      for (const [i, file] of filesOf(machine).entries()) session.preserve(file, BigInt(i));
      state.on = true;
      const result = outcome(() => machine.leave());
      state.on = false;
      expect(result).toBe(faults.failed === undefined ? "ok" : "EAGAIN");
      if (result === "ok") return;
      const next = machine.kexec({ release });
      expect(next.liveupdate.retrieveSession("vm").retrieve(0n)).toBeGreaterThanOrEqual(0);
    });
    // From 7.1 on nothing is left to allocate then.
    expect([...seen]).toEqual(release < "7.1" ? ["kho map"] : []);
  });

  it("refuses to retrieve, and leaks nothing but what the release does", () => {
    const old = Machine.boot({ release });
    const session = old.liveupdate.createSession("vm");
    for (const [i, file] of filesOf(old).entries()) session.preserve(file, BigInt(i));
    const departure = old.leave();
    withEach((faults) => {
      let on = false;
      const next = Machine.arrive(departure, {
        release,
        faults: { allocation: (what, order) => on && faults.allocation!(what, order) },
      });
      on = true;
      const opened = outcome(() => next.liveupdate);
      expect(["ok", "EIO"]).toContain(opened);
      if (opened !== "ok") return;
      const received = next.liveupdate.retrieveSession("vm");
      const results = [0n, 1n].map((token) => outcome(() => received.retrieve(token)));
      on = false;
      expect(["ok", "ENOMEM"]).toEqual(expect.arrayContaining(results));
      received.close();
      next.init.exit();
      expect(holdings(next).memfd).toBeUndefined();
    });
  });
});
