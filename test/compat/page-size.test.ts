/** Kernels with pages of another size: no check notices, and nothing is what it was. */
import { describe, expect, it } from "vitest";
import { judgeReleases } from "../../src/compat/matrix.js";
import { empty, reserveMem } from "../../src/compat/states/kernel.js";
import { largeFolios, memfd } from "../../src/compat/states/live-update.js";
import { states } from "../../src/compat/states.js";

const KiB = 1024;
const some = [empty, memfd];
const ways = [
  [4, 16],
  [16, 4],
  [16, 16],
  [16, 64],
  [64, 4],
] as const;

describe.each(["6.18", "7.0", "7.3"])("Linux %s", (release) => {
  it.each(ways)("from %iK to %iK", (from, to) => {
    const pages = { from: from * KiB, to: to * KiB };
    const [pair] = judgeReleases([release], [release], { pages, states: some });
    const found = pair!.states.filter(({ verdict }) => verdict !== "not-applicable");
    const expected = from === to ? "works" : "misread";
    expect(found.map(({ state, verdict }) => [state, verdict])).toEqual(
      found.map(({ state }) => [state, expected]),
    );
    expect(found).toHaveLength(release === "6.18" ? 1 : 2);
    if (from !== to)
      for (const { detail } of found)
        expect(detail).toMatch(
          /^preserved: the block at 0x[0-9a-f]+: expected (\d+ bytes|nothing preserved), got (\d+ bytes|nothing preserved)/,
        );
  });
});

describe("arm64", () => {
  it.each([16, 64])("has every state with pages of %iK that is not too large", (size) => {
    const pages = { from: size * KiB, to: size * KiB };
    // With pages of 64K a block of sessions is 819 of them.
    const quick = states.filter(({ name }) => name !== "sessions" || size === 16);
    const [pair] = judgeReleases(["7.3"], ["7.2"], { pages, states: quick });
    const verdicts = Object.fromEntries(pair!.states.map(({ state, verdict }) => [state, verdict]));
    const { vmalloc, chunks, ...others } = verdicts;
    expect([vmalloc, chunks]).toEqual(["not-applicable", "not-applicable"]);
    expect(new Set(Object.values(others))).toEqual(new Set(["works"]));
  });

  it("misreads bitmaps of 512 bytes as x86 does", () => {
    const pages = { from: 16 * KiB, to: 16 * KiB };
    const [pair] = judgeReleases(["6.17.8"], ["6.18"], { pages, states: [empty, reserveMem, largeFolios] });
    expect(pair!.states.map(({ verdict }) => verdict)).toEqual(["misread", "misread", "not-applicable"]);
  });
});
