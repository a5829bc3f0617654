/** FLBs: behaviour of luo-machine, section 6. */
import { describe, expect, it } from "vitest";
import type { Errno } from "../../src/machine/errno.js";
import type { Flb } from "../../src/machine/kernel.js";
import {
  type FakeOptions,
  fakeKernel,
  from,
  handOver,
  outcome,
  releases,
  toyFile,
  toyFlb,
  toyHandler,
} from "./luo-support.js";

const withFlbs = from("7.0");

interface Wanted extends FakeOptions {
  readonly names?: readonly string[];
  readonly refuse?: (event: string) => Errno | undefined;
}

/** A kernel with a handler and FLBs that follow it, all writing into one list of events. */
function start(release: string, { names = ["one", "two"], refuse, ...options }: Wanted = {}) {
  const events: string[] = [];
  const kernel = fakeKernel({ release, ...options });
  const handler = toyHandler(events, refuse);
  kernel.luo.registerHandler(handler);
  const flbs = names.map((name) => toyFlb(events, name, refuse));
  for (const flb of flbs) kernel.luo.registerFlb(handler, flb);
  const process = kernel.process();
  return { kernel, luo: kernel.luo, handler, flbs, events, process, device: process.openLiveUpdate() };
}

/** An incoming session of as many files as `files`, and an FLB with a count. */
const incoming = (files: number, count: bigint, name = "one"): FakeOptions => ({
  incoming: {
    number: 1n,
    carrying: [],
    sessions: [
      {
        name: "in",
        carrying: [],
        files: Array.from({ length: files }, (_, i) => ({
          compatible: "toy-v1",
          data: BigInt(i),
          token: BigInt(i),
        })),
      },
    ],
    flbs: [{ name, data: 0xf1bn, count }],
  },
});
const ofFlbs = (events: readonly string[]) => events.filter((event) => /^(one|two):/.test(event));

