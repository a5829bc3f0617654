/** How verdicts are laid out: a few pairs made by hand. */
import { describe, expect, it } from "vitest";
import { matrixMarkdown } from "../../src/cli/compat/compat-markdown.js";
import { matrixLines, pairLines } from "../../src/cli/compat/compat-text.js";
import type { Run } from "../../src/cli/run.js";
import { styleOf } from "../../src/cli/terminal.js";
import type { PairVerdict, StateVerdict } from "../../src/compat/matrix.js";

const run = { style: styleOf(false), columns: 60 } as Run;
const works = (state: string): StateVerdict => ({ state, verdict: "works", detail: "" });
const pair = (from: string, to: string, ...states: StateVerdict[]): PairVerdict => ({ from, to, states });
const lost = (count: number): StateVerdict => ({
  state: "memfd",
  verdict: "lossy",
  detail: `sessions[vm${count}]: Linux 6.18 has no live update`,
});

const pairs = [
  pair("A", "A", works("empty"), works("memfd")),
  pair("A", "B", works("empty"), lost(1)),
  pair(
    "B",
    "A",
    { state: "empty", verdict: "not-applicable", detail: "Linux B has nothing" },
    {
      state: "memfd",
      verdict: "panic",
      detail: 'root: it is of version "x", which stops every kernel there is',
    },
  ),
  pair("B", "B", works("empty"), lost(2)),
];

describe("a matrix", () => {
  it("has a word for each pair, a legend of those that occur, and each reason once", () => {
    expect(matrixLines(run, ["A", "B"], pairs)).toEqual([
      "from \\ to  A      B",
      "A          works  lossy*",
      "B          panic  lossy*",
      "",
      "panic  the boot stops, or a call runs into an unhandled fault",
      "lossy  it is taken, without a part of it",
      "works  everything is there, as it was",
      "*      the worst: not everything fares like that",
      "",
      "why",
      'panic    root: it is of version "x", which stops every',
      "         kernel there is",
      "         B to A  (memfd)",
      "lossy    sessions[vm1]: Linux 6.18 has no live update",
      "         A, B to B  (memfd)",
    ]);
  });

  it("is a table in Markdown, whose marks are none of its own", () => {
    expect(matrixMarkdown(["A", "B"], pairs)).toEqual([
      "| from \\\\ to | A | B |",
      "| --- | --- | --- |",
      "| **A** | works | lossy \\* |",
      "| **B** | panic | lossy \\* |",
      "",
      "- **panic**: the boot stops, or a call runs into an unhandled fault",
      "- **lossy**: it is taken, without a part of it",
      "- **works**: everything is there, as it was",
      "- **\\***: the worst; not everything fares like that",
      "",
      "| verdict | why, for example | where | states |",
      "| --- | --- | --- | --- |",
      '| panic | root: it is of version "x", which stops every kernel there is | B to A | memfd |',
      "| lossy | sessions\\[vm1\\]: Linux 6.18 has no live update | A, B to B | memfd |",
    ]);
  });
});

describe("a pair", () => {
  it("has the way back beside it", () => {
    expect(pairLines(run, pairs[1]!, pairs[2]!)).toEqual([
      "state  A to B  back, B to A",
      "empty  works   -",
      "memfd  lossy   panic",
      "",
      "A to B",
      "lossy    sessions[vm1]: Linux 6.18 has no live update",
      "         memfd",
      "",
      "B to A",
      'panic    root: it is of version "x", which stops every',
      "         kernel there is",
      "         memfd",
    ]);
  });

  it("shows nothing of names that a terminal would obey", () => {
    const evil = pair("\x1b[2J", "B", lost(1));
    expect(pairLines(run, evil, evil).join("")).not.toContain("\x1b");
  });
});
