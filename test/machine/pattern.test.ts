import fc from "fast-check";
import { expect, it } from "vitest";
import { patternBytes } from "../../src/machine/pattern.js";
import { expectedContent, fixtures, type TruthFile } from "../conformance/truth.js";

/** What the programs that made the captures wrote, computed with bigint. */
const reference = (token: bigint, page: number, words: number): Uint8Array =>
  expectedContent(
    {
      token: String(token),
      size: (page + 1) * 4096,
      ranges: [{ kind: "w", index: page, count: 1, words }],
    } as unknown as TruthFile,
    4096,
  ).subarray(page * 4096, page * 4096 + words * 8);

it("is that of the captures, word for word", () => {
  fc.assert(
    fc.property(
      fc.bigInt(0n, 2n ** 64n - 1n),
      fc.nat(300),
      fc.integer({ min: 1, max: 40 }),
      (token, page, words) => {
        expect(patternBytes(token, page, words * 8)).toEqual(reference(token, page, words));
      },
    ),
  );
});

it("is cut inside of a word", () => {
  expect(patternBytes(7n, 3, 13)).toEqual(reference(7n, 3, 2).subarray(0, 13));
  expect(patternBytes(7n, 3, 0).length).toBe(0);
});

it("differs for pages beyond 2^32", () => {
  expect(patternBytes(1n, 2 ** 40, 8)).not.toEqual(patternBytes(1n, 0, 8));
});

it("is what captures are described with", () => {
  expect(fixtures.some(({ truth }) => JSON.stringify(truth).includes("0x9E3779B97F4A7C15"))).toBe(true);
});
