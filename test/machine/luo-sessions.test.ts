/** Sessions and the device: behaviour of luo-machine, sections 2, 3, 5.1, 5.4. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { bytesFromText, textFromBytes } from "../../src/layout/index.js";
import { errnos } from "../../src/machine/errno.js";
import { newFileStore, newSessionStore } from "../../src/machine/luo/store.js";
import { physAddr } from "../../src/memory/index.js";
import { isKhoError } from "../../src/report/error.js";
import {
  type FakeOptions,
  fakeKernel,
  from,
  handOver,
  outcome,
  releases,
  toyFile,
  toyHandler,
  until,
} from "./luo-support.js";

const session = (name: string, files: { compatible: string; data: bigint; token: bigint }[] = []) => ({
  name,
  files,
  carrying: [],
});
const toy = (token: bigint) => ({ compatible: "toy-v1", data: token, token });
const incomingOf = (...sessions: ReturnType<typeof session>[]): FakeOptions["incoming"] & object => ({
  number: 1n,
  sessions,
  flbs: [],
  carrying: [],
});

/** What the kernels of the dumps answered: fixtures' truth.json, `refused`. */
describe.each([
  ["6.19.10-memfd", "6.19.10", 4096],
  ["7.1.13-memfd", "7.1.13", 4096],
  ["7.3-memfd", "7.3.4", 4096],
  ["7.3-arm64-64k-memfd", "7.3", 65536],
])("%s", (fixture, release, pageSize) => {
  const { refused } = JSON.parse(
    readFileSync(new URL(`../../fixtures/${fixture}/truth.json`, import.meta.url), "utf8"),
  ) as { refused: string[] };
  const kernel = fakeKernel({ release, pageSize });
  kernel.luo.registerHandler(toyHandler([]));
  const process = kernel.process();
  const device = process.openLiveUpdate();
  const c = device.createSession("neg");
  const create = (name: string) => {
    const result = outcome(() => device.createSession(name).close());
    return result === "ok" ? 0 : errnos[result];
  };
  const preserve = (file: ReturnType<typeof toyFile>, token: bigint, to = c) => {
    const result = outcome(() => to.preserve(file, token));
    return result === "ok" ? 0 : errnos[result];
  };

  it("refuses what the real kernel refused", () => {
    const [a, b] = [toyFile(1n), toyFile(2n)];
    const answers = [
      `duplicate-session ${create("neg")}`,
      `name-64-bytes-unterminated ${create("x".repeat(64))}`,
      `empty-name ${create("")}`,
      `rootfs-file ${preserve(toyFile(3n, "file"), 1n)}`,
      // The descriptor number there is of a process with other files open.
      `hugetlb-memfd fd 8 res ${preserve(toyFile(4n, "hugetlb"), 2n)}`,
      `ok-memfd ${preserve(a, 3n)}`,
      `same-file-again-other-token ${preserve(a, 4n)}`,
      `same-token-other-file ${preserve(b, 3n)}`,
    ];
    c.close();
    const many = device.createSession("cap");
    let [done, errno] = [0, 0];
    for (; done < 300; done++)
      if ((errno = preserve(toyFile(BigInt(done)), BigInt(1000 + done), many))) break;
    answers.push(`max-empty-files-per-session ${done} then ${errno}`);
    expect(answers).toEqual(refused);
  });
});

