/** Every real capture to every release; by hand, from the table of which handover works and what each capture holds. */
import { describe, expect, it } from "vitest";
import { allReleases } from "../machine/departures.js";
import { ask, realCapture } from "./preflight-support.js";

/**
 * Works, is lossy, is ignored, stops the boot, or is misread; columns as in `allReleases`. Up to 7.0 there is one version
 * string, with bitmaps of two sizes; 7.1 and 7.2 each have another one. 6.17.9 and 6.18 have no live update, 7.0 wants
 * a node of FLBs that 6.19 does not write; the test module's list has had its form since 6.18.
 */
const expected: Readonly<Record<string, string>> = {
  "6.18.15-resmem": "m m l w w w i i i",
  "6.19.10-memfd": "m m l l w P i i i",
  "7.1.13-memfd": "i i i i i i w i i",
  "7.3-memfd": "i i i i i i i w w",
  "7.3-arm64-64k-memfd": "i i i i i i i w w",
  "7.3-resmem": "i i i i i i i w w",
};
const words = { w: "works", l: "lossy", i: "ignored", P: "panic", m: "misread" } as const;

describe.each(Object.entries(expected))("%s", (name, row) => {
  const capture = realCapture(name);
  it.each(allReleases.map((to, i) => [to, row.split(" ")[i] as keyof typeof words] as const))(
    "to Linux %s: %s",
    (to, letter) => {
      const result = ask(capture, to);
      const { verdict, promised, detail, parts, assumed } = result;
      expect([verdict, detail]).toEqual([words[letter], letter === "w" ? "" : expect.stringMatching(/./)]);
      expect(promised).toBe(letter === "w");
      if (letter === "i" || letter === "P")
        expect(new Set(parts.map((part) => part.verdict))).toEqual(new Set([verdict]));
      // Device trees of arm64 machines are not in the captures.
      expect(assumed).toEqual(name.includes("arm64") ? ["a hand-off: the capture has none"] : []);
    },
  );
});

it("names what decides, with the errno", () => {
  const { detail, reason } = ask(realCapture("6.19.10-memfd"), "7.0");
  expect(detail).toContain("luo-flb");
  expect(reason).toMatchObject({ code: "flb-missing", consequence: { errno: "ENOENT", phase: "boot" } });
});

it("calls it misread what reads right by luck of where things lie", () => {
  // All that this machine preserves is in the first eighth of its bitmaps, which is all that 6.16 looks at.
  const { detail, verdict } = ask(realCapture("6.18.15-resmem"), "6.16");
  expect(verdict).toBe("misread");
  expect(detail).toContain("by luck of where things lie");
});

it("names the one file that arrives with more seals, and says so of no other", () => {
  const { parts } = ask(realCapture("7.3-memfd"), "7.3");
  expect(parts.filter(({ detail }) => detail !== "")).toMatchObject([
    { part: "sessions[kinds].files[16]", verdict: "works", detail: "seals: from 0x20 to 0x3e" },
  ]);
});

it("does not need a side file: what it takes for granted then it says", () => {
  for (const [name, assumed] of [
    ["7.3-resmem", ["that the machine's memory ends at"]],
    ["7.3-arm64-64k-memfd", ["that the machine's memory ends at", "scratch areas", "a hand-off"]],
  ] as const) {
    const capture = realCapture(name, false);
    const { verdict, assumed: said } = ask(capture, "7.2");
    expect([name, verdict]).toEqual([name, "works"]);
    expect(said).toHaveLength(assumed.length);
    for (const [i, text] of assumed.entries()) expect(said[i]).toContain(text);
  }
});

it("knows that memfd-v1 has lost the seals before", () => {
  expect(ask(realCapture("6.19.10-memfd"), "6.19").notes).toEqual([expect.stringContaining("memfd-v1")]);
  expect(ask(realCapture("7.1.13-memfd"), "7.1").notes).toEqual([]);
});
