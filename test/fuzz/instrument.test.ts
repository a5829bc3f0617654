/** Instrumented code means what it meant, and its lines stay where they were. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildFuzz } from "../../fuzz/build/build.js";
import { instrument } from "../../fuzz/build/instrument.js";
import { isInstrumented } from "../../src/fuzz/node/checkout.js";
import { type BuildTable, placeOf } from "../../src/fuzz/table.js";
import * as plain from "./constructs-target.js";

const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const folder = mkdtempSync(join(tmpdir(), "kho-instrument-"));
let instrumented: typeof plain & {
  readonly instrumentation: typeof import("../../src/fuzz/instrumentation.js");
};
let table: BuildTable;

beforeAll(async () => {
  const out = join(folder, "build");
  table = await buildFuzz({
    root,
    out,
    targets: { constructs: "test/fuzz/constructs-target.ts" },
    instrumented: (path) => path === "test/fuzz/constructs.ts" || isInstrumented(path),
  });
  instrumented = await import(/* @vite-ignore */ pathToFileURL(join(out, "constructs.mjs")).href);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

const unlimited = { steps: 2 ** 31 - 1, bytes: 2 ** 52 };

describe("means the same", () => {
  test.each(Object.keys(plain.constructs))("%s", (name) => {
    const { begin, end } = instrumented.instrumentation;
    for (const recording of [false, true])
      for (let n = 0; n < 10; n++) {
        plain.takeCalls();
        instrumented.takeCalls();
        const expected = [plain.constructs[name]!(n), plain.takeCalls()];
        begin(unlimited, recording);
        const actual = [instrumented.constructs[name]!(n), instrumented.takeCalls()];
        end();
        expect(actual, `${name}(${n})`).toEqual(expected);
      }
  });

  test.each(["6.18.15-resmem", "6.19.10-memfd", "7.3-memfd"])("%s", (name) => {
    const bytes = new Uint8Array(gunzipSync(readFileSync(`${root}/fixtures/${name}/core.elf.gz`)));
    const read = (library: typeof plain): string =>
      library.toJson(library.decodeHandover(library.openImage(bytes), { mode: "forensic" }));
    expect(read(instrumented)).toBe(read(plain));
  });
});

describe("stays where it was", () => {
  const files = ["src", "formats"]
    .flatMap((top) =>
      readdirSync(join(root, top), { recursive: true, encoding: "utf8" }).map((path) => `${top}/${path}`),
    )
    .filter((path) => path.endsWith(".ts") && isInstrumented(path));

  test("every line of the library", () => {
    for (const file of files) {
      const source = readFileSync(join(root, file), "utf8");
      const { text, lines } = instrument(file, source, 0);
      expect(text.split("\n").length, file).toBe(source.split("\n").length);
      const tree = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022) as ts.SourceFile & {
        readonly parseDiagnostics: readonly unknown[];
      };
      expect(tree.parseDiagnostics, file).toEqual([]);
      expect(lines.every((line) => line >= 1 && line <= source.split("\n").length)).toBe(true);
    }
  });

  test("edges have places", () => {
    const { begin, end, counters } = instrumented.instrumentation;
    begin(unlimited, false);
    instrumented.constructs.errors!(7);
    end();
    const places = [...counters.keys()]
      .filter((edge) => counters[edge] !== 0)
      .map((edge) => placeOf(table, edge));
    const source = readFileSync(join(root, "test/fuzz/constructs.ts"), "utf8").split("\n");
    const lines = places.map((place) => source[Number(place.split(":")[1]) - 1]!.trim());
    expect(places.every((place) => place.startsWith("test/fuzz/constructs.ts:"))).toBe(true);
    expect(lines.some((line) => line.startsWith("if (n > 4) throw new RangeError"))).toBe(true);
    expect(lines.some((line) => line.includes("catch (error)"))).toBe(true);
  });
});

describe("limits", () => {
  test("steps", () => {
    const { begin, end } = instrumented.instrumentation;
    begin({ steps: 10, bytes: 2 ** 20 }, false);
    expect(() => instrumented.constructs.recursion!(9)).toThrow(/steps/);
    expect(end().exceeded).toMatchObject({ oracle: "hang" });
  });

  test("bytes", () => {
    const { begin, end } = instrumented.instrumentation;
    begin({ steps: 1000, bytes: 16 }, false);
    expect(() => instrumented.constructs.arrays!(9)).toThrow(/allocates/);
    expect(end().exceeded).toMatchObject({ oracle: "memory" });
  });

  test("comparisons are recorded with both operands", () => {
    const { begin, end } = instrumented.instrumentation;
    begin(unlimited, true);
    instrumented.constructs.order!(7);
    const { comparisons } = end();
    expect(comparisons.map(({ left, right }) => [left, right])).toEqual([
      [7, 5],
      [7, 9],
    ]);
  });
});