describe.each(releases)("Linux %s", (release) => {
  const start = (more: FakeOptions = {}) => {
    const kernel = fakeKernel({ release, ...more });
    kernel.luo.registerHandler(toyHandler([]));
    const process = kernel.process(20_000);
    return { kernel, process, device: process.openLiveUpdate() };
  };

  it("names are 63 bytes of anything", () => {
    const { device, kernel } = start();
    const name = textFromBytes(Uint8Array.from({ length: 63 }, (_, i) => 0xff - i));
    device.createSession(name);
    expect(outcome(() => device.createSession(name))).toBe("EEXIST");
    expect(bytesFromText(kernel.luo.sessions("outgoing")[0]!.name)).toHaveLength(63);
  });

  it("names of 64 bytes are cut or refused, and told apart as they are stored", () => {
    const { device, kernel } = start();
    const cut = release < "7.1";
    // The last character of two bytes loses its second.
    const long = `${"x".repeat(62)}é`;
    expect(outcome(() => device.createSession(long))).toBe(cut ? "ok" : "EINVAL");
    expect(outcome(() => device.createSession(""))).toBe(cut ? "ok" : "EINVAL");
    if (!cut) return;
    expect(outcome(() => device.createSession(""))).toBe("EEXIST");
    expect(outcome(() => device.createSession(`${"x".repeat(62)}è`))).toBe("EEXIST");
    expect(bytesFromText(kernel.luo.sessions("outgoing")[0]!.name)).toHaveLength(63);
  });

  it("closing gives the name back, dying closes everything", () => {
    const { kernel, process, device } = start();
    const first = device.createSession("a");
    first.close();
    device.createSession("a");
    device.createSession("b");
    process.exit();
    expect(kernel.luo.sessions("outgoing")).toEqual([]);
    expect(process.alive).toBe(false);
    kernel.process().openLiveUpdate();
  });

  it("a session whose descriptor somebody else has lives on", () => {
    const { kernel, process, device } = start();
    const heir = kernel.process();
    process.pass(device.createSession("a").fd, heir);
    process.exit();
    expect(kernel.luo.sessions("outgoing")).toHaveLength(1);
    heir.exit();
    expect(kernel.luo.sessions("outgoing")).toEqual([]);
  });

  it("a full table of descriptors refuses without a trace", () => {
    const kernel = fakeKernel({ release });
    const device = kernel.process(1).openLiveUpdate();
    expect(outcome(() => device.createSession("a"))).toBe("EMFILE");
    expect(kernel.luo.sessions("outgoing")).toEqual([]);
  });

  it("no memory for a session is ENOMEM", () => {
    const { device } = start({ faults: { allocation: (what) => what === "luo session" } });
    expect(outcome(() => device.createSession("a"))).toBe("ENOMEM");
  });

  it("the two lists have name spaces of their own", () => {
    const { device } = start({ incoming: incomingOf(session("a")) });
    device.createSession("a");
    device.retrieveSession("a");
  });

  it("an incoming session can be retrieved once", () => {
    const { device, kernel } = start({ incoming: incomingOf(session("a"), session("b")) });
    expect(outcome(() => device.retrieveSession("c"))).toBe("ENOENT");
    const a = device.retrieveSession("a");
    expect(outcome(() => device.retrieveSession("a"))).toBe("EINVAL");
    a.close();
    expect(outcome(() => device.retrieveSession("a"))).toBe("ENOENT");
    expect(kernel.luo.sessions("incoming").map(({ name, retrieved }) => [name, retrieved])).toEqual([
      ["b", false],
    ]);
  });

  it("a session waits for another agent if the first dies before it asks for it", () => {
    const { kernel, process } = start({ incoming: incomingOf(session("a")) });
    process.exit();
    kernel.process().openLiveUpdate().retrieveSession("a");
  });

  it("the device is exclusive until its last descriptor is closed", () => {
    const { kernel, process, device } = start();
    const other = kernel.process();
    const copy = process.dup(device.fd);
    expect(outcome(() => other.openLiveUpdate())).toBe("EBUSY");
    device.close();
    expect(outcome(() => other.openLiveUpdate())).toBe("EBUSY");
    process.close(copy);
    other.openLiveUpdate();
  });

  it("there is no device without live update, and nothing can be registered", () => {
    for (const off of [{ enabled: false }, { kho: false }]) {
      const { luo, process, subtrees, held } = fakeKernel({ release, ...off });
      expect(luo.enabled).toBe(false);
      expect(luo.number).toBe(0n);
      expect(subtrees).toEqual([]);
      expect(held.size).toBe(0);
      expect(outcome(() => process().openLiveUpdate())).toBe("ENOENT");
      expect(outcome(() => luo.registerHandler(toyHandler([])))).toBe("EOPNOTSUPP");
      luo.serialize();
    }
  });

  it("without the memory for its root live update is off, and nothing stays allocated", () => {
    for (const what of ["luo root", "luo session area", "luo flb page"]) {
      const { luo, held, preserved, owners } = fakeKernel({
        release,
        faults: { allocation: (purpose) => purpose === what },
      });
      // What a release does not allocate at boot cannot fail.
      const needed = what === "luo root" || (what === "luo flb page" ? release >= "7.0" : release < "7.2");
      expect(luo.enabled, what).toBe(!needed);
      if (needed) expect([held.size, preserved.size], what).toEqual([0, 0]);
      expect([...owners.values()]).not.toContain(what);
    }
  });

  it("the number counts kernels in the chain", () => {
    expect(fakeKernel({ release }).handedOver().luo.liveupdateNumber).toBe(1n);
    const next = fakeKernel({ release, incoming: { ...incomingOf(), number: 41n } });
    expect(next.luo.number).toBe(42n);
    expect(next.handedOver()).toMatchObject({ luo: { liveupdateNumber: 42n }, findings: [] });
  });
});

