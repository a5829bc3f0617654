/** Every release with every other, against the rows of what works, which are typed here by hand. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { judgeReleases, type StateVerdict, summaryOf } from "../../src/compat/matrix.js";
import { groupReasons, pairsText } from "../../src/compat/reasons.js";
import { states } from "../../src/compat/states.js";
import type { VerdictKind } from "../../src/compat/verdict.js";

const releases = ["6.16", "6.17.8", "6.17.9", "6.18", "6.19", "7.0", "7.1", "7.2", "7.3"] as const;
type Release = (typeof releases)[number];

/** Works, ignored, panic, misread. */
const words: Readonly<Record<string, VerdictKind>> = { w: "works", i: "ignored", P: "panic", m: "misread" };

/** Who writes, and what those in the order of `releases` make of it if there is no live update in it. */
const withoutLiveUpdate: Record<Release, string> = {
  "6.16": "w w m m m m i i i",
  "6.17.8": "w w m m m m i i i",
  "6.17.9": "m m w w w w i i i",
  "6.18": "m m w w w w i i i",
  "6.19": "m m w w w w i i i",
  "7.0": "m m w w w w i i i",
  "7.1": "i i i i i i w i i",
  "7.2": "i i i i i i i w w",
  "7.3": "i i i i i i i w w",
};
/** 6.19 writes no node for FLBs, which 7.0 does not boot without. */
const withLiveUpdate: Record<Release, string> = { ...withoutLiveUpdate, "6.19": "m m w w w P i i i" };

/** Where the rows say less than is found, or say nothing: each by what is found, and why that is right. */
const disagreements: readonly {
  readonly why: string;
  readonly from: readonly Release[];
  readonly to: readonly Release[];
  readonly states: readonly string[];
  readonly found: VerdictKind;
}[] = [
  {
    why: "the rows have 6.17.9 to 7.0 work among each other without a LUO subtree; these two do not read one, so its sessions are lost",
    from: ["6.19", "7.0"],
    to: ["6.17.9", "6.18"],
    states: ["memfd", "empty-files", "sessions", "holes", "chunks", "folios", "positions", "flb"],
    found: "lossy",
  },
  {
    why: "the row of 7.0 to 6.19 says that it works, and in the same breath that FLB data is lost",
    from: ["7.0"],
    to: ["6.19"],
    states: ["flb"],
    found: "lossy",
  },
];

const has: Readonly<Record<string, readonly Release[]>> = {
  vmalloc: ["6.18", "6.19", "7.0", "7.1", "7.2", "7.3"],
  metadata: ["7.1", "7.2", "7.3"],
  seals: ["7.1", "7.2", "7.3"],
  flb: ["7.0", "7.1", "7.2", "7.3"],
  ...Object.fromEntries(
    ["memfd", "empty-files", "sessions", "holes", "chunks", "folios", "positions"].map((state) => [
      state,
      ["6.19", "7.0", "7.1", "7.2", "7.3"],
    ]),
  ),
};
const byKernelCode = ["blocks", "vmalloc", "reserve-mem", "metadata"];

function expected(from: Release, to: Release, state: string): VerdictKind {
  if (has[state] && !has[state].includes(from)) return "not-applicable";
  const other = disagreements.find(
    (one) => one.from.includes(from) && one.to.includes(to) && one.states.includes(state),
  );
  if (other) return other.found;
  const table = byKernelCode.includes(state) ? withoutLiveUpdate : withLiveUpdate;
  return words[table[from].split(" ")[releases.indexOf(to)]!]!;
}

// A list of two chunks has 130,817 folios: looked at below, for fewer pairs.
const quick = states.filter(({ name }) => name !== "chunks");
const pairs = judgeReleases(releases, releases, { states: quick });
const pairOf = (from: Release, to: Release) => pairs.find((pair) => pair.from === from && pair.to === to)!;
const stateOf = (from: Release, to: Release, state: string): StateVerdict =>
  pairOf(from, to).states.find((one) => one.state === state)!;

describe.each(releases)("what Linux %s hands over", (from) => {
  it.each(releases)("to Linux %s", (to) => {
    const found = pairOf(from, to).states.map(({ state, verdict }) => [state, verdict]);
    expect(found).toEqual(quick.map(({ name }) => [name, expected(from, to, name)]));
  });
});

describe("a long list of folios", () => {
  const chunks = states.filter(({ name }) => name === "chunks");
  it.each([
    ["6.19", "6.19"],
    ["7.3", "7.2"],
  ] as const)("from Linux %s to %s", (from, to) => {
    const [pair] = judgeReleases([from], [to], { states: chunks });
    expect(pair!.states.map(({ verdict }) => verdict)).toEqual([expected(from, to, "chunks")]);
  });
});

