/**
 * `node --import tsx fuzz/build/main.ts [OUT]`: makes the instrumented build of this checkout and prints the folder it
 * is in, which is named after what it was made of unless OUT is given.
 */
import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { buildFolder } from "../../src/fuzz/node/checkout.js";
import { buildFuzz } from "./build.js";

const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const keptBuilds = 8;
const out = process.argv[2] === undefined ? buildFolder(root) : resolve(process.argv[2]);
if (process.argv[2] !== undefined || !existsSync(out)) await buildFuzz({ root, out });
if (process.argv[2] === undefined) forget(dirname(out));
console.log(out);

/** Removes all builds but the newest; a run that lasts may still load an older one. */
function forget(folder: string): void {
  const age = (path: string): number => -statSync(path).mtimeMs;
  const builds = readdirSync(folder).map((name) => join(folder, name));
  builds.sort((a, b) => age(a) - age(b));
  for (const build of builds.slice(keptBuilds)) rmSync(build, { recursive: true, force: true });
}
