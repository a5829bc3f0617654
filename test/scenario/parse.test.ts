import { describe, expect, test } from "vitest";
import { isKhoError, type KhoError } from "../../src/index.js";
import { faultOfJson } from "../../src/report/json.js";
import { parseScenario } from "../../src/scenario/index.js";

function faultIn(text: string): Pick<KhoError, "message"> & { path?: string; expected?: string } {
  try {
    parseScenario(text);
  } catch (error) {
    if (!isKhoError(error, "scenario-malformed")) throw error;
    const { message, path, expected } = error;
    return {
      message,
      ...(path !== undefined && { path }),
      ...(expected !== undefined && { expected }),
    };
  }
  throw new Error("this scenario was taken");
}

const withSteps = (...steps: unknown[]): string => JSON.stringify({ kernels: [{ release: "7.3", steps }] });
const withKernel = (kernel: object): string =>
  JSON.stringify({ kernels: [{ release: "7.3" }, { release: "7.3", ...kernel }] });
const withFile = (file: object): string => withSteps({ sessions: { name: "a", files: [{ size: 1 }, file] } });

describe("parseScenario", () => {
  test("takes u64 as numbers and as strings, and fills in what is not given", () => {
    const { kernels } = parseScenario(
      '{ "kernels": [{ "release": "7.3", "reserveMem": [{ "name": "a", "size": "18446744073709551615" }] }] }',
    );
    expect(kernels[0]!.reserveMem[0]!.size).toBe(2n ** 64n - 1n);
    expect(kernels[0]).toMatchObject({ khoOff: false, outcome: "", steps: [] });
    expect(
      parseScenario('{ "machine": { "memory": 1048576 }, "kernels": [{ "release": "7.3" }] }'),
    ).toMatchObject({ machine: { memory: 1n << 20n } });
  });

  test.each([
    ['{ "kernels": [ }', "line 1, column 16", "}"],
    ['{\n  "name": "x",\n  "kernels": [],\n}', "line 4, column 1", "}"],
    ['{\n  "name": tru\n}', "line 2, column 11", "tru"],
    ["", "line 1, column 1", "the end of the text"],
    ['{ "name": "a\nb" }', "line 1, column 11", '"a'],
    ["[1 2]", "line 1, column 4", "2]"],
    ['{ "name": "x" } x', "line 1, column 17", "x"],
  ])("says where %j is no JSON", (text, path, found) => {
    expect(faultIn(text)).toMatchObject({ path, message: "the scenario is not JSON" });
    expect(() => parseScenario(text)).toThrow(expect.objectContaining({ actual: found }));
  });

  test("says which field of which message is wrong", () => {
    const cases: [string, string, string][] = [
      ["[]", "", "this is no Scenario"],
      ['{ "kernels": {} }', "kernels", "expected Array, got object"],
      ['{ "kernels": [{ "release": "7.3" }, 7] }', "kernels[1]", "this is no ScenarioKernel"],
      ['{ "machine": { "memory": -1 } }', "machine.memory", "expected bigint (uint64): -1 out of range"],
      [withSteps({ sesions: {} }), "kernels[0].steps[0]", 'key "sesions" is unknown'],
      [withFile({ tokn: 1 }), "kernels[0].steps[0].sessions.files[1]", 'key "tokn" is unknown'],
      [
        withFile({ size: true }),
        "kernels[0].steps[0].sessions.files[1].size",
        "expected bigint (uint64), got true",
      ],
      [
        withSteps({ exit: {} }, { exit: {}, reboot: {} }),
        "kernels[0].steps[1]",
        "oneof set multiple times by exit and reboot",
      ],
    ];
    for (const [text, path, message] of cases) expect(faultIn(text), text).toMatchObject({ path, message });
    expect(faultIn(withFile({ tokn: 1 })).expected).toBe(
      "token, count, size, pos, seals, folioOrder, pattern, text",
    );
  });

  test("takes nothing that no machine could do", () => {
    const region = (more: object): string =>
      withKernel({ reserveMem: [{ name: "trace", size: 4096, ...more }] });
    const at = "kernels[0].steps[0]";
    const cases: [string, string][] = [
      ['{ "kernels": [] }', "kernels"],
      [withKernel({ release: "5.10" }), "kernels[1].release"],
      [withKernel({ outcome: "warm" }), "kernels[1].outcome"],
      [region({ arrives: "late" }), "kernels[1].reserveMem[0].arrives"],
      [region({ name: "" }), "kernels[1].reserveMem[0].name"],
      [region({ name: "sixteen-letters-" }), "kernels[1].reserveMem[0].name"],
      [region({ size: 0 }), "kernels[1].reserveMem[0].size"],
      [region({ align: 5000 }), "kernels[1].reserveMem[0].align"],
      [
        withKernel({
          reserveMem: [
            { name: "a", size: 1 },
            { name: "a", size: 1 },
          ],
        }),
        "kernels[1].reserveMem[1].name",
      ],
      [withSteps({}), at],
      [withSteps({ reboot: {} }), at],
      [withSteps({ exit: {}, refused: "EFOO" }), `${at}.refused`],
      [withSteps({ exit: {}, refused: "toString" }), `${at}.refused`],
      [withSteps({ fault: {} }), `${at}.fault`],
      [withSteps({ fault: { session: "a", allocation: "luo" } }), `${at}.fault`],
      [withSteps({ fault: { session: "a", errno: "EFOO" } }), `${at}.fault.errno`],
      [withSteps({ sessions: { name: "a".repeat(65) } }), `${at}.sessions.name`],
      [withSteps({ retrieve: { name: `{}${"a".repeat(63)}`, count: 11 } }), `${at}.retrieve.name`],
      [withSteps({ sessions: { name: "{}", count: 4_000_000_000 } }), `${at}.sessions`],
      [withFile({ count: 4_000_000_000, size: 1 }), `${at}.sessions`],
      [withFile({ token: "18446744073709551615", count: 2 }), `${at}.sessions.files[1].count`],
      [withFile({ text: "four", size: 3 }), `${at}.sessions.files[1].text`],
      [withFile({ size: 8192, pattern: [{}, { index: 1, count: 2 }] }), `${at}.sessions.files[1].pattern[1]`],
      [withFile({ size: 8192, pattern: [{ index: 2 }] }), `${at}.sessions.files[1].pattern[0]`],
    ];
    for (const [text, path] of cases) expect(faultIn(text), text).toMatchObject({ path });
    // The largest that there may be.
    expect(() => parseScenario(withSteps({ sessions: { name: "a".repeat(64) } }))).not.toThrow();
    expect(() => parseScenario(withFile({ token: "18446744073709551614", count: 2 }))).not.toThrow();
    expect(() => parseScenario(region({ name: "fifteen-letters" }))).not.toThrow();
  });
});

describe("faultOfJson", () => {
  test.each(['{"a":[1,-0.5e+3,true,null,{}],"b":"\\u00e9\\n\u007f é☃😀"}', "[]", " 7\n", '""'])(
    "finds nothing in %j",
    (text) => {
      JSON.parse(text);
      expect(faultOfJson(text)).toBeUndefined();
    },
  );

  test("finds something wherever JSON.parse does, whatever is cut from or put into a text", () => {
    const text = '{ "a": [1, -2.5e3, { "b": null }], "c": "\\u00e9x", "d": { } }';
    const parses = (changed: string): boolean => {
      try {
        JSON.parse(changed);
        return true;
      } catch {
        return false;
      }
    };
    for (let at = 0; at <= text.length; at++)
      for (const put of ["", ",", "]", "}", "{", '"', ":", "1", "-", "e", "\\", " ", "\u0001"])
        for (const cut of [0, 1, 2]) {
          const changed = text.slice(0, at) + put + text.slice(at + cut);
          expect(faultOfJson(changed) === undefined, changed).toBe(parses(changed));
        }
  });
});
