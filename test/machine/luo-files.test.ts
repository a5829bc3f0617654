/** Files of sessions: behaviour of luo-machine, sections 4.1, 4.2, 5.2 to 5.4, 8 and 9. */
import { describe, expect, it } from "vitest";
import type { Errno } from "../../src/machine/errno.js";
import { type FileHandler, openFile } from "../../src/machine/kernel.js";
import type { Luo } from "../../src/machine/luo/luo.js";
import {
  type FakeOptions,
  fakeKernel,
  from,
  outcome,
  releases,
  toyFile,
  toyFlb,
  toyHandler,
  until,
} from "./luo-support.js";

function start(
  release: string,
  more: FakeOptions = {},
  refuse: (event: string) => Errno | undefined = () => undefined,
  handler: Partial<FileHandler> = {},
) {
  const events: string[] = [];
  const kernel = fakeKernel({ release, ...more });
  const toy = toyHandler(events, refuse, handler);
  kernel.luo.registerHandler(toy);
  const process = kernel.process();
  const device = process.openLiveUpdate();
  return { kernel, toy, process, device, events };
}

/** Everything that a refused call must leave as it was. */
const stateOf = (kernel: ReturnType<typeof fakeKernel>) => ({
  outgoing: kernel.luo.sessions("outgoing"),
  incoming: kernel.luo.sessions("incoming"),
  held: [...kernel.held.values()],
  preserved: [...kernel.preserved.values()],
});

const incoming = (...tokens: bigint[]): FakeOptions => ({
  incoming: {
    number: 1n,
    carrying: [],
    flbs: [],
    sessions: [
      {
        name: "in",
        carrying: [],
        files: tokens.map((token) => ({ compatible: "toy-v1", data: token, token })),
      },
    ],
  },
});

