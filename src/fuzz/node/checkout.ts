/** Which files of a checkout make the instrumented build, and where it is kept. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Names of the targets: files `fuzz/NAME.ts`, in order. */
export const targetNames = (root: string): string[] =>
  readdirSync(join(root, "fuzz"), { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map(({ name }) => name.slice(0, -".ts".length))
    .sort();

/** Code whose edges count, by path from the root: the library, and not what drives or shows it. */
export const isInstrumented = (path: string): boolean =>
  /^(src|formats)\//.test(path) && !/^src\/(fuzz|cli|gen)\//.test(path);

/** Folders that a build reads; `test` because targets share helpers with the tests. */
const folders = ["src", "formats", "fuzz", "test"];

/** A hash over all that a build is made of. Precondition: `root` is a checkout. */
export function sourcesHash(root: string): string {
  const hash = createHash("sha256");
  const files = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => `${folder}/${path}`),
  );
  for (const path of [...files.sort(), "package-lock.json"]) {
    const text = readFileSync(join(root, path));
    hash.update(`${path} ${text.length}\n`).update(text);
  }
  return hash.digest("hex").slice(0, 16);
}

/**
 * Folder of the build of what the checkout holds now. A build is never changed, so that a run of an hour is not
 * disturbed by what is edited meanwhile.
 */
export const buildFolder = (root: string): string =>
  join(root, "node_modules/.cache/kho-fuzz", sourcesHash(root));
