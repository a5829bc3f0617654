import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildFolder } from "../../fuzz/node/checkout.js";
import type { BuildTable } from "../../fuzz/table.js";
import { KhoError } from "../../report/error.js";
import type { Run } from "../run.js";

export interface FuzzBuild {
  readonly folder: string;
  readonly table: BuildTable;
}

const builder = "fuzz/build/main.ts";

/** The instrumented build of the checkout that the command belongs to, made where the sources are newer than any. */
export function openBuild({ err, errStyle }: Run): FuzzBuild {
  const root = checkout();
  const folder = buildFolder(root);
  if (!existsSync(folder)) {
    err.line(errStyle.dim("kho: building the instrumented library"));
    err.flush();
    const { status, stderr } = spawnSync(process.execPath, ["--import", "tsx", builder], {
      cwd: root,
      encoding: "utf8",
    });
    if (status !== 0) throw new KhoError("usage", `the instrumented build fails:\n${stderr}`);
  }
  return { folder, table: JSON.parse(readFileSync(join(folder, "table.json"), "utf8")) };
}

/** The folder above this file that has the targets. */
function checkout(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, builder))) return folder;
    if (folder === dirname(folder))
      throw new KhoError(
        "usage",
        "the targets and the build of kho fuzz are in a checkout of kho, not in its package",
        {
          expected: "npm run kho fuzz, in a checkout",
        },
      );
  }
}
