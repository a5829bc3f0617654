/**
 * `npm run bench:report -- [FILE]`: what the measurements say, as charts, as `bench/REPORT.md`, and as a table in the
 * README. FILE is of `npm run bench -- --json FILE`; without it everything is measured anew. Where a goal is missed the
 * report says by how much, and where the time goes.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chart } from "./chart.js";
import { hotSpots, percent } from "./hot.js";
import { rowsOf } from "./json.js";
import { markdownTable, withBlock } from "./markdown.js";
import { missedBy, type Row } from "./ratios.js";
import { select } from "./select.js";
import { ratioText, verdictText } from "./table.js";

const here = (name: string): string => new URL(name, import.meta.url).pathname;

function measured(): string {
  const folder = mkdtempSync(join(tmpdir(), "kho-bench-"));
  const file = join(folder, "rows.json");
  const { status } = spawnSync(
    process.execPath,
    ["--import", here("register.mjs"), here("main.ts"), "--json", file],
    {
      stdio: "inherit",
    },
  );
  if (status !== 0) throw new Error("the measurement failed");
  const text = readFileSync(file, "utf8");
  rmSync(folder, { recursive: true });
  return text;
}

const file = process.argv[2];
const rows = rowsOf(file === undefined ? measured() : readFileSync(file, "utf8"));

const isNative = ({ against }: Row): boolean => /^(C|libfdt)\b/.test(against);
const isYardstick = ({ against }: Row): boolean => against.startsWith("yardstick");

const charts = [
  { file: "goals.svg", title: "Goals", rows: rows.filter(({ goal }) => goal !== null) },
  { file: "native.svg", title: "Against C, gcc -O2", rows: rows.filter(isNative) },
  {
    file: "others.svg",
    title: "Against libraries and plain JavaScript",
    rows: rows.filter((row) => !isNative(row) && !isYardstick(row)),
  },
].filter(({ rows }) => rows.length > 0);
for (const { file, title, rows } of charts) writeFileSync(here(file), chart(title, rows));

const missed = rows.filter((row) => missedBy(row) > 0);
/** Where the time of those that miss a goal goes, by the name of the row. */
const profiles = new Map<string, string>();
if (missed.length > 0)
  for await (const { name, ours } of select([], { short: false }))
    for (const { name: way, run } of ours) {
      const row = `${name}: ${way}`;
      if (!missed.some(({ name }) => name === row)) continue;
      const hot = (await hotSpots(run)).filter(({ share }) => share >= 0.01);
      profiles.set(row, hot.map(({ where, share }) => `${percent(share).padStart(7)}  ${where}`).join("\n"));
    }

const report = [
  "# Measurements",
  "Written by `npm run bench:report`. A ratio is our time as a multiple of the peer's in the same round: the median of " +
    "interleaved rounds, with the least and the most of them. [README.md](README.md) says what the peers are.",
  ...charts.map(({ file, title }) => `![${title}](${file})`),
  "## All",
  markdownTable(rows),
  "## Missed goals",
  missed.length === 0
    ? "None."
    : "By how much, and the functions that took most of our time, without what they call: V8's sampling profiler.",
];
for (const name of new Set(missed.map(({ name }) => name))) {
  report.push(`### ${name}`);
  report.push(
    missed
      .filter((row) => row.name === name)
      .map(
        (row) =>
          `- ${row.against}: ${ratioText(row.ratio)} instead of ${ratioText(row.goal!)}, ${verdictText(row)}`,
      )
      .join("\n"),
  );
  const profile = profiles.get(name);
  if (profile) report.push(`\`\`\`text\n${profile}\n\`\`\``);
}
writeFileSync(here("REPORT.md"), `${report.join("\n\n")}\n`);

const readme = here("../README.md");
const wanted = rows.filter((row) => row.goal !== null);
const block = [markdownTable(wanted), charts[0] ? `![${charts[0].title}](bench/${charts[0].file})` : ""].join(
  "\n\n",
);
writeFileSync(readme, withBlock(readFileSync(readme, "utf8"), block));
console.log(
  `written: ${[...charts.map(({ file }) => `bench/${file}`), "bench/REPORT.md", "README.md"].join(", ")}`,
);
