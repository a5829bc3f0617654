/** What a run reads from disk and leaves there. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding, TargetState } from "../campaign.js";
import { distil } from "../corpus.js";
import { regressionTest } from "../regression.js";

const hashOf = (data: Uint8Array | string): string =>
  createHash("sha256").update(data).digest("hex").slice(0, 16);

/** Inputs of each target: all files of `FOLDER/TARGET`, by name. Targets without such a folder have none. */
export function readCorpus(folder: string, targets: readonly string[]): Map<string, Uint8Array[]> {
  return new Map(
    targets.map((target) => {
      const path = join(folder, target);
      const names = existsSync(path) ? readdirSync(path).sort() : [];
      return [target, names.map((name) => new Uint8Array(readFileSync(join(path, name))))];
    }),
  );
}

/** Adds what the run found to `FOLDER/TARGET`, by hash, without inputs that others make superfluous. */
export function writeCorpus(folder: string, states: readonly TargetState[]): void {
  for (const { name, added } of states) {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    for (const { data } of distil(added)) writeFileSync(join(path, hashOf(data)), data);
  }
}

/** `machine-1f0c…`: the same for the same fault. */
export const findingName = ({ oracle, place }: Pick<Finding, "oracle" | "place">): string =>
  `${oracle}-${hashOf(`${oracle} ${place}`).slice(0, 8)}`;

/**
 * Writes `FOLDER/TARGET/NAME/`: the input as it was found, the smaller one under the name that it has as a fixture, what
 * it shows, and a test. Returns the folder.
 */
export function writeFinding(folder: string, finding: Finding): string {
  const name = findingName(finding);
  const path = join(folder, finding.target, name);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "input"), finding.input);
  writeFileSync(join(path, `${name}.bin`), finding.minimised);
  writeFileSync(join(path, "error.txt"), `${finding.oracle}: ${finding.place}\n\n${finding.text}\n`);
  writeFileSync(join(path, `${name}.test.ts`), regressionTest(finding, name));
  return path;
}
