/** The reboot: behaviour of luo-machine, sections 4.3 and 9; bytes as the decoder reads them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Errno } from "../../src/machine/errno.js";
import type { FileHandler } from "../../src/machine/kernel.js";
import { dump } from "../handover/synthetic/ram.js";
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
  until,
} from "./luo-support.js";

/** A kernel with sessions a (files 1, 2), b (none), c (3), d (4, 5, 6). */
function start(
  release: string,
  refuse: (event: string) => Errno | undefined = () => undefined,
  options: FakeOptions = {},
  more: Partial<FileHandler> = {},
) {
  const events: string[] = [];
  const kernel = fakeKernel({ release, ...options });
  kernel.luo.registerHandler(toyHandler(events, refuse, more));
  const process = kernel.process();
  const device = process.openLiveUpdate();
  const sessions = { a: [1n, 2n], b: [], c: [3n], d: [4n, 5n, 6n] };
  for (const [name, numbers] of Object.entries(sessions)) {
    const session = device.createSession(name);
    for (const number of numbers) session.preserve(toyFile(number), number << 40n);
  }
  events.length = 0;
  return { kernel, luo: kernel.luo, process, device, events };
}

/** All that is preserved, as a text of bytes. */
const bytesOf = ({ preserved, ram }: ReturnType<typeof fakeKernel>): string =>
  [...preserved]
    .map(([pfn, order]) => String.fromCharCode(...ram.read(BigInt(pfn) * 4096n, 4096 * 2 ** order)))
    .join();

const sessionsOf = ({ kernel }: { kernel: ReturnType<typeof fakeKernel> }) => {
  const { luo, findings } = kernel.handedOver();
  expect(findings).toEqual([]);
  return luo.sessions.map(({ name, files }) => [
    name,
    ...files.map(({ compatible, data, token }) => `${compatible} ${data} ${token >> 40n}`),
  ]);
};
const all = [
  ["a", "toy-v1 1 1", "toy-v1 2 2"],
  ["b"],
  ["c", "toy-v1 3 3"],
  ["d", "toy-v1 4 4", "toy-v1 5 5", "toy-v1 6 6"],
];

describe.each(releases)("Linux %s", (release) => {
  it("freezes and writes in order", () => {
    const machine = start(release);
    machine.luo.serialize();
    expect(machine.events).toEqual([1, 2, 3, 4, 5, 6].map((n) => `freeze ${n}`));
    expect(sessionsOf(machine)).toEqual(all);
    expect(machine.kernel.calls).toEqual(release < "7.1" ? ["finalize"] : []);
  });

  it("hands over what freezing puts in the place of the data", () => {
    const machine = start(release, undefined, {}, { freeze: (_file, { data }) => data + 100n });
    machine.luo.serialize();
    expect(sessionsOf(machine)[3]).toEqual(["d", "toy-v1 104 4", "toy-v1 105 5", "toy-v1 106 6"]);
  });

  it("needs no freeze", () => {
    const machine = start(release, undefined, {}, { freeze: undefined, unfreeze: undefined } as never);
    machine.luo.serialize();
    expect(sessionsOf(machine)).toEqual(all);
  });

  it("unwinds: those before forward, sessions before in reverse, the failed one not at all", () => {
    const { luo, events } = start(release, (event) => (event === "freeze 6" ? "ENODEV" : undefined));
    expect(outcome(() => luo.serialize())).toBe("ENODEV");
    expect(events).toEqual([
      ...[1, 2, 3, 4, 5, 6].map((n) => `freeze ${n}`),
      ...[4, 5, 3, 1, 2].map((n) => `unfreeze ${n}`),
    ]);
  });

  it("leaves no bytes of a failed try, and can be tried again", () => {
    let errno: Errno | undefined = "EIO";
    const { kernel, luo, process, device, events } = start(release, undefined, {
      faults: { freeze: (session, token) => (session === "d" && token === 5n << 40n ? errno : undefined) },
    });
    expect(outcome(() => luo.serialize())).toBe("EIO");
    expect(events).toEqual(
      [1, 2, 3, 4].map((n) => `freeze ${n}`).concat([4, 3, 1, 2].map((n) => `unfreeze ${n}`)),
    );
    expect(bytesOf(kernel).includes("toy-v1")).toBe(false);
    // Names are gone; from 7.2 on the counts of their blocks stay, behind a root that does not point to them.
    expect(kernel.handedOver().luo.sessions).toEqual([]);
    device.createSession("e").preserve(toyFile(7n), 7n << 40n);
    errno = undefined;
    luo.serialize();
    expect(sessionsOf({ kernel })).toEqual([...all, ["e", "toy-v1 7 7"]]);
    expect(process.alive).toBe(true);
  });

  it("a failed try may be followed by a smaller one", () => {
    let errno: Errno | undefined = "EIO";
    const { kernel, luo, device } = start(release, undefined, { faults: { freeze: () => errno } });
    const many = Array.from({ length: 60 }, (_, i) => device.createSession(`m${i}`));
    const last = device.createSession("last");
    last.preserve(toyFile(9n), 1n);
    expect(outcome(() => luo.serialize())).toBe("EIO");
    for (const session of many) session.close();
    errno = undefined;
    luo.serialize();
    expect(kernel.handedOver()).toMatchObject({ findings: [], luo: { sessions: { length: 5 } } });
  });

  it("without sessions hands over a number and nothing else", () => {
    const kernel = fakeKernel({ release });
    kernel.luo.serialize();
    expect(kernel.handedOver()).toMatchObject({
      findings: [],
      luo: {
        compatible: release < "7.2" ? "luo-v1" : "luo-v5",
        liveupdateNumber: 1n,
        sessions: [],
        flbs: [],
      },
    });
  });

  it("an agent that is dead leaves nothing", () => {
    const { kernel, luo, process, events } = start(release);
    process.exit();
    expect(events).toEqual([2, 1, 3, 6, 5, 4].map((n) => `unpreserve ${n}`));
    luo.serialize();
    expect(kernel.handedOver()).toMatchObject({ findings: [], luo: { sessions: [] } });
  });

  it("the next kernel finds it all, and frees what carried it", () => {
    const machine = start(release);
    machine.luo.serialize();
    const next = fakeKernel({ release, ...handOver(machine.kernel) });
    next.luo.registerHandler(toyHandler([]));
    const process = next.process();
    const device = process.openLiveUpdate();
    expect(next.luo.number).toBe(2n);
    expect(next.luo.sessions("incoming").map(({ name, files }) => [name, files.length])).toEqual([
      ["a", 2],
      ["b", 0],
      ["c", 1],
      ["d", 3],
    ]);
    for (const name of ["c", "a", "d", "b"]) device.retrieveSession(name);
    process.exit();
    // The root and the FLB page are nobody's to free here.
    expect([...next.taken.keys()].map((pfn) => machine.kernel.owners.get(pfn))).toEqual(
      release < "7.0" ? ["luo root"] : ["luo root", "luo flb page"],
    );
    expect(next.lines).toEqual([]);
    // What came is not handed on.
    next.luo.serialize();
    expect(next.handedOver().luo.sessions).toEqual([]);
  });
});

