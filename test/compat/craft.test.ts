/**
 * Handovers with one fault: what kernels do with them, by hand, from what real ones were seen to do; and that it is one
 * fault, in the bytes that are named, which decoders find.
 */
import { describe, expect, it } from "vitest";
import { kernelOf } from "../../formats/kernels.js";
import { type Crafted, crafter, unspoilt } from "../../src/compat/craft/case.js";
import { craftCases } from "../../src/compat/craft/cases/index.js";
import { imageRanges } from "../../src/compat/craft/image.js";
import { type OutcomeSummary, summarise } from "../../src/compat/craft/outcome-text.js";
import { predict } from "../../src/compat/craft/predict.js";
import { decodeHandover } from "../../src/handover/index.js";
import { attempt, captureOf, Machine } from "../../src/machine/index.js";
import { isKhoError } from "../../src/report/error.js";
import { craftTable } from "./craft-table.js";

const releases = ["6.19.10", "7.1.13", "7.3.4"] as const;

describe("the table", () => {
  it("has every case, and no other", () => {
    expect(craftTable.map(({ name }) => name).sort()).toEqual(craftCases.map(({ name }) => name).sort());
  });
  it("has no case twice", () => {
    expect(new Set(craftTable.map(({ name }) => name)).size).toBe(craftTable.length);
  });
});

describe.each(releases)("Linux %s", (release) => {
  const make = crafter(release);
  const kernel = kernelOf(release);
  const rows = craftTable.filter(({ does }) => does[releases.indexOf(release)] !== "-");

  it("writes what the table says", () => {
    const applying = craftCases.filter((one) => one.applies(kernel)).map(({ name }) => name);
    expect(applying.sort()).toEqual(rows.map(({ name }) => name).sort());
  });

  it.each(rows.map((row) => [row.name, row] as const))("%s", (name, { does, finds }) => {
    const crafted = make(craftCases.find((one) => one.name === name)!)!;
    const summary = summarise(predict(crafted, release), predict(unspoilt(crafted), release));
    expect(summary.short).toBe(does[releases.indexOf(release)]);
    expectNamedBytesAlone(crafted);
    expectFound(crafted, release, finds);
    expectStrict(crafted, release, summary);
  });
});

/** Every byte that differs from the good handover is named, and every byte that is named differs, but for what it shares. */
function expectNamedBytesAlone({ good, departure, changes, ...rest }: Crafted): void {
  const before = good.departure.memory;
  const after = departure.memory.snapshot();
  expect(changes.length).toBeGreaterThan(0);
  for (const { pa, was, is } of changes) {
    expect(Buffer.compare(was, is)).not.toBe(0);
    expect(Buffer.compare(after.read(pa, is.length), is)).toBe(0);
  }
  // With the changes taken back, last one first, nothing is left that differs.
  for (const { pa, was } of changes.toReversed()) after.write(pa, was);
  for (const { pa, size } of imageRanges({ good, departure, changes, ...rest }))
    expect(Buffer.compare(after.read(pa, Number(size)), before.read(pa, Number(size)))).toBe(0);
}

function decoded({ departure }: Crafted, release: string, mode: "strict" | "forensic") {
  return decodeHandover(captureOf(departure), { handoff: departure.bootData, release, mode });
}

/** Reading past damage names the fault. */
function expectFound(crafted: Crafted, release: string, finds: readonly string[]): void {
  let found: readonly { readonly code: string; readonly path: string }[];
  try {
    found = decoded(crafted, release, "forensic").findings;
  } catch (error) {
    if (!isKhoError(error)) throw error;
    found = [{ code: error.code, path: "" }];
  }
  const all = found.map(({ code, path }) => `${code} ${path}`.trim());
  if (all.length === 0) all.push("none");
  expect(
    finds.some((wanted) => all.includes(wanted)),
    all.slice(0, 20).join("\n"),
  ).toBe(true);
}

/** Strict reading stops where a kernel of that release does not get to the sessions. */
function expectStrict(crafted: Crafted, release: string, { kind, short }: OutcomeSummary): void {
  // What is absent from a capture may be there in the machine, which also knows where memory ends. FLBs matter to the
  // handlers alone that ask for them, and which handlers there are is up to modules.
  const untold = [
    "file-unknown-handler",
    "handoff-scratch-beyond-ram",
    "luo-flbs-beyond-ram",
    "flb-search-without-end",
    "map-block-beyond-ram",
  ];
  if (untold.includes(crafted.case.name)) return;
  const stops = kind === "panic" || kind === "ignored" || /^(oops at|open)/.test(short);
  let stopped = false;
  try {
    decoded(crafted, release, "strict");
  } catch (error) {
    if (!isKhoError(error)) throw error;
    stopped = true;
  }
  expect(stopped).toBe(stops);
}

it("an empty block at the end is what a refused session leaves", () => {
  const crafted = crafter("7.3.4")(craftCases.find(({ name }) => name === "session-refused-duplicate")!)!;
  const machine = Machine.boot({ release: "7.3.4" });
  for (let i = 0; i < 51; i++) machine.liveupdate.createSession(`s${i}`);
  expect(attempt(() => machine.liveupdate.createSession("s7"))).toEqual({ errno: "EEXIST" });
  const next = machine.kexec({ release: "7.3.4" });
  expect(next.outcome).toMatchObject({ kind: "panic", reason: { code: "block-bad-count" } });
  expect(predict(crafted, "7.3.4").boot).toEqual({ kind: "stops", errno: "EINVAL" });
  // One session less, or no refused one, and all is well.
  const fewer = Machine.boot({ release: "7.3.4" });
  for (let i = 0; i < 50; i++) fewer.liveupdate.createSession(`s${i}`);
  attempt(() => fewer.liveupdate.createSession("s7"));
  expect(fewer.kexec({ release: "7.3.4" }).outcome.kind).toBe("received");
  expect(predict(unspoilt(crafted), "7.3.4").boot).toEqual({ kind: "received" });
});
