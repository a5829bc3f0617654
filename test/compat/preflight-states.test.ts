/** What single states come to: what gets lost, what cannot be known, and what is not in the capture. */
import { describe, expect, it } from "vitest";
import { seals as sealBits } from "../../formats/memfd/layout.js";
import { preserve, written } from "../../src/compat/plan.js";
import { parsePolicy } from "../../src/compat/preflight/policy.js";
import { packHandover } from "../../src/handover/index.js";
import { struct, u64 } from "../../src/layout/index.js";
import { type Departure, type Inode, Machine, openFile, structHandler } from "../../src/machine/index.js";
import { physAddr } from "../../src/memory/index.js";
import { depart } from "../machine/departures.js";
import { newTestFlbs } from "../machine/liveupdate-test.js";
import {
  ask,
  faring,
  fateOf,
  lacking,
  machineCapture,
  realCapture,
  recapture,
  released,
} from "./preflight-support.js";

const page = 4096;
const all = sealBits.F_SEAL_SEAL | sealBits.F_SEAL_SHRINK | sealBits.F_SEAL_GROW | sealBits.F_SEAL_WRITE;

/** A machine with a virtual machine's memory in a session, and whatever else. */
function left(release: string, more?: (machine: Machine) => void, pageSize = page): Departure {
  const machine = Machine.boot({ release, pageSize, reserveMem: [{ name: "trace", size: 4 * pageSize }] });
  more?.(machine);
  preserve(machine, [
    {
      name: "vm-0",
      files: [
        { token: 1n, size: 3 * pageSize, pos: 7, ranges: [written(0, 3)] },
        { token: 2n, size: pageSize, seals: all, ranges: [written(0)] },
      ],
    },
    { name: "agent", files: [] },
  ]);
  return depart(machine);
}

const withFlbs = (machine: Machine): void => {
  for (const flb of newTestFlbs()) machine.registerFlb(flb);
};
const flbNames = newTestFlbs().map(({ name }) => `flbs[${name}]`);

describe("FLBs", () => {
  const capture = machineCapture(left("7.0", withFlbs));

  it("are lost where the kernel has none, and everything else arrives", () => {
    const result = ask(capture, "6.19.10");
    expect([result.verdict, result.promised]).toEqual(["lossy", false]);
    expect(faring(result, "lossy")).toEqual(flbNames);
  });

  it("may get lost if the policy says so", () => {
    const policy = parsePolicy('{ "optional": ["flbs[*]"] }');
    const result = ask(capture, "6.19.10", { policy });
    expect([result.verdict, result.promised]).toEqual(["lossy", true]);
    expect(fateOf(result, flbNames[0]!)).toMatchObject({ verdict: "lossy", need: "optional" });
    const other = parsePolicy('{ "default": "optional", "mandatory": ["flbs[*-v1]"] }');
    expect(ask(capture, "6.19.10", { policy: other }).promised).toBe(false);
  });

  it("do not matter to a capture that has none", () => {
    expect(ask(machineCapture(left("7.0")), "6.19.10")).toMatchObject({ verdict: "works", promised: true });
  });
});

it.each([4096, 16384, 65536])("7.3 goes back to 7.2 with all there is, pages of %d bytes", (pageSize) => {
  const result = ask(machineCapture(left("7.3.4", withFlbs, pageSize)), "7.2");
  expect(result).toMatchObject({ verdict: "works", promised: true, detail: "" });
  expect(result.parts.map(({ part }) => part)).toEqual([
    "sessions[vm-0]",
    "sessions[vm-0].files[0]",
    "sessions[vm-0].files[1]",
    "sessions[agent]",
    ...flbNames,
    "reserve_mem[trace]",
    "kexec_metadata",
    "preserved",
  ]);
  expect(fateOf(result, "sessions[vm-0].files[0]")).toMatchObject({ bytes: BigInt(3 * pageSize), token: 1n });
  expect(fateOf(result, "reserve_mem[trace]").bytes).toBe(BigInt(4 * pageSize));
});