describe.each(releases)("Linux %s preserves", (release) => {
  it("in the order of the steps, and a failure undoes those before it", () => {
    let noMemory = false;
    let refused: string | undefined = "preserve 1";
    const { kernel, process, device, events } = start(
      release,
      { faults: { allocation: (what) => noMemory && what.startsWith("luo file") } },
      (event) => (event === refused ? "ENODEV" : undefined),
    );
    const session = device.createSession("a");
    const file = toyFile(1n);
    const before = stateOf(kernel);
    const refuses = (errno: string, call: () => void) => {
      expect(outcome(call)).toBe(errno);
      expect(stateOf(kernel)).toEqual(before);
      expect(file.refs).toBe(1);
    };
    refuses("EBADF", () => session.preserve(99, 1n));
    noMemory = true;
    // Up to 7.1 the memory is for the area and comes after the descriptor, from 7.2 it is for the block.
    refuses(release < "7.2" ? "EBADF" : "ENOMEM", () => session.preserve(99, 1n));
    refuses("ENOMEM", () => session.preserve(file, 1n));
    noMemory = false;
    refuses("ENOENT", () => session.preserve(toyFile(2n, "socket"), 1n));
    refuses("ENODEV", () => session.preserve(file, 1n));
    expect(process.fds).toEqual([0, 1]);
    refused = undefined;
    events.length = 0;
    session.preserve(file, 1n);
    // The token comes before all else.
    noMemory = true;
    expect(outcome(() => session.preserve(99, 1n))).toBe("EEXIST");
    expect(file.refs).toBe(2);
    expect(events).toEqual(["preserve 1"]);
    session.close();
    expect(file.refs).toBe(1);
    expect(events).toEqual(["preserve 1", "unpreserve 1"]);
    expect(kernel.preserved.size).toBe(kernel.held.size);
    expect(kernel.holding("luo file area") + kernel.holding("luo file block")).toBe(0);
  });

  it("by descriptor too, tokens of any value, each session with its own", () => {
    const { process, device } = start(release);
    const [a, b] = [device.createSession("a"), device.createSession("b")];
    const fd = process.install(toyFile(1n));
    a.preserve(fd, 0n);
    a.preserve(process.install(toyFile(2n)), (1n << 64n) - 1n);
    b.preserve(toyFile(3n), 0n);
    process.close(fd);
    a.close();
  });

  it("no session: there is no handler for it", () => {
    const { device } = start(release);
    const session = device.createSession("a");
    expect(outcome(() => session.preserve(session.fd, 1n))).toBe("ENOENT");
    expect(outcome(() => session.preserve(device.fd, 1n))).toBe("ENOENT");
  });

  it("with the first handler that says yes", () => {
    const { kernel, device, events } = start(release);
    kernel.luo.registerHandler(toyHandler(events, undefined, { compatible: "toy-v2" }));
    device.createSession("a").preserve(toyFile(1n), 1n);
    expect(kernel.luo.sessions("outgoing")[0]!.files[0]!.compatible).toBe("toy-v1");
  });

  it("one file once, from 7.1 on", () => {
    const { device } = start(release);
    const [a, b] = [device.createSession("a"), device.createSession("b")];
    const file = toyFile(1n);
    const twice = release < "7.1" ? "ok" : "EBUSY";
    a.preserve(file, 1n);
    expect(outcome(() => a.preserve(file, 2n))).toBe(twice);
    expect(outcome(() => b.preserve(file, 1n))).toBe(twice);
    // Another open file of the same inode is another one, unless the handler says otherwise.
    expect(outcome(() => a.preserve(openFile(file.inode), 3n))).toBe("ok");
    a.close();
    b.close();
    device.createSession("c").preserve(file, 1n);
  });

  it("what its handler calls one file once, from 7.1 on", () => {
    const { device } = start(release, {}, undefined, { getId: ({ inode }) => inode });
    const session = device.createSession("a");
    const file = toyFile(1n);
    session.preserve(file, 1n);
    expect(outcome(() => session.preserve(openFile(file.inode), 2n))).toBe(release < "7.1" ? "ok" : "EBUSY");
  });

  it("a file that failed can be tried again", () => {
    let fails = true;
    const { device } = start(release, {}, () => (fails ? "EFBIG" : undefined));
    const session = device.createSession("a");
    const file = toyFile(1n);
    expect(outcome(() => session.preserve(file, 1n))).toBe("EFBIG");
    fails = false;
    session.preserve(file, 1n);
  });

  it("and takes back in reverse, whoever closes the last descriptor", () => {
    const { kernel, process, device, events } = start(release);
    const session = device.createSession("a");
    const files = [1n, 2n, 3n].map((n) => toyFile(n));
    for (const [i, file] of files.entries()) {
      session.preserve(process.install(file), BigInt(i));
    }
    events.length = 0;
    const heir = kernel.process();
    process.pass(session.fd, heir);
    process.exit();
    expect(events).toEqual([]);
    // Nobody but live update holds the files now.
    expect(files.map(({ inode }) => inode.released)).toEqual([false, false, false]);
    heir.exit();
    expect(events).toEqual(["unpreserve 3", "unpreserve 2", "unpreserve 1"]);
    expect(files.map(({ inode }) => inode.released)).toEqual([true, true, true]);
    expect(kernel.preserved.size).toBe(fakeKernel({ release }).preserved.size);
  });
});

describe("room for files", () => {
  it.each(
    [
      [4096, 128],
      [16384, 512],
      [65536, 2048],
    ].flatMap(([pageSize, most]) => until("7.2").map((release) => [release, pageSize!, most!] as const)),
  )("Linux %s with pages of %i: %i", (release, pageSize, most) => {
    const { device } = start(release, { pageSize });
    const session = device.createSession("a");
    for (let i = 0; i < most; i++) session.preserve(toyFile(BigInt(i)), BigInt(i));
    expect(outcome(() => session.preserve(toyFile(9n), 99999n))).toBe("ENOSPC");
    // The token first, then room, then the descriptor.
    expect(outcome(() => session.preserve(99, 0n))).toBe("EEXIST");
    expect(outcome(() => session.preserve(99, 99999n))).toBe("ENOSPC");
  });

  it.each(from("7.2"))("Linux %s: blocks of 63, also after refusals", (release) => {
    const { kernel, device } = start(release);
    const session = device.createSession("a");
    for (let i = 0; i < 63; i++) session.preserve(toyFile(BigInt(i)), BigInt(i));
    const blocks = () => kernel.holding("luo file block");
    expect(blocks()).toBe(1);
    expect(outcome(() => session.preserve(99, 99n))).toBe("EBADF");
    expect(outcome(() => session.preserve(99, 1n))).toBe("EEXIST");
    // Unlike the list of sessions, this one is shrunk.
    expect(blocks()).toBe(1);
    session.preserve(toyFile(99n), 99n);
    expect(blocks()).toBe(2);
    kernel.luo.serialize();
    expect(kernel.handedOver()).toMatchObject({
      findings: [],
      luo: { sessions: [{ files: { length: 64 } }] },
    });
  });
});