describe("what stands in the way of the incoming sessions", () => {
  const open = (kernel: ReturnType<typeof fakeKernel>) =>
    outcome(() => kernel.process().openLiveUpdate().close());

  it.each(releases)("Linux %s: two of one name, now and for ever", (release) => {
    const kernel = fakeKernel({ release, incoming: incomingOf(session("a"), session("a")) });
    expect([open(kernel), open(kernel)]).toEqual(["EIO", "EIO"]);
  });

  it.each(releases)("Linux %s: no memory for a session", (release) => {
    let fails = true;
    const kernel = fakeKernel({
      release,
      faults: { allocation: (what) => what === "luo session" && fails },
      incoming: incomingOf(session("a")),
    });
    expect(open(kernel)).toBe("EIO");
    fails = false;
    // Before 7.1 it is forgotten, and so are the sessions.
    expect(open(kernel)).toBe(release < "7.1" ? "ok" : "EIO");
    expect(kernel.luo.sessions("incoming")).toEqual([]);
  });

  const files = [toy(1n), { ...toy(2n), compatible: "unknown" }, toy(3n)];
  it.each(from("7.1"))("Linux %s: a file without a handler", (release) => {
    const kernel = fakeKernel({ release, incoming: incomingOf(session("a", files), session("b")) });
    kernel.luo.registerHandler(toyHandler([]));
    expect([open(kernel), open(kernel)]).toEqual(["EIO", "EIO"]);
    expect(kernel.luo.sessions("incoming").map(({ name }) => name)).toEqual(["a"]);
  });
  it.each(until("7.1"))("Linux %s: a file without a handler is left out with all behind it", (release) => {
    const kernel = fakeKernel({ release, incoming: incomingOf(session("a", files), session("b")) });
    kernel.luo.registerHandler(toyHandler([]));
    expect(open(kernel)).toBe("ok");
    expect(kernel.luo.sessions("incoming").map(({ name, files: of }) => [name, of.length])).toEqual([
      ["a", 1],
      ["b", 0],
    ]);
    const process = kernel.process();
    process.openLiveUpdate().retrieveSession("a").close();
    expect(kernel.lines.filter((line) => line.startsWith("WARNING"))).toHaveLength(1);
  });

  it.each(releases)("Linux %s: a fault in a session's records", (release) => {
    const fault = { errno: "EINVAL", detail: "the count is wrong" } as const;
    const kernel = fakeKernel({ release, incoming: incomingOf({ ...session("a"), ...{ fault } }) });
    expect(open(kernel)).toBe(release < "7.1" ? "ok" : "EIO");
  });

  it.each(releases)("Linux %s: an oops kills the process, and the device stays in use", (release) => {
    const kernel = fakeKernel({
      release,
      incoming: { ...incomingOf(), fault: { detail: "outside of RAM" } },
    });
    try {
      kernel.process().openLiveUpdate();
      expect.unreachable();
    } catch (error) {
      expect(isKhoError(error, "machine-oops") && error.consequence).toMatchObject({ outcome: "panic" });
    }
    expect(open(kernel)).toBe("EBUSY");
  });

  it("what carried the sessions is freed by the first open", () => {
    const kernel = fakeKernel({
      received: new Map([
        [0x500, 0],
        [0x510, 4],
      ]),
      incoming: { ...incomingOf(session("a")), carrying: [physAddr(0x500000), physAddr(0x510000)] },
    });
    expect(kernel.held.get(0x510)).toBe(4);
    expect(open(kernel)).toBe("ok");
    expect([kernel.held.has(0x500), kernel.held.has(0x510)]).toEqual([false, false]);
  });
});