it.each([
  ["6.17.8", "6.16", "works"],
  ["6.16", "6.17.8", "works"],
  ["6.17.8", "6.17.9", "misread"],
  ["6.16", "6.18.15", "misread"],
  ["6.17.9", "6.17.8", "misread"],
  ["6.17.9", "7.0", "works"],
] as const)("%s to %s, whose bitmaps have one of two sizes: %s", (from, to, verdict) => {
  const machine = Machine.boot({ release: from, reserveMem: [{ name: "trace", size: 16 * page }] });
  const result = ask(machineCapture(depart(machine)), to);
  expect([result.verdict, result.promised]).toEqual([verdict, verdict === "works"]);
});

it("a kernel with pages of another size misreads everything", () => {
  const capture = machineCapture(left("7.3.4", undefined, 16384));
  const result = ask(capture, { ...released("7.3.4"), pageSize: 4096 });
  expect([result.verdict, result.promised]).toEqual(["misread", false]);
  expect(result.detail).toContain("expected 16384 bytes");
});

describe("what is not in the capture", () => {
  const departure = left("7.3.4");
  const whole = machineCapture(departure);
  const { luo, handoff } = whole.decoded.handover;
  const file = luo!.sessions[0]!.files[0]!;

  it("is not compared, if it is contents alone", () => {
    const { memory } = packHandover(whole.image, whole.decoded);
    const result = ask(recapture({ ...whole.image, memory }, departure), "7.2");
    expect(result).toMatchObject({ verdict: "works", promised: true, absent: [] });
    expect(fateOf(result, "sessions[vm-0].files[0]").detail).toBe("3 of its pages are not in the capture");
    // Where a kernel takes memory for something else it does so with or without the contents.
    expect(ask(recapture({ ...whole.image, memory }, departure), "7.1").verdict).toBe("ignored");
  });

  it("makes one file unknown, if it is the file's own structure", () => {
    const image = lacking(whole.image, file.data, page);
    const result = ask(recapture(image, departure), "7.2");
    expect([result.verdict, result.promised]).toEqual(["unknown", false]);
    expect(faring(result, "unknown")).toEqual(["sessions[vm-0].files[0]"]);
    const policy = parsePolicy('{ "optional": ["sessions[vm-0].files[0]"] }');
    expect(ask(recapture(image, departure), "7.2", { policy }).promised).toBe(true);
  });

  it.each([
    ["the list of sessions", luo!.sessions[0]!.pa],
    ["the files of a session", file.pa],
    ["the root of live update", whole.decoded.handover.subtrees.find(({ name }) => name === "LUO")!.pa],
    ["the memory map", whole.decoded.handover.preserved!.rootPa],
  ])("makes everything unknown, if it is %s", (_, pa) => {
    const start = pa - (pa % BigInt(page));
    const result = ask(recapture(lacking(whole.image, start, page), departure), "7.2");
    expect([result.verdict, result.promised]).toEqual(["unknown", false]);
    expect(result.absent).not.toEqual([]);
    // What the root alone decides is known all the same.
    expect(ask(recapture(lacking(whole.image, start, page), departure), "7.1").verdict).toBe("ignored");
  });

  it("is made up, if it is a hand-off or scratch areas", () => {
    const { decoded } = whole;
    const bare = {
      ...decoded,
      handover: {
        ...decoded.handover,
        scratch: [],
        handoff: { ...handoff, recordPa: physAddr(0), scratchPa: physAddr(0), scratchSize: 0n, fdtSize: 0n },
      },
    };
    const result = ask({ image: whole.image, decoded: bare }, "7.2");
    expect(result).toMatchObject({ verdict: "works", promised: true });
    expect(result.assumed).toHaveLength(3);
  });

  it("is all of it, in a copied folder", () => {
    const image = { ...whole.image, memory: { ...whole.image.memory, ranges: [] } };
    expect(() => ask({ ...whole, image }, "7.2")).toThrowError(
      expect.objectContaining({ code: "usage", expected: expect.stringContaining("ELF core") }),
    );
  });
});