describe.each(until("7.1"))("Linux %s finalizes KHO", (release) => {
  it("and a failure of that is EAGAIN, with everything frozen", () => {
    const { kernel, luo, events, device } = start(release, undefined, { finalize: "ENOMEM" });
    expect(outcome(() => luo.serialize())).toBe("EAGAIN");
    expect(events).toEqual([1, 2, 3, 4, 5, 6].map((n) => `freeze ${n}`));
    expect(kernel.calls).toEqual(["finalize"]);
    // It behaves as before, and freezes again.
    device.createSession("e");
    expect(outcome(() => luo.serialize())).toBe("EAGAIN");
  });

  it("and what such a try wrote goes when a later one fails at a file", () => {
    let errno: Errno | undefined;
    const { kernel, luo } = start(release, undefined, {
      finalize: "ENOMEM",
      faults: { freeze: (session, token) => (session === "d" && token === 5n << 40n ? errno : undefined) },
    });
    const name = `a${"\0".repeat(63)}`;
    expect(outcome(() => luo.serialize())).toBe("EAGAIN");
    expect([bytesOf(kernel).includes(name), bytesOf(kernel).includes("toy-v1")]).toEqual([true, true]);
    errno = "EIO";
    expect(outcome(() => luo.serialize())).toBe("EIO");
    expect([bytesOf(kernel).includes(name), bytesOf(kernel).includes("toy-v1")]).toEqual([false, false]);
  });
});

it.each(from("7.2"))("Linux %s leaves the counts of session blocks after a failure", (release) => {
  const { kernel, luo } = start(release, (event) => (event === "freeze 4" ? "EIO" : undefined));
  outcome(() => luo.serialize());
  const [pfn] = [...kernel.owners].find(([, owner]) => owner === "luo session block")!;
  const head = dump("0000  00 00 00 00 00 00 00 00  03 00 00 00 00 00 00 00");
  expect([...kernel.ram.read(BigInt(pfn) * 4096n, 4096)]).toEqual([...head, ...new Array(4080).fill(0)]);
});

