import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** A folder of its own for a test file, removed afterwards, that hands out fresh folders. */
export function tempFolders(): (name?: string) => string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "kho-image-")));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  let count = 0;
  return (name = "folder") => {
    const path = join(root, String(count++), name);
    mkdirSync(path, { recursive: true });
    return path;
  };
}