describe("handlers and subtrees that nobody here knows", () => {
  const value = struct("counter_ser", { value: u64 }, { header: "none", since: "7.3" });
  const name = "counter-v1";
  const handler = structHandler({
    compatible: name,
    layout: value,
    is: (inode): inode is Inode => inode.type === name,
    save: () => ({ value: 5n }),
    load: () => ({ type: name, opens: 0, release: () => {} }),
  });
  const capture = machineCapture(
    left("7.3.4", (machine) => {
      machine.registerFileHandler(handler);
      const session = machine.liveupdate.createSession("counters");
      session.preserve(openFile({ type: name, opens: 0, release: () => {} }), 9n);
      machine.kho.addSubtree("vendor", machine.kho.allocPreserve(page, "vendor"), 64);
    }),
  );

  it("cannot be known of a release", () => {
    const result = ask(capture, "7.2");
    expect(faring(result, "unknown")).toEqual(["sessions[counters].files[0]", "subtrees[vendor]"]);
    expect([result.verdict, result.promised]).toEqual(["unknown", false]);
    // What it would cost if there is none, by trying it.
    expect(fateOf(result, "sessions[counters].files[0]").detail).toMatch(/without one refused: .*EIO/);
    const policy = parsePolicy('{ "optional": ["subtrees[vendor]", "sessions[counters]"] }');
    expect(ask(capture, "7.2", { policy }).promised).toBe(true);
  });

  it("are there if the image lists them", () => {
    const result = ask(capture, { ...released("7.2"), handlers: new Set(["luo-v5", "memfd-v2", name]) });
    expect(faring(result, "unknown")).toEqual(["subtrees[vendor]"]);
  });

  it("are not if it lists others: then no session can be reached", () => {
    const result = ask(capture, { ...released("7.2"), handlers: new Set(["luo-v5", "memfd-v2"]) });
    expect([result.verdict, result.promised]).toEqual(["refused", false]);
    expect(faring(result, "refused")).toContain("sessions[vm-0]");
  });

  it("are missing among those of the release, too, if the image does not list them", () => {
    const result = ask(machineCapture(left("7.3.4")), {
      ...released("7.2"),
      handlers: new Set(["memfd-v3"]),
    });
    expect(faring(result, "unknown")).toEqual(["sessions[vm-0].files[0]", "sessions[vm-0].files[1]"]);
  });
});

it("promises nothing of what the image has other structures for", () => {
  const capture = machineCapture(left("7.3.4", withFlbs));
  const told = (compatible: string): string[] =>
    faring(
      ask(capture, {
        ...released("7.3.4"),
        differences: [{ struct: "some", compatible, text: "struct some has 8 bytes, not 4" }],
      }),
      "unknown",
    );
  const [files, sessions] = [
    ["sessions[vm-0].files[0]", "sessions[vm-0].files[1]"],
    ["sessions[vm-0]", "sessions[agent]"],
  ];
  expect(told("memfd-v2")).toEqual(files);
  expect(told("luo-v5").sort()).toEqual([...files, ...sessions, ...flbNames].sort());
  expect(told("kexec-metadata version 1")).toEqual(["kexec_metadata"]);
  expect(told("kho-v4")).toHaveLength(9 + 1);
});

it("knows which test modules do not read each other's lists", () => {
  const capture = realCapture("6.18.15-resmem");
  expect(fateOf(ask(capture, "6.17.9"), "subtrees[kho_test]").verdict).toBe("lossy");
  expect(fateOf(ask(capture, "6.19"), "subtrees[kho_test]").verdict).toBe("works");
});