/** The pages of 7.2 and 7.3 as the format is documented: one session of one file. */
it.each(from("7.2"))("Linux %s writes the bytes of the format's example", (release) => {
  const kernel = fakeKernel({ release });
  const flbHandler = toyHandler([], undefined, {
    compatible: "memfd-v2",
    preserve: () => ({ data: 0x105a3c000n, state: undefined }),
  });
  kernel.luo.registerHandler(flbHandler);
  const flb = {
    ...toyFlb([], "liveupdate-test-flb-v0"),
    preserve: () => ({ data: 0xfeedf00dcafebee0n, object: "" }),
  };
  kernel.luo.registerFlb(flbHandler, flb);
  kernel.process().openLiveUpdate().createSession("vm-agent").preserve(toyFile(), 0xabcd1234n);
  kernel.luo.serialize();
  const pageOf = (what: string) => {
    const [pfn] = [...kernel.owners].find(([, owner]) => owner === what)!;
    return { pa: BigInt(pfn) * 4096n, bytes: [...kernel.ram.read(BigInt(pfn) * 4096n, 4096)] };
  };
  const [root, sessions, files, flbs] = [
    "luo root",
    "luo session block",
    "luo file block",
    "luo flb page",
  ].map(pageOf) as [Page, Page, Page, Page];
  type Page = ReturnType<typeof pageOf>;
  const word = (pa: bigint) => Array.from({ length: 8 }, (_, i) => Number((pa >> BigInt(8 * i)) & 0xffn));
  const padded = (...parts: ArrayLike<number>[]) => {
    const bytes = parts.flatMap((part) => Array.from(part));
    return [...bytes, ...new Array(4096 - bytes.length).fill(0)];
  };
  const rootBytes = dump(`0000  6c 75 6f 2d 76 35 00 00  01 00 00 00 00 00 00 00`);
  expect(root.bytes).toEqual(padded(rootBytes, word(sessions.pa), word(flbs.pa)));
  const sessionBytes = dump(`
0000  00 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
0010  76 6d 2d 61 67 65 6e 74  00 00 00 00 00 00 00 00
0040  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00`);
  expect(sessions.bytes).toEqual(padded(sessionBytes, word(files.pa), word(1n)));
  const fileBytes = dump(`
0000  00 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
0010  6d 65 6d 66 64 2d 76 32  00 00 00 00 00 00 00 00
0040  00 c0 a3 05 01 00 00 00  34 12 cd ab 00 00 00 00`);
  expect(files.bytes).toEqual(padded(fileBytes));
  const name = new TextEncoder().encode("liveupdate-test-flb-v0");
  expect(flbs.bytes).toEqual(
    padded(
      word(1n),
      word(1n),
      name,
      new Array(48 - name.length).fill(0),
      word(0xfeedf00dcafebee0n),
      word(1n),
    ),
  );
});

/** What agents do with sessions and files, against a list of what must be there in the end. */
it.each(releases)("Linux %s hands over what is there, whatever came before", (release) => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("create" as const), name: fc.nat(70) }),
    fc.record({ do: fc.constant("close" as const), name: fc.nat(70) }),
    fc.record({ do: fc.constant("preserve" as const), name: fc.nat(70), token: fc.nat(5) }),
    fc.record({ do: fc.constant("fail" as const), name: fc.nat(70) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      let failing: string | undefined;
      const kernel = fakeKernel({
        release,
        faults: { freeze: (session) => (session === failing ? "EIO" : undefined) },
      });
      kernel.luo.registerHandler(toyHandler([]));
      const device = kernel.process().openLiveUpdate();
      const expected = new Map<
        string,
        { session: ReturnType<typeof device.createSession>; tokens: bigint[] }
      >();
      for (const what of steps) {
        const name = `s${what.name}`;
        const known = expected.get(name);
        if (what.do === "create") {
          // A refused duplicate is left to its own tests: it may leave an empty block.
          if (!known) expected.set(name, { session: device.createSession(name), tokens: [] });
        } else if (what.do === "close") {
          known?.session.close();
          expected.delete(name);
        } else if (what.do === "preserve") {
          const token = BigInt(what.token);
          if (!known) continue;
          const twice = known.tokens.includes(token);
          expect(outcome(() => known.session.preserve(toyFile(token), token))).toBe(twice ? "EEXIST" : "ok");
          if (!twice) known.tokens.push(token);
        } else if (known && known.tokens.length > 0) {
          failing = name;
          expect(outcome(() => kernel.luo.serialize())).toBe("EIO");
          failing = undefined;
        }
      }
      kernel.luo.serialize();
      const { luo, findings } = kernel.handedOver();
      expect(findings).toEqual([]);
      expect(luo.sessions.map(({ name, files }) => [name, files.map(({ token }) => token)])).toEqual(
        [...expected].map(([name, { tokens }]) => [name, tokens]),
      );
    }),
    { numRuns: 40 },
  );
});
