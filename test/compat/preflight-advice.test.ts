/** What helps, found by trying: it does help, and nothing of it is too much. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { khoBlockHeaderSer } from "../../formats/kho/layout.js";
import { type FilePlan, preserve, written } from "../../src/compat/plan.js";
import { fatesWithout } from "../../src/compat/preflight/advice.js";
import { departureOf } from "../../src/compat/preflight/departure.js";
import type { Judging } from "../../src/compat/preflight/judging.js";
import { allMandatory, parsePolicy } from "../../src/compat/preflight/policy.js";
import { departureWithout } from "../../src/compat/preflight/without.js";
import type { Handover } from "../../src/handover/index.js";
import { offsetOf } from "../../src/layout/index.js";
import { captureOf, Machine } from "../../src/machine/index.js";
import { depart } from "../machine/departures.js";
import { newTestFlbs } from "../machine/liveupdate-test.js";
import { ask, type Capture, machineCapture, realCapture, recapture, released } from "./preflight-support.js";

const maxTries = 64;
const abi = { byteOrder: "little", pageSize: 4096 } as const;
const judgingBy = (to: string): Judging => ({
  receiver: released(to),
  policy: allMandatory,
  absent: new Map(),
  gaps: [],
});
const promisedWithout = ({ image, decoded, ram }: Capture, to: string, keys: readonly string[]): boolean =>
  fatesWithout(departureOf(image, decoded, ram), decoded, new Set(keys), judgingBy(to))?.promised ?? false;

/** The same capture as if its kernel had written another handover. */
function changed({ image, decoded }: Capture, change: (handover: Handover) => Handover): Capture {
  const departure = departureWithout(
    departureOf(image, decoded),
    { ...decoded, handover: change(decoded.handover) },
    new Set(),
  );
  return recapture(captureOf(departure), departure);
}

function machineWith(
  sessions: readonly { readonly name: string; readonly files: readonly FilePlan[] }[],
  release = "7.3.4",
): Capture {
  const machine = Machine.boot({ release });
  if (machine.kernel.flb) for (const flb of newTestFlbs()) machine.registerFlb(flb);
  preserve(machine, sessions);
  return machineCapture(depart(machine));
}
const plain = (token: bigint): FilePlan => ({ token, size: 8192, ranges: [written(0, 2)] });

describe("6.19 to 7.0", () => {
  const capture = realCapture("6.19.10-memfd");
  it("goes without live update, and not with less", () => {
    const { advice, verdict } = ask(capture, "7.0", { maxTries });
    expect(verdict).toBe("panic");
    expect(advice).toMatchObject({ kind: "drop", minimal: true });
    expect(advice!.drop.map(({ kind, part }) => [kind, part])).toEqual([["live update", "LUO"]]);
    expect(advice!.rest).toMatchObject({ verdict: "works", promised: true });
    const sessions = capture.decoded.handover.luo!.sessions.map((_, s) => `luo.sessions[${s}]`);
    expect(promisedWithout(capture, "7.0", sessions)).toBe(false);
  });
});

it("nothing helps against a root of another version: then it says who would take it", () => {
  const { advice, instead } = ask(realCapture("7.3-resmem"), "7.1", { maxTries });
  expect(advice).toMatchObject({ kind: "none", drop: [], minimal: true });
  expect(instead).toEqual(["7.2", "7.3"]);
});

it("leaves out what gets lost, or what may get lost where that is enough", () => {
  const capture = machineWith([{ name: "vm", files: [plain(1n)] }], "7.0");
  const drop = (policy?: string): string[] =>
    ask(capture, "6.19", { maxTries, ...(policy && { policy: parsePolicy(policy) }) }).advice!.drop.map(
      ({ part }) => part,
    );
  expect(drop()).toEqual(newTestFlbs().map(({ name }) => `flbs[${name}]`));
  expect(drop('{ "optional": ["flbs[*-v0]"] }')).toEqual(
    newTestFlbs()
      .slice(1)
      .map(({ name }) => `flbs[${name}]`),
  );
});

it("says that it is damage, if the same arrives once it is written anew", () => {
  const capture = machineWith([{ name: "vm", files: [plain(1n), plain(2n)] }]);
  const { memory } = capture.image;
  // Nothing behind the header is a part of the state, and the reader counts what is there.
  const block = capture.decoded.handover.luo!.sessions[0]!.files[0]!.pa;
  const start = block - (block % 4096n);
  const count = start + BigInt(offsetOf(khoBlockHeaderSer, "count", abi));
  const broken: typeof memory = {
    ...memory,
    read(pa, length) {
      const bytes = memory.read(pa, length);
      if (count < pa || count >= pa + BigInt(length)) return bytes;
      const copy = bytes.slice();
      copy[Number(count - pa)] = 0xff;
      return copy;
    },
  };
  const { verdict, advice } = ask({ ...capture, image: { ...capture.image, memory: broken } }, "7.2", {
    maxTries,
  });
  expect(verdict).toBe("refused");
  expect(advice).toMatchObject({ kind: "anew", drop: [], rest: { verdict: "works" } });
});

it("ends when the tries are used up, and says so", () => {
  const capture = realCapture("6.19.10-memfd");
  expect(ask(capture, "7.0", { maxTries: 1 }).advice).toEqual({
    kind: "gave-up",
    drop: [],
    minimal: false,
    tries: 1,
  });
  expect(ask(capture, "7.0", { maxTries: 2 }).advice).toMatchObject({
    kind: "drop",
    minimal: false,
    tries: 2,
  });
});

it("does help, and each part of it is needed, whatever is wrong with sessions", () => {
  const fault = fc.constantFrom("none", "none", "twice", "sealed", "empty name", "token");
  fc.assert(
    fc.property(fc.array(fault, { minLength: 1, maxLength: 5 }), (faults) => {
      const sessions = faults.map((kind, i) => ({
        name: `vm-${i}`,
        files: [
          plain(1n),
          kind === "sealed" ? { token: 2n, size: 4096, executable: false as const } : plain(2n),
        ],
      }));
      const capture = changed(machineWith(sessions), ({ luo, ...rest }) => ({
        ...rest,
        luo: {
          ...luo!,
          sessions: luo!.sessions.map((session, i) => ({
            ...session,
            name: faults[i] === "twice" ? "vm" : faults[i] === "empty name" ? "" : session.name,
            files: session.files.map((file) => (faults[i] === "token" ? { ...file, token: 9n } : file)),
          })),
        },
      }));
      const { advice, promised } = ask(capture, "7.2", { maxTries: 200 });
      if (promised) return;
      expect(advice).toMatchObject({ kind: "drop", minimal: true });
      const keys = advice!.drop.map(({ key }) => key);
      expect(promisedWithout(capture, "7.2", keys)).toBe(true);
      for (const key of keys)
        expect(
          promisedWithout(
            capture,
            "7.2",
            keys.filter((other) => other !== key),
          ),
        ).toBe(false);
    }),
    { numRuns: 8 },
  );
});