describe.each(withFlbs)("Linux %s", (release) => {
  it("preserves them before the first file and releases them after the last, in reverse", () => {
    const { device, events } = start(release);
    const session = device.createSession("a");
    session.preserve(toyFile(1n), 1n);
    session.preserve(toyFile(2n), 2n);
    session.close();
    expect(events).toEqual([
      "one: preserve",
      "two: preserve",
      "preserve 1",
      "preserve 2",
      "unpreserve 2",
      "unpreserve 1",
      "two: unpreserve f1b two of this kernel",
      "one: unpreserve f1b one of this kernel",
    ]);
  });

  it("counts over all sessions and handlers", () => {
    const { kernel, luo, handler, flbs, events, device } = start(release, { names: ["one"] });
    const other = toyHandler(events, undefined, {
      compatible: "other-v1",
      canPreserve: ({ inode }) => inode.type === "other",
    });
    device.close();
    luo.registerHandler(other);
    luo.registerFlb(other, flbs[0]!);
    expect(outcome(() => luo.registerFlb(handler, flbs[0]!))).toBe("EEXIST");
    const again = kernel.process().openLiveUpdate();
    const [a, b] = [again.createSession("a"), again.createSession("b")];
    a.preserve(toyFile(1n), 1n);
    b.preserve(toyFile(2n, "other"), 1n);
    a.close();
    expect(ofFlbs(events)).toEqual(["one: preserve"]);
    luo.serialize();
    expect(kernel.handedOver()).toMatchObject({
      findings: [],
      luo: { flbs: [{ name: "one", data: 0xf1bn, count: 1n }] },
    });
  });

  it("a file that cannot be preserved releases those that were counted for it", () => {
    for (const failing of ["two: preserve", "preserve 1"]) {
      const { kernel, device, events } = start(release, {
        refuse: (event) => (event === failing ? "ENODEV" : undefined),
      });
      const session = device.createSession("a");
      expect(outcome(() => session.preserve(toyFile(1n), 1n))).toBe("ENODEV");
      expect(ofFlbs(events).filter((event) => /unpreserve/.test(event))).toEqual(
        (failing === "preserve 1" ? ["two", "one"] : ["one"]).map(
          (name) => `${name}: unpreserve f1b ${name} of this kernel`,
        ),
      );
      kernel.luo.serialize();
      expect(kernel.handedOver().luo.flbs).toEqual([]);
    }
  });

  it("undoes in reverse, before the file is let go", () => {
    const { luo, handler, device, events, kernel } = start(release, {
      names: ["one", "two"],
      refuse: (event) => (event === "preserve 1" ? "ENODEV" : undefined),
    });
    device.close();
    const file = toyFile(1n);
    luo.registerFlb(handler, { ...toyFlb([], "three"), unpreserve: () => events.push(`refs ${file.refs}`) });
    let fails = true;
    luo.registerFlb(
      handler,
      toyFlb([], "four", () => (fails ? "EIO" : undefined)),
    );
    const session = kernel.process().openLiveUpdate().createSession("a");
    const undone = [
      // The test's reference, the descriptor's and live update's.
      "refs 3",
      "two: unpreserve f1b two of this kernel",
      "one: unpreserve f1b one of this kernel",
    ];
    expect(outcome(() => session.preserve(file, 1n))).toBe("EIO");
    expect(events.slice(-3)).toEqual(undone);
    fails = false;
    expect(outcome(() => session.preserve(file, 1n))).toBe("ENODEV");
    expect(events.slice(-3)).toEqual(undone);
  });

  it("writes those with references, in the order they were registered", () => {
    const { kernel, luo, device, flbs } = start(release, { names: ["two", "one"] });
    const lone = toyHandler([], undefined, { compatible: "lone", canPreserve: () => false });
    device.close();
    luo.registerHandler(lone);
    luo.registerFlb(lone, toyFlb([], "never"));
    const session = kernel.process().openLiveUpdate().createSession("a");
    for (const token of [1n, 2n, 3n]) session.preserve(toyFile(token), token);
    luo.serialize();
    expect(kernel.handedOver().luo.flbs.map(({ name, count }) => [name, count])).toEqual([
      ["two", 3n],
      ["one", 3n],
    ]);
    expect(flbs).toHaveLength(2);
  });

  describe("in the next kernel", () => {
    it("is built at the first request, and finished with the last file", () => {
      const { luo, flbs, events, process, device } = start(release, incoming(2, 2n));
      const one = flbs[0]!;
      expect(luo.incomingFlb(one)).toBe("one of the kernel before");
      expect(luo.incomingFlb(one)).toBe("one of the kernel before");
      // The second FLB was not handed over, and each file's finish underflows its count.
      luo.putIncomingFlb(one);
      luo.putIncomingFlb(one);
      device.retrieveSession("in").finish();
      expect(ofFlbs(events)).toEqual(["one: retrieve f1b", "one: finish f1b one of the kernel before"]);
      expect(outcome(() => luo.incomingFlb(one))).toBe("ENODATA");
      process.exit();
    });

    it("is finished by the last of the files that were counted, in whatever session", () => {
      const events: string[] = [];
      const { incoming: of } = incoming(1, 2n);
      const [first] = of!.sessions;
      const kernel = fakeKernel({
        release,
        incoming: { ...of!, sessions: [first!, { ...first!, name: "in too" }] },
      });
      const [handler, flb] = [toyHandler(events), toyFlb(events, "one")];
      kernel.luo.registerHandler(handler);
      kernel.luo.registerFlb(handler, flb);
      kernel.luo.incomingFlb(flb);
      kernel.luo.putIncomingFlb(flb);
      const device = kernel.process().openLiveUpdate();
      device.retrieveSession("in too").finish();
      expect(ofFlbs(events)).toEqual(["one: retrieve f1b"]);
      device.retrieveSession("in").finish();
      expect(ofFlbs(events)).toEqual(["one: retrieve f1b", "one: finish f1b one of the kernel before"]);
    });

    it("who asks holds a reference, from 7.1 on", () => {
      const { luo, flbs, events, device } = start(release, { ...incoming(1, 1n), names: ["one"] });
      luo.incomingFlb(flbs[0]!);
      device.retrieveSession("in").finish();
      const finished = "one: finish f1b one of the kernel before";
      expect(events.includes(finished)).toBe(release < "7.1");
      luo.putIncomingFlb(flbs[0]!);
      expect(events.filter((event) => event === finished)).toHaveLength(1);
    });

    it("is never finished if nobody asks: the count was never loaded", () => {
      const { kernel, events, device } = start(release, { ...incoming(2, 2n), names: ["one"] });
      expect(outcome(() => device.retrieveSession("in").finish())).toBe("ok");
      expect(ofFlbs(events)).toEqual([]);
      const warned = kernel.lines.some((line) => /underflow/.test(line));
      expect(warned).toBe(release >= "7.1");
    });

    it("is found without a reference, which is warned of, and never finished", () => {
      const { kernel, luo, flbs, events, device } = start(release, { ...incoming(1, 0n), names: ["one"] });
      expect(outcome(() => luo.incomingFlb(flbs[0]!))).toBe("ok");
      expect(kernel.lines.some((line) => /addition on 0/.test(line))).toBe(release >= "7.1");
      luo.putIncomingFlb(flbs[0]!);
      device.retrieveSession("in").finish();
      expect(ofFlbs(events).filter((event) => event.includes("finish"))).toEqual([]);
    });

    it("is refused if it was not handed over", () => {
      const absent = start(release, { ...incoming(0, 1n, "another"), names: ["one"] });
      expect(outcome(() => absent.luo.incomingFlb(absent.flbs[0]!))).toBe("ENOENT");
      const cold = start(release, { names: ["one"] });
      expect(outcome(() => cold.luo.incomingFlb(cold.flbs[0]!))).toBe("ENODATA");
      // 6.19 hands over sessions without FLBs.
      const { flbs: _, ...without } = incoming(0, 1n).incoming!;
      const old = start(release, { incoming: without, names: ["one"] });
      expect(outcome(() => old.luo.incomingFlb(old.flbs[0]!))).toBe("ENODATA");
      expect(outcome(() => old.luo.incomingFlb(toyFlb([], "stranger")))).toBe("EINVAL");
    });

    it("a failure is remembered from 7.2 on", () => {
      let errno: Errno | undefined = "EIO";
      const { luo, flbs } = start(release, {
        ...incoming(1, 1n),
        names: ["one"],
        refuse: (event) => (/retrieve f1b/.test(event) ? errno : undefined),
      });
      expect(outcome(() => luo.incomingFlb(flbs[0]!))).toBe("EIO");
      errno = undefined;
      expect(outcome(() => luo.incomingFlb(flbs[0]!))).toBe(release < "7.2" ? "ok" : "EIO");
    });

    it("is built for finishing if that failed before", () => {
      let errno: Errno | undefined = "EIO";
      const { luo, flbs, events, device, kernel } = start(release, {
        ...incoming(1, 1n),
        names: ["one"],
        refuse: (event) => (/retrieve f1b/.test(event) ? errno : undefined),
      });
      outcome(() => luo.incomingFlb(flbs[0]!));
      errno = undefined;
      device.retrieveSession("in").finish();
      const finished = events.includes("one: finish f1b one of the kernel before");
      expect(finished).toBe(release < "7.2");
      if (!finished) expect(kernel.lines).toContainEqual(expect.stringMatching(/^WARNING/));
    });

    it("starts a life of its own in the outgoing direction", () => {
      const old = start(release, { names: ["one"] });
      old.device.createSession("a").preserve(toyFile(1n), 1n);
      old.luo.serialize();
      const next = start(release, { ...handOver(old.kernel), names: ["one"] });
      expect(next.luo.incomingFlb(next.flbs[0]!)).toBe("one of the kernel before");
      next.device.createSession("a").preserve(toyFile(2n), 1n);
      expect(next.luo.outgoingFlb(next.flbs[0]!)).toBe("one of this kernel");
    });
  });

  it("the outgoing object: nothing or ENOENT without a file, counted from 7.2 on", () => {
    const { kernel, luo, flbs, events, device } = start(release, { names: ["one"] });
    const one = flbs[0]!;
    const counts = release >= "7.2";
    if (counts) expect(outcome(() => luo.outgoingFlb(one))).toBe("ENOENT");
    else expect(luo.outgoingFlb(one)).toBeUndefined();
    const session = device.createSession("a");
    session.preserve(toyFile(1n), 1n);
    expect(luo.outgoingFlb(one)).toBe("one of this kernel");
    session.close();
    expect(events.includes("one: unpreserve f1b one of this kernel")).toBe(!counts);
    luo.serialize();
    expect(kernel.handedOver().luo.flbs.map(({ count }) => count)).toEqual(counts ? [1n] : []);
    luo.putOutgoingFlb(one);
    expect(events.filter((event) => /one: unpreserve/.test(event))).toHaveLength(1);
    if (counts) expect(() => luo.putOutgoingFlb(one)).toThrow(/did not ask/);
  });

  it("registering refuses what is incomplete, unknown, double or too many", () => {
    const kernel = fakeKernel({ release });
    const { luo } = kernel;
    const handler = toyHandler([]);
    const other = toyHandler([], undefined, { compatible: "other" });
    const register = (flb: Flb, by = handler) => outcome(() => luo.registerFlb(by, flb));
    const one = toyFlb([], "f0");
    expect(register(one)).toBe("EINVAL");
    luo.registerHandler(handler);
    luo.registerHandler(other);
    for (const callback of ["preserve", "unpreserve", "retrieve", "finish"])
      expect(register({ ...one, [callback]: undefined }), callback).toBe("EINVAL");
    expect(register(one)).toBe("ok");
    expect(register(one)).toBe("EEXIST");
    expect(register(one, other)).toBe("ok");
    expect(register(toyFlb([], "f0"))).toBe("EEXIST");
    expect(() => register(toyFlb([], "x".repeat(48)))).toThrow(/name/);
    for (let i = 1; i < 63; i++) expect(register(toyFlb([], `f${i}`))).toBe("ok");
    expect(register(toyFlb([], "more"))).toBe("ENOSPC");
    // One that is counted already may follow further handlers.
    kernel.process().openLiveUpdate().createSession("a");
    const third = toyHandler([], undefined, { compatible: "third" });
    if (release < "7.1") {
      expect(register(toyFlb([], "late"))).toBe("EBUSY");
      return;
    }
    luo.registerHandler(third);
    expect(register(one, third)).toBe("ok");
  });
});

it.each(releases)("Linux %s with live update off has none", (release) => {
  const { luo } = fakeKernel({ release, enabled: false });
  expect(outcome(() => luo.registerFlb(toyHandler([]), toyFlb([])))).toBe("EOPNOTSUPP");
  expect(outcome(() => luo.incomingFlb(toyFlb([])))).toBe("EOPNOTSUPP");
});
