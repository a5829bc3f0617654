import { type Exit, exits } from "../exit.js";
import type { Run } from "../run.js";
import { alignRows } from "../table.js";
import type { FuzzBuild } from "./checkout.js";
import { loadTarget } from "./targets.js";

/** `kho fuzz --list`. */
export async function listTargets(
  { out, style }: Run,
  build: FuzzBuild,
  targets: readonly string[],
): Promise<Exit> {
  const rows: string[][] = [["target", "edges", "looks at"].map(style.bold)];
  for (const name of targets) {
    const { about = "" } = await loadTarget(build, name);
    rows.push([style.name(name), String(build.table.targets[name]!.edges), about]);
  }
  for (const line of alignRows(rows, ["left", "right"])) out.line(line);
  return exits.fine;
}