describe.each(releases)("Linux %s retrieves", (release) => {
  it("once, and any number of descriptors of it", () => {
    const { process, device, events } = start(release, incoming(1n, 2n));
    const session = device.retrieveSession("in");
    expect(outcome(() => session.retrieve(3n))).toBe("ENOENT");
    const [first, second] = [session.retrieve(2n), session.retrieve(2n)];
    expect(first).not.toBe(second);
    expect(process.file(first)).toBe(process.file(second));
    expect(process.file(first).refs).toBe(3);
    expect(events).toEqual(["retrieve 2"]);
  });

  it("and remembers what failed", () => {
    let errno: Errno = "EIO";
    const { kernel, process, device, events } = start(release, incoming(1n), () => errno);
    const session = device.retrieveSession("in");
    const before = process.fds;
    expect(outcome(() => session.retrieve(1n))).toBe("EIO");
    errno = "ENOMEM";
    expect(outcome(() => session.retrieve(1n))).toBe("EIO");
    expect(events).toEqual(["retrieve 1"]);
    expect(process.fds).toEqual(before);
    expect(kernel.luo.sessions("incoming")[0]!.files[0]!.status).toBe("failed");
  });

  it("the first file of a token that occurs twice", () => {
    const { device, events } = start(release, {
      incoming: {
        ...incoming().incoming!,
        sessions: [
          {
            name: "in",
            carrying: [],
            files: [7n, 8n].map((data) => ({ compatible: "toy-v1", data, token: 1n })),
          },
        ],
      },
    });
    device.retrieveSession("in").retrieve(1n);
    expect(events).toEqual(["retrieve 7"]);
  });

  it("not before there is a descriptor for it", () => {
    const { kernel, events } = start(release, incoming(1n));
    kernel.process();
    const small = fakeKernel({ release, ...incoming(1n) });
    small.luo.registerHandler(toyHandler(events));
    const session = small.process(2).openLiveUpdate().retrieveSession("in");
    expect(outcome(() => session.retrieve(1n))).toBe("EMFILE");
    expect(events).toEqual([]);
  });

  it("what counts as preserved until it is finished, from 7.1 on", () => {
    const { process, device } = start(release, incoming(1n));
    const session = device.retrieveSession("in");
    const fd = session.retrieve(1n);
    const next = device.createSession("next");
    expect(outcome(() => next.preserve(fd, 1n))).toBe(release < "7.1" ? "ok" : "EBUSY");
    session.finish();
    expect(outcome(() => next.preserve(fd, 2n))).toBe("ok");
    session.close();
    // Descriptors outlive the session.
    expect(process.file(fd).inode.type).toBe("toy");
  });
});

