import { describe, expect, test } from "vitest";
import type { PhysAddr } from "../../src/index.js";
import {
  type HopReport,
  parseScenario,
  type RunOptions,
  runScenario,
  type ScenarioReport,
} from "../../src/scenario/index.js";

const run = (scenario: object, options: RunOptions = {}): ScenarioReport =>
  runScenario(parseScenario(JSON.stringify(scenario)), options);

const vm = (more: object = {}): object => ({
  sessions: { name: "vm-{}", count: 2, files: [{ token: 7, size: 8192, pattern: [{}] }] },
  ...more,
});
const retrieve = { retrieve: { name: "vm-{}", count: 2 } };
const two = (steps: object[], after: object[], more: object = {}): object => ({
  kernels: [
    { release: "7.3.4", steps, ...more },
    { release: "7.3.4", steps: after, ...more },
  ],
});
const resultsOf = ({ hops }: ScenarioReport): string[] =>
  hops.flatMap(({ steps }) => steps.map(({ result, refused = "" }) => `${result} ${refused}`.trim()));
const fileOf = ({ left }: HopReport, session: number) =>
  left!.handover.luo!.sessions[session]!.files[0]!.memfd!;

describe("runScenario", () => {
  test("names sessions by number and counts what it does", () => {
    const report = run(two([vm()], [retrieve]));
    expect(report.fine).toBe(true);
    expect(report.hops.map(({ steps }) => steps)).toMatchObject([
      [{ agent: "agent", what: "create vm-0 to vm-1", result: "fine", files: 2, bytes: 16384n }],
      [{ agent: "agent", what: "retrieve vm-0 to vm-1", result: "fine", files: 2, bytes: 16384n }],
    ]);
    const [{ left }] = report.hops as [HopReport];
    expect(left!.handover.luo!.sessions.map(({ name }) => name)).toEqual(["vm-0", "vm-1"]);
    expect(report.hops[1]!.departure).toBeUndefined();
  });

  test("finds every file whose content, size or position is another one", () => {
    const tampered = (change: (hop: HopReport) => void): ScenarioReport =>
      run(two([vm()], [retrieve]), { onHop: (hop, index) => index === 0 && change(hop) });
    const flip = (hop: HopReport, pa: bigint): void => {
      const { memory } = hop.departure!;
      const at = pa as PhysAddr;
      memory.write(at, Uint8Array.of(memory.read(at, 1)[0]! ^ 1));
    };
    const pageOf = (hop: HopReport, session: number, page: number): bigint => {
      const { pfn } = fileOf(hop, session).folios;
      return BigInt(pfn[0]! + page) * 4096n;
    };
    // The last byte of the second page.
    const once = tampered((hop) => flip(hop, pageOf(hop, 1, 1) + 4095n));
    expect(once.fine).toBe(false);
    expect(once.hops[1]!.steps[0]).toMatchObject({
      result: "failed",
      detail: "1 of 2 files came out otherwise than preserved; file 0x7 of vm-1: page 1 has another content",
    });
    const twice = tampered((hop) => {
      flip(hop, pageOf(hop, 0, 0));
      flip(hop, pageOf(hop, 1, 0));
    });
    expect(twice.hops[1]!.steps[0]!.detail).toMatch(/^2 of 2 files .* 0x7 of vm-0: page 0 has/);
    // The structure of a memfd begins with its position and its size.
    const positions = tampered((hop) => flip(hop, hop.left!.handover.luo!.sessions[0]!.files[0]!.data));
    expect(positions.hops[1]!.steps[0]!.detail).toContain("its position is 1 instead of 0");
    const sizes = tampered((hop) => flip(hop, hop.left!.handover.luo!.sessions[0]!.files[0]!.data + 8n));
    expect(sizes.hops[1]!.steps[0]!.detail).toContain("it has 8193 bytes instead of 8192");
    expect(tampered(() => {}).fine).toBe(true);
  });

  test("finds regions whose content is another one, and outcomes and arrivals that are not as asked", () => {
    const region = { name: "trace", size: 12288, token: 3, words: 4 };
    const kernel = (arrives: string) => ({ release: "7.3", reserveMem: [{ ...region, arrives }] });
    const good = run({ kernels: [kernel("fresh"), kernel("revived")] });
    expect(good.fine).toBe(true);
    const bad = run({ kernels: [kernel("revived"), kernel("fresh")] });
    expect(resultsOf(bad)).toEqual(["failed", "failed"]);
    const spoilt = run(
      { kernels: [kernel("fresh"), kernel("revived")] },
      {
        onHop(hop) {
          const start = hop.left?.handover.reserveMem[0]?.start;
          if (start !== undefined) hop.departure!.memory.write(start, Uint8Array.of(0));
        },
      },
    );
    expect(spoilt.hops[1]!.steps[0]!.detail).toMatch(/^spoilt at 0x.*, 1 of 3 pages/);
    const outcome = run({ kernels: [{ release: "7.3", outcome: "received" }] });
    expect(outcome).toMatchObject({ fine: false, hops: [{ expected: false, outcome: { kind: "cold" } }] });
  });

  test("tells steps that are refused otherwise than the scenario says, and goes on", () => {
    const again = { sessions: { name: "vm-0" } };
    const report = run({
      kernels: [
        {
          release: "7.3",
          steps: [
            vm(),
            { ...again, refused: "EEXIST" },
            { ...again, refused: "EBUSY" },
            again,
            { sessions: { name: "other" }, refused: "EEXIST" },
            { finalize: {}, refused: "EOPNOTSUPP" },
            { sessions: { name: "copy", from: "vm-0" } },
          ],
        },
      ],
    });
    expect(resultsOf(report)).toEqual([
      "fine",
      "fine EEXIST",
      "failed EEXIST",
      "failed EEXIST",
      "failed",
      "fine EOPNOTSUPP",
      "failed",
    ]);
    const [{ steps }] = report.hops as [HopReport];
    expect(steps[2]!.detail).toBe("there is a session of this name, and was to end with EBUSY");
    expect(steps[4]!.detail).toBe("it went well, and was to end with EEXIST");
    expect(steps[6]!.detail).toBe("session vm-0 has not been retrieved");
  });

  test("lets freezes and allocations fail, and go well again", () => {
    const freeze = (errno: string) => ({ fault: { session: "vm-1", token: 7, errno } });
    const allocation = (purpose: string) => ({ fault: { allocation: purpose } });
    const more = { sessions: { name: "hole", files: [{ token: 1, size: 4096 }] } };
    const steps = [
      vm(),
      freeze("EIO"),
      { reboot: {}, refused: "EIO" },
      freeze(""),
      allocation("memfd hole"),
      { ...more, refused: "ENOMEM" },
      allocation("none"),
      more,
    ];
    const report = run(two(steps, [retrieve, { retrieve: { name: "hole" } }]));
    expect(report.fine).toBe(true);
    const stuck = run(two([vm(), freeze("EIO")], [retrieve]));
    expect(stuck).toMatchObject({
      fine: false,
      hops: [{ steps: [{}, {}, { what: "kexec", refused: "EIO" }] }],
    });
    expect(stuck.hops).toHaveLength(1);
  });

  test("a panic is the end, and right only if it is asked for", () => {
    const kernels = (outcome: string, ...more: object[]) => ({
      kernels: [{ release: "6.19", steps: [vm()] }, { release: "7.0", outcome }, ...more],
    });
    expect(run(kernels("panic"))).toMatchObject({ fine: true, hops: [{}, {}] });
    expect(run(kernels("")).fine).toBe(false);
    const report = run(kernels("received", { release: "7.0" }));
    expect(report).toMatchObject({ fine: false, hops: [{}, { expected: false }] });
    expect(() => run(kernels("panic", { release: "7.0" }))).toThrow(
      expect.objectContaining({ code: "scenario-malformed", path: "kernels[2]" }),
    );
  });

  test("hands over nothing with KHO off", () => {
    const { hops } = run({
      kernels: [
        { release: "7.3", khoOff: true },
        { release: "7.3", outcome: "cold" },
      ],
    });
    expect(hops[0]!.left).toBeUndefined();
    expect(hops[1]).toMatchObject({ expected: true, outcome: { kind: "cold" } });
  });

  test.each([16384, 65536])("runs with pages of %i bytes", (pageSize) => {
    const files = [{ token: 1, size: 200000, pattern: [{ words: 3 }] }];
    const { fine, hops } = run({
      machine: { pageSize },
      kernels: [
        { release: "7.3", steps: [{ sessions: { name: "a", files } }] },
        { release: "7.3", outcome: "received", steps: [{ retrieve: { name: "a" } }] },
      ],
    });
    expect(fine).toBe(true);
    expect(hops[0]!.left!.handover).toMatchObject({ pageSize, arch: "aarch64" });
  });

  test("says where a scenario asks for what cannot be done", () => {
    const cases: [object, string][] = [
      [{ machine: { memory: 4096 }, kernels: [{ release: "7.3" }] }, "kernels[0]"],
      [{ machine: { nodes: 1000 }, kernels: [{ release: "7.3" }] }, "kernels[0]"],
      [{ machine: { pageSize: 5000 }, kernels: [{ release: "7.3" }] }, "kernels[0]"],
      [{ kernels: [{ release: "7.3", flbs: ["a", "a"] }] }, "kernels[0].flbs[1]"],
      [{ kernels: [{ release: "6.18", flbs: ["a"] }] }, "kernels[0].flbs[0]"],
      [
        two([{ sessions: { name: "a", files: [{ size: 4096, folioOrder: 77 }] } }], []),
        "kernels[0].steps[0]",
      ],
      [two([{ reboot: {}, refused: "EBUSY" }], []), "kernels[0].steps[0]"],
    ];
    for (const [scenario, path] of cases)
      expect(() => run(scenario), path).toThrow(
        expect.objectContaining({ code: "scenario-malformed", path }),
      );
  });
});