describe("capacity", () => {
  const names = (count: number) => Array.from({ length: count }, (_, i) => `s${i}`);

  it.each([
    [4096, 819],
    [16384, 3276],
    [65536, 13107],
  ])("7.1 has room for sessions with pages of %i: %i", (pageSize, most) => {
    const { process } = fakeKernel({ release: "7.1.13", pageSize });
    const device = process(20_000).openLiveUpdate();
    for (const name of names(most)) device.createSession(name);
    expect(outcome(() => device.createSession("more"))).toBe("ENOMEM");
    // The test of room comes first.
    expect(outcome(() => device.createSession("s0"))).toBe("ENOMEM");
  });

  it("7.2 allocates a block for every 51 sessions, and gives it back", () => {
    const kernel = fakeKernel({ release: "7.2" });
    const blocks = () => kernel.holding("luo session block");
    const device = kernel.process().openLiveUpdate();
    expect(blocks()).toBe(0);
    const sessions = names(103).map((name, i) => {
      const created = device.createSession(name);
      expect(blocks()).toBe(Math.floor(i / 51) + 1);
      return created;
    });
    for (const [i, { close }] of sessions.entries()) {
      close();
      expect(blocks()).toBe(Math.ceil((102 - i) / 51));
    }
    expect(kernel.preserved.size).toBe(2);
  });

  it("7.2 links blocks as they come and go", () => {
    const kernel = fakeKernel({ release: "7.2" });
    const device = kernel.process().openLiveUpdate();
    const sessions = names(52).map((name) => device.createSession(name));
    const [first, second] = [...kernel.owners].filter(([, owner]) => owner === "luo session block");
    const next = () =>
      new DataView(kernel.ram.read(BigInt(first![0]) * 4096n, 8).buffer).getBigUint64(0, true);
    expect(next()).toBe(BigInt(second![0]) * 4096n);
    sessions[0]!.close();
    expect(next()).toBe(0n);
  });

  it("7.2 makes room before it looks at the name, too", () => {
    let refuse = false;
    const faults = { allocation: (what: string) => refuse && what === "luo session block" };
    const device = fakeKernel({ release: "7.2", faults }).process().openLiveUpdate();
    for (const name of names(51)) device.createSession(name);
    refuse = true;
    expect(outcome(() => device.createSession("more"))).toBe("ENOMEM");
    expect(outcome(() => device.createSession("s0"))).toBe("ENOMEM");
  });

  it.each([
    ["sessions", 510_000],
    ["files", 630_000],
  ])("7.2 has blocks for %s, 10000 of them: %i", (what, most) => {
    const { core } = fakeKernel({ release: "7.2" });
    const store = what === "files" ? newFileStore(core) : newSessionStore(core, physAddr(0));
    for (let count = 0; count < most; count += most / 10_000) store.reserve(count);
    store.reserve(most - 1);
    expect(outcome(() => store.reserve(most))).toBe("ENOSPC");
  });

  describe.each(from("7.2"))("Linux %s and a refused duplicate", (release) => {
    /** Blocks as the decoder sees them after `count` sessions, and what it says. */
    const handedOverAfter = (count: number, then: (device: Device, sessions: Session[]) => void) => {
      const kernel = fakeKernel({ release });
      const device = kernel.process().openLiveUpdate();
      const sessions = names(count).map((name) => device.createSession(name));
      then(device, sessions);
      kernel.luo.serialize();
      const { luo, findings } = kernel.handedOver();
      return { sessions: luo.sessions.length, codes: findings.map(({ code }) => code) };
    };
    type Device = ReturnType<ReturnType<ReturnType<typeof fakeKernel>["process"]>["openLiveUpdate"]>;
    type Session = ReturnType<Device["createSession"]>;
    const duplicate = (device: Device) => expect(outcome(() => device.createSession("s0"))).toBe("EEXIST");
    it("leaves an empty block behind 51 sessions, which the next kernel does not take", () => {
      expect(handedOverAfter(51, duplicate)).toEqual({ sessions: 51, codes: ["block-bad-count"] });
      expect(
        handedOverAfter(102, (device) => {
          duplicate(device);
          duplicate(device);
        }),
      ).toEqual({ sessions: 102, codes: ["block-bad-count"] });
    });
    it("and none behind 50 or 52", () => {
      for (const count of [50, 52])
        expect(handedOverAfter(count, duplicate)).toEqual({ sessions: count, codes: [] });
      expect(handedOverAfter(51, () => {})).toEqual({ sessions: 51, codes: [] });
    });
    it("the next session fills it, the next close shrinks it", () => {
      const fill = (device: Device) => {
        duplicate(device);
        device.createSession("more");
      };
      expect(handedOverAfter(51, fill)).toEqual({ sessions: 52, codes: [] });
      const shrink = (device: Device, sessions: Session[]) => {
        duplicate(device);
        sessions[7]!.close();
      };
      expect(handedOverAfter(51, shrink)).toEqual({ sessions: 50, codes: [] });
    });
  });

  it.each(until("7.2"))("Linux %s does not have that fault", (release) => {
    const kernel = fakeKernel({ release });
    const device = kernel.process().openLiveUpdate();
    for (const name of names(51)) device.createSession(name);
    expect(outcome(() => device.createSession("s0"))).toBe("EEXIST");
    kernel.luo.serialize();
    expect(kernel.handedOver()).toMatchObject({ findings: [], luo: { sessions: { length: 51 } } });
  });
});

it.each(releases)("Linux %s hands over sessions in the order of creation, and empty ones too", (release) => {
  const old = fakeKernel({ release });
  const device = old.process().openLiveUpdate();
  const made = ["c", "a", "b"].map((name) => device.createSession(name));
  made[1]!.close();
  device.createSession("a");
  old.luo.serialize();
  const next = fakeKernel({ release, ...handOver(old) });
  next.process().openLiveUpdate();
  expect(next.luo.sessions("incoming").map(({ name }) => name)).toEqual(["c", "b", "a"]);
  expect(next.luo.number).toBe(2n);
});
