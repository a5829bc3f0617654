/**
 * `npm run fuzz:planted [-- [--time SECONDS] [--jobs N] [--json FILE] NAME...]`: plants each fault in a copy of the
 * sources, builds that, and fuzzes its target until the first finding. Ends with 1 unless every fault was found in time,
 * by the oracle that its patch names.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { alignRows } from "../../src/cli/table.js";
import { runFuzz } from "../../src/fuzz/node/run.js";
import { buildFuzz } from "../build/build.js";
import { type Planted, plantedIn } from "./patches.js";

const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    time: { type: "string", default: "120" },
    jobs: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
  },
});

interface Result extends Omit<Planted, "file"> {
  readonly found: boolean;
  /** What was found, where that is not what was planted. */
  readonly instead?: string;
  readonly seconds: number;
  readonly executions: number;
  readonly message: string;
}

/** A copy of what a build reads, with the patch applied; what is only read is linked. */
function plant({ file }: Planted): string {
  const copy = mkdtempSync(join(tmpdir(), "kho-planted-"));
  for (const folder of ["src", "formats", "fuzz", "test"])
    cpSync(join(root, folder), join(copy, folder), { recursive: true });
  for (const shared of [
    "fixtures",
    "node_modules",
    "package.json",
    "package-lock.json",
    "proto",
    "tsconfig.json",
  ])
    symlinkSync(join(root, shared), join(copy, shared));
  execFileSync("git", ["apply", "--whitespace=nowarn", file], { cwd: copy, stdio: "pipe" });
  return copy;
}

async function look(planted: Planted): Promise<Result> {
  const copy = plant(planted);
  try {
    const build = join(copy, "build");
    const targets = { [planted.target]: `fuzz/${planted.target}.ts` };
    const table = await buildFuzz({ root: copy, out: build, targets });
    const { targets: states, seconds } = await runFuzz({
      build,
      table,
      targets: [planted.target],
      seed: BigInt(values.seed),
      jobs: Number(values.jobs),
      time: Number(values.time),
      keepGoing: false,
    });
    const { findings, executions } = states[0]!;
    const { file: _, ...named } = planted;
    const [finding] = findings;
    const hit = findings.find(({ oracle }) => oracle === planted.oracle);
    return {
      ...named,
      found: hit !== undefined,
      ...(finding && !hit && { instead: finding.oracle }),
      seconds: Math.round(10 * (hit ?? finding ?? { seconds }).seconds) / 10,
      executions,
      message: (hit ?? finding)?.message ?? "",
    };
  } finally {
    rmSync(copy, { recursive: true });
  }
}

const all = plantedIn(join(root, "fuzz/planted"));
const wanted = positionals.length === 0 ? all : all.filter(({ name }) => positionals.includes(name));
const results: Result[] = [];
for (const planted of wanted) {
  const result = await look(planted);
  results.push(result);
  const { name, found, seconds, instead = "nothing" } = result;
  console.error(
    `${name}: ${found ? `found after ${seconds} s` : `NOT FOUND, but ${instead} in ${seconds} s`}`,
  );
}
const rows = results.map(({ name, target, oracle, found, seconds, executions, message }) => [
  name,
  target,
  oracle,
  found ? `${seconds.toFixed(1)} s` : "not found",
  String(executions),
  message.split("\n", 1)[0]!.slice(0, 70),
]);
const aligns = ["left", "left", "left", "right", "right"] as const;
console.log(
  alignRows([["planted", "target", "oracle", "found after", "runs", "as"], ...rows], aligns).join("\n"),
);
const found = results.filter((result) => result.found);
console.log(`\n${found.length} of ${results.length} found`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
process.exitCode = found.length === results.length && results.length > 0 ? 0 : 1;