describe.each(releases)("Linux %s finishes", (release) => {
  it("all files in reverse, each with what became of it, and the session stays until it is closed", () => {
    const { kernel, process, device, events } = start(release, incoming(1n, 2n, 3n), (event) =>
      event === "retrieve 2" ? "EIO" : undefined,
    );
    const session = device.retrieveSession("in");
    const fd = session.retrieve(1n);
    outcome(() => session.retrieve(2n));
    events.length = 0;
    session.finish();
    expect(events).toEqual([
      "can finish 1 retrieved",
      "can finish 2 failed",
      "can finish 3 untried",
      "finish untried 3",
      "finish failed 2",
      "finish retrieved 1",
    ]);
    expect(process.file(fd).refs).toBe(1);
    expect(kernel.luo.sessions("incoming")).toEqual([{ name: "in", retrieved: true, files: [] }]);
    expect(outcome(() => session.retrieve(1n))).toBe("ENOENT");
    session.finish();
    expect(outcome(() => device.retrieveSession("in"))).toBe("EINVAL");
    session.close();
    expect(kernel.luo.sessions("incoming")).toEqual([]);
  });

  it("nothing if one handler cannot", () => {
    let no = true;
    const { kernel, device, events } = start(release, incoming(1n, 2n, 3n), (event) =>
      event === "can finish 2" && no ? "EBUSY" : undefined,
    );
    const session = device.retrieveSession("in");
    const before = stateOf(kernel);
    expect(outcome(() => session.finish())).toBe("EBUSY");
    expect(events).toEqual(["can finish 1 untried", "can finish 2 untried"]);
    expect(stateOf(kernel)).toEqual(before);
    // Closing goes through all the same, and the session is lost to everybody until the reboot.
    session.close();
    expect(kernel.luo.sessions("incoming")).toEqual(before.incoming);
    expect(outcome(() => device.retrieveSession("in"))).toBe("EINVAL");
    no = false;
  });

  it("when the last descriptor is closed, and the agent's death is that", () => {
    const { kernel, process, device, events } = start(release, incoming(1n, 2n));
    process.install(process.file(device.retrieveSession("in").retrieve(1n)));
    process.exit();
    expect(events.slice(-2)).toEqual(["finish untried 2", "finish retrieved 1"]);
    expect(kernel.luo.sessions("incoming")).toEqual([]);
  });

  it("and frees what carried the records", () => {
    const { kernel, device } = start(release, {
      received: new Map([[0x700, 1]]),
      incoming: {
        ...incoming().incoming!,
        sessions: [
          {
            name: "in",
            carrying: [0x700000n as never, 0x900000n as never],
            files: [{ compatible: "toy-v1", data: 1n, token: 1n }],
          },
        ],
      },
    });
    const session = device.retrieveSession("in");
    expect(kernel.held.has(0x700)).toBe(true);
    session.finish();
    expect(kernel.held.has(0x700)).toBe(false);
    // The other was never received, and stays nobody's.
    expect(kernel.held.has(0x900)).toBe(false);
  });
});

describe("before 7.1 any session takes any call", () => {
  it.each(until("7.1"))("Linux %s preserves into an incoming one, where it is lost", (release) => {
    const { kernel, device, events } = start(release, incoming(1n));
    const session = device.retrieveSession("in");
    expect(outcome(() => session.preserve(toyFile(2n), 1n))).toBe("EEXIST");
    session.preserve(toyFile(2n), 2n);
    kernel.luo.serialize();
    expect(kernel.handedOver().luo.sessions).toEqual([]);
    session.finish();
    expect(events.slice(-2)).toEqual(["finish untried 2", "finish untried 1"]);
  });
});

describe("registering a handler", () => {
  const register = (luo: Luo, more: Partial<FileHandler> = {}) =>
    outcome(() => luo.registerHandler(toyHandler([], undefined, more)));

  it.each(releases)("Linux %s: callbacks, names, sessions", (release) => {
    const { luo, process } = fakeKernel({ release });
    for (const callback of ["canPreserve", "preserve", "unpreserve", "retrieve", "finish"])
      expect(register(luo, { [callback]: undefined }), callback).toBe("EINVAL");
    expect(register(luo, { freeze: undefined, unfreeze: undefined, canFinish: undefined } as never)).toBe(
      "ok",
    );
    expect(register(luo)).toBe("EEXIST");
    process().openLiveUpdate().createSession("a");
    expect(register(luo, { compatible: "other" })).toBe(release < "7.1" ? "EBUSY" : "ok");
  });

  it.each(until("7.1"))("Linux %s: incoming sessions count, too", (release) => {
    const { luo, process } = fakeKernel({ release, ...incoming() });
    process().openLiveUpdate();
    expect(register(luo)).toBe("EBUSY");
  });

  it("names have at most 47 bytes", () => {
    const { luo } = fakeKernel();
    expect(register(luo, { compatible: "x".repeat(47) })).toBe("ok");
    for (const compatible of ["", "y".repeat(48)])
      expect(() => register(luo, { compatible })).toThrow(/name/);
  });

  it.each(until("7.0"))("Linux %s has no FLBs", (release) => {
    const { luo } = fakeKernel({ release });
    const handler = toyHandler([]);
    luo.registerHandler(handler);
    expect(outcome(() => luo.registerFlb(handler, toyFlb([])))).toBe("EOPNOTSUPP");
  });
});
