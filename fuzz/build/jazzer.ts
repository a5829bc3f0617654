/**
 * `node --import tsx fuzz/build/jazzer.ts OUT SEEDS`: bundles every target as the CommonJS module OUT/NAME.js that
 * jazzer.js runs, and instruments itself; writes the seeds of each as files SEEDS/NAME/*.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { targetNames } from "../../src/fuzz/node/checkout.js";
import type { TargetModule } from "../../src/fuzz/target.js";
import { locatedSource } from "./located.js";

const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const [out, seeds] = process.argv.slice(2).map((path) => resolve(path));
if (out === undefined || seeds === undefined) throw new Error("name two folders: for targets and for seeds");

/** The runner of OSS-Fuzz may have Node 19, which lacks this one method that the library uses. */
const banner = "Array.prototype.toReversed ??= function () { return [...this].reverse(); };";

await build({
  absWorkingDir: root,
  entryPoints: targetNames(root).map((name) => `fuzz/${name}.ts`),
  outdir: out,
  bundle: true,
  platform: "node",
  target: "node18",
  format: "cjs",
  banner: { js: banner },
  logLevel: "error",
  plugins: [
    {
      name: "located",
      setup: ({ onLoad }) =>
        onLoad({ filter: /\.ts$/ }, ({ path }) => ({ contents: locatedSource(path), loader: "ts" })),
    },
  ],
});
writeFileSync(join(out, "package.json"), '{ "private": true, "type": "commonjs" }\n');

for (const name of targetNames(root)) {
  const target: TargetModule = await import(pathToFileURL(join(root, "fuzz", `${name}.ts`)).href);
  mkdirSync(join(seeds, name), { recursive: true });
  for (const seed of target.seeds?.() ?? [])
    writeFileSync(join(seeds, name, seed.name.replace(/[^\w.-]/g, "_")), seed.data);
}
