/** Bundles the fuzz targets with an instrumented library, and the worker that runs them. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { type BuildOptions, build, type Metafile, type Plugin } from "esbuild";
import { maxEdges } from "../../src/fuzz/instrumentation.js";
import { isInstrumented, targetNames } from "../../src/fuzz/node/checkout.js";
import type { BuildTable } from "../../src/fuzz/table.js";
import { type Instrumented, instrument, runtimeModule } from "./instrument.js";
import { locatedSource } from "./located.js";

export interface FuzzBuildOptions {
  /** The checkout. */
  readonly root: string;
  /** Replaced if it is there; appears when it is complete. */
  readonly out: string;
  /** Modules to bundle as targets, by name: all of `fuzz/*.ts` unless given. */
  readonly targets?: Readonly<Record<string, string>>;
  /** True for files, by path from the root, whose edges count. */
  readonly instrumented?: (path: string) => boolean;
}

const runtimeFile = "src/fuzz/instrumentation.ts";
const workerFile = "src/fuzz/node/worker.ts";

/** What `TARGET.mjs` of a build exports beside the target itself. */
const wrapper = (file: string): string =>
  `export * from ${JSON.stringify(file)}; export * as instrumentation from "${runtimeModule}";`;

export async function buildFuzz({
  root,
  out,
  targets = namedTargets(root),
  instrumented = isInstrumented,
}: FuzzBuildOptions): Promise<BuildTable> {
  const names = Object.keys(targets);
  const common = {
    absWorkingDir: root,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    splitting: true,
    outExtension: { ".js": ".mjs" },
    metafile: true,
    logLevel: "error",
  } satisfies BuildOptions;
  const entryPoints = [
    ...names.map((name) => ({ in: `kho:target/${name}`, out: name })),
    { in: join(root, workerFile), out: "worker" },
  ];
  // A first pass finds the files, so that edges are numbered in an order that is always the same.
  const { metafile: plain } = await build({
    ...common,
    entryPoints,
    outdir: out,
    write: false,
    plugins: [plugin(root, targets, new Map())],
  });
  const files = Object.keys(plain.inputs).filter(instrumented).sort();
  const made = new Map<string, Instrumented>();
  const table = {
    files: [] as string[],
    firstEdges: [] as number[],
    lines: [] as number[],
    targets: {} as Record<string, { file: string; edges: number }>,
  };
  for (const file of files) {
    const result = instrument(file, readFileSync(join(root, file), "utf8"), table.lines.length);
    made.set(file, result);
    table.files.push(file);
    table.firstEdges.push(table.lines.length);
    table.lines.push(...result.lines);
  }
  if (table.lines.length > maxEdges)
    throw new Error(`${table.lines.length} edges are more than the ${maxEdges} that counters have room for`);
  const partial = `${out}.${process.pid}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  const { metafile } = await build({
    ...common,
    entryPoints,
    outdir: partial,
    sourcemap: "linked",
    sourcesContent: false,
    plugins: [plugin(root, targets, made)],
  });
  for (const name of names)
    table.targets[name] = { file: targets[name]!, edges: edgesOf(metafile, name, table) };
  writeFileSync(join(partial, "table.json"), JSON.stringify(table));
  rmSync(out, { recursive: true, force: true });
  renameSync(partial, out);
  return table;
}

const namedTargets = (root: string): Record<string, string> =>
  Object.fromEntries(targetNames(root).map((name) => [name, `fuzz/${name}.ts`]));

function plugin(
  root: string,
  targets: Readonly<Record<string, string>>,
  instrumented: ReadonlyMap<string, Instrumented>,
): Plugin {
  return {
    name: "kho-fuzz",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^kho:instrumentation$/ }, () => ({ path: join(root, runtimeFile) }));
      onResolve({ filter: /^kho:target\// }, ({ path }) => ({
        path: path.slice("kho:target/".length),
        namespace: "kho-target",
      }));
      onLoad({ filter: /.*/, namespace: "kho-target" }, ({ path }) => ({
        contents: wrapper(join(root, targets[path]!)),
        resolveDir: root,
      }));
      onLoad({ filter: /\.ts$/, namespace: "file" }, ({ path }) => {
        const made = instrumented.get(relative(root, path));
        if (made) return { contents: made.text, loader: "ts" };
        // The worker is not part of what it runs.
        return path === join(root, workerFile) ? undefined : { contents: locatedSource(path), loader: "ts" };
      });
    },
  };
}

/** Edges that a target could take: those of the instrumented files that it imports, as far as they are in the bundle. */
function edgesOf(metafile: Metafile, name: string, table: BuildTable): number {
  const seen = new Set<string>();
  const pending = [`kho-target:${name}`];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const { path } of metafile.inputs[file]?.imports ?? []) pending.push(path);
  }
  const ends = [...table.firstEdges.slice(1), table.lines.length];
  return table.files.reduce(
    (sum, file, i) => sum + (seen.has(file) ? ends[i]! - table.firstEdges[i]! : 0),
    0,
  );
}
