import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildFuzz } from "../../fuzz/build/build.js";
import { type FuzzOptions, type FuzzResult, runFuzz } from "../../src/fuzz/node/run.js";
import type { BuildTable } from "../../src/fuzz/table.js";

const folder = "test/fuzz/toys";

export interface Toys {
  readonly build: string;
  readonly table: BuildTable;
  run(name: string, options?: Partial<FuzzOptions>): Promise<FuzzResult>;
  remove(): void;
}

/** Builds the small targets, each with one fault, instrumented themselves. */
export async function buildToys(): Promise<Toys> {
  const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
  const out = mkdtempSync(join(tmpdir(), "kho-toys-"));
  const build = join(out, "build");
  const names = readdirSync(join(root, folder)).map((file) => file.replace(/\.ts$/, ""));
  const table = await buildFuzz({
    root,
    out: build,
    targets: Object.fromEntries(names.map((name) => [name, `${folder}/${name}.ts`])),
    instrumented: (path) => path.startsWith(folder),
  });
  return {
    build,
    table,
    run: (name, options = {}) =>
      runFuzz({
        build,
        table,
        targets: [name],
        seed: 1n,
        jobs: 1,
        runs: 50_000,
        keepGoing: false,
        ...options,
      }),
    remove: () => rmSync(out, { recursive: true }),
  };
}