describe("why", () => {
  it("is the root's version where all is ignored", () => {
    expect(stateOf("7.1", "7.2", "memfd").detail).toBe(
      'compatible: the root is of version "kho-v3", expected kho-v4; Linux 7.2 boots as if cold and everything is lost',
    );
  });

  it("is the missing node, with the errno, where the boot stops", () => {
    expect(stateOf("6.19", "7.0", "empty").detail).toMatch(/^luo\.luo-flb: .* does not boot with ENOENT/);
  });

  it("is the first block that is taken for another, and what that may lead to", () => {
    expect(stateOf("6.18", "6.17.8", "empty").detail).toBe(
      "preserved: the block at 0x2000000: expected order 0, got nothing preserved",
    );
    expect(stateOf("6.17.8", "6.18", "empty").detail).toMatch(
      /^preserved: the block at 0x[0-9a-f]+: expected nothing preserved, got order 0; memory that nobody wrote/,
    );
    expect(stateOf("6.17.8", "6.18", "reserve-mem").detail).toMatch(/; .*Linux 6\.18 does not boot/);
  });

  it("names what is lost", () => {
    expect(stateOf("7.0", "6.19", "flb").detail).toBe(
      "flbs[liveupdate-test-flb-v0]: Linux 6.19 has no FLBs: its data, 0xfeedf00dcafebee0, is lost",
    );
    expect(stateOf("7.0", "6.18", "memfd").detail).toBe(
      "sessions[vm]: Linux 6.18 has no live update: nobody reads the session",
    );
  });

  it("says what a release cannot have", () => {
    const cannot = (from: Release, state: string): string => stateOf(from, "7.3", state).detail;
    expect(cannot("6.18", "memfd")).toBe("Linux 6.18 has no live update");
    expect(cannot("6.19", "flb")).toBe("Linux 6.19 has no FLBs");
    expect(cannot("7.0", "seals")).toBe("Linux 7.0 carries no seals: its files are of memfd-v1");
    expect(cannot("6.17.8", "vmalloc")).toBe("Linux 6.17.8 cannot preserve vmalloc areas");
  });

  it("is nothing where all is well", () => {
    expect(pairOf("7.2", "7.3").states.map(({ detail }) => detail)).toEqual(quick.map(() => ""));
  });
});

describe("a pair", () => {
  it("is as good as its worst state, of those that it can have", () => {
    expect(summaryOf(pairOf("6.19", "7.0"))).toEqual({ verdict: "panic", mixed: true });
    expect(summaryOf(pairOf("6.16", "6.18"))).toEqual({ verdict: "misread", mixed: false });
    expect(summaryOf(pairOf("6.16", "6.17.8"))).toEqual({ verdict: "works", mixed: false });
    expect(summaryOf({ from: "", to: "", states: [] })).toEqual({ verdict: "not-applicable", mixed: false });
  });

  it("shares its reasons with others", () => {
    const groups = groupReasons(pairs).map(({ verdict, pairs: where }) => [verdict, pairsText(where)]);
    expect(groups).toEqual([
      ["panic", "6.19 to 7.0"],
      ["misread", "6.16, 6.17.8 to 6.17.9, 6.18, 6.19, 7.0; 6.17.9, 6.18, 6.19, 7.0 to 6.16, 6.17.8"],
      [
        "ignored",
        "6.16, 6.17.8, 6.17.9, 6.18, 6.19, 7.0 to 7.1, 7.2, 7.3; 7.1 to 6.16, 6.17.8, 6.17.9, 6.18, 6.19, 7.0, 7.2, 7.3; 7.2, 7.3 to 6.16, 6.17.8, 6.17.9, 6.18, 6.19, 7.0, 7.1",
      ],
      ["lossy", "6.19, 7.0 to 6.17.9, 6.18"],
      ["lossy", "7.0 to 6.17.9, 6.18, 6.19"],
    ]);
  });
});

it("is the table of the README", () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const rows = readme
    .split("\n")
    .filter((line) => line.startsWith("| **"))
    .map((line) => line.replaceAll(/[*\\]/g, "").split("|").slice(1, -1));
  const cells = rows.map((row) => row.map((cell) => cell.trim()));
  expect(cells).toEqual(
    releases.map((from) => [from, ...releases.map((to) => summaryOf(pairOf(from, to)).verdict)]),
  );
});
