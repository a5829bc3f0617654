/** Policy files: what they say of a part, and what is said of malformed ones. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { patternOf } from "../../src/compat/preflight/pattern.js";
import { needOf, parsePolicy } from "../../src/compat/preflight/policy.js";
import { isKhoError, type KhoError } from "../../src/report/error.js";
import { placeInJson } from "../../src/report/json.js";

function faultIn(text: string): Partial<KhoError> {
  try {
    parsePolicy(text);
  } catch (error) {
    if (isKhoError(error, "policy-malformed")) return error;
    throw error;
  }
  return {};
}

describe("a pattern", () => {
  it.each([
    ["sessions[vm-*]", "sessions[vm-7]", true],
    ["sessions[vm-*]", "sessions[vm-]", true],
    ["sessions[vm-*]", "sessions[vm]", false],
    ["sessions[vm-*]", "flbs[vm-7]", false],
    ["*", "", true],
    ["a*a", "a", false],
    ["*ab*ab", "abab", true],
    ["*ab*ab", "ab", false],
    ["a\\*b", "a*b", true],
    ["a\\*b", "axb", false],
    ["", "x", false],
  ])("%s of %s: %s", (pattern, name, matches) => {
    expect(patternOf(pattern).matches(name)).toBe(matches);
  });

  it("matches as the regular expression would", () => {
    const few = fc.stringMatching(/^[ab[*]{0,8}$/);
    fc.assert(
      fc.property(few, fc.stringMatching(/^[ab[]{0,10}$/), (pattern, name) => {
        const expression = new RegExp(`^${pattern.replaceAll("[", "\\[").replaceAll("*", ".*")}$`);
        expect(patternOf(pattern).matches(name)).toBe(expression.test(name));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a policy", () => {
  const policy = parsePolicy(`{
    "mandatory": ["sessions[vm-*]", "sessions[*].files[0]"],
    "optional": ["sessions[*]", "sessions[vm-scratch]", "kexec_metadata"]
  }`);
  it.each([
    ["sessions[vm-1]", "mandatory"],
    ["sessions[agent]", "optional"],
    ["sessions[vm-scratch]", "optional"],
    ["kexec_metadata", "optional"],
    ["flbs[pci]", "mandatory"],
  ] as const)("says of %s: %s", (name, need) => {
    expect(needOf(policy, [name])).toBe(need);
  });

  it("takes along what belongs to a part, and lets the longer pattern decide", () => {
    expect(needOf(policy, ["sessions[agent].files[1]", "sessions[agent]"])).toBe("optional");
    expect(needOf(policy, ["sessions[agent].files[0]", "sessions[agent]"])).toBe("mandatory");
    expect(needOf(policy, ["sessions[vm-scratch].files[1]", "sessions[vm-scratch]"])).toBe("optional");
  });

  it("has a default, and where two patterns are as long the part is mandatory", () => {
    expect(needOf(parsePolicy('{"default": "optional"}'), ["preserved"])).toBe("optional");
    expect(needOf(parsePolicy("{}"), ["preserved"])).toBe("mandatory");
    const both = parsePolicy('{"optional": ["flbs[a*]"], "mandatory": ["flbs[*a]"]}');
    expect(needOf(both, ["flbs[aa]"])).toBe("mandatory");
  });
});

describe("a malformed policy", () => {
  it.each([
    ['{ "mandatory": [,] }', "line 1, column 17", "not JSON"],
    ['{\n  "optional": ["flbs[a]"]', "line 2, column 26", "not JSON"],
    ["[]", "line 1, column 1", "is an object"],
    ['{\n  "mandatry": []\n}', "line 2, column 15: mandatry", 'no "mandatry"'],
    ['{ "optional": "flbs" }', "line 1, column 15: optional", "not a list"],
    ['{ "optional":\n [ "preserved",\n 7 ] }', "line 3, column 2: optional[1]", "not a pattern"],
    ['{ "mandatory": ["session[vm]"] }', "line 1, column 17: mandatory[0]", "no part is called session"],
    ['{ "mandatory": ["vm*"] }', "line 1, column 17: mandatory[0]", "no part is called vm"],
    ['{ "default": "some" }', "line 1, column 14: default", "neither"],
  ])("%j: %s", (text, path, message) => {
    const fault = faultIn(text);
    expect([fault.path, fault.message]).toEqual([path, expect.stringContaining(message)]);
  });

  it("never is more than a fault, whatever the text", () => {
    fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => void faultIn(text)));
  });
});

it("finds the place of any value in JSON, by a mark that is put there", () => {
  const mark = "the-mark";
  const spaces = fc.constantFrom(undefined, 1, "\t");
  fc.assert(
    fc.property(
      fc.jsonValue({ maxDepth: 4 }),
      fc.infiniteStream(fc.nat(50)),
      spaces,
      (value, picks, space) => {
        const path: (string | number)[] = [];
        // Goes down while there is something below, and marks what it ends at.
        const marked = (inner: unknown): unknown => {
          const pick = picks.next().value as number;
          if (Array.isArray(inner) && inner.length > 0) {
            const i = pick % inner.length;
            path.push(i);
            return inner.map((item, k) => (k === i ? marked(item) : item));
          }
          const entries = typeof inner === "object" && inner !== null ? Object.entries(inner) : [];
          if (entries.length === 0) return mark;
          const [name] = entries[pick % entries.length]!;
          path.push(name);
          return Object.fromEntries(entries.map(([key, item]) => [key, key === name ? marked(item) : item]));
        };
        const text = JSON.stringify(marked(value), null, space);
        const before = text.slice(0, text.indexOf(`"${mark}"`)).split("\n");
        expect(placeInJson(text, path)).toEqual({ line: before.length, column: before.at(-1)!.length + 1 });
        expect(placeInJson(text, [...path, "absent"])).toBeUndefined();
      },
    ),
  );
});
