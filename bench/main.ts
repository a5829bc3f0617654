/**
 * `npm run bench -- [--short] [--json FILE] [NAME...]`: what the work costs, as a multiple of C and of libraries in the
 * same run. `--short` is for a machine that builds and tests: it fails where a ratio is far above its goal.
 */
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { jsonOf } from "./json.js";
import { type Measured, measure, short, thorough } from "./measure.js";
import { overFloor } from "./ratios.js";
import { select } from "./select.js";
import { paintFor, ratioText, tableHead, tableLines } from "./table.js";

const { values, positionals } = parseArgs({
  options: { short: { type: "boolean", default: false }, json: { type: "string" } },
  allowPositionals: true,
});
const effort = values.short ? short : thorough;
const paint = paintFor(process.stdout.isTTY, process.env.NO_COLOR);
const rows: Measured[] = [];
let sink = 0;

console.log(
  `Node ${process.versions.node}, load ${loadavg()[0]!.toFixed(1)}. Median times, and our time as a multiple of the peer's in the same round: median of up to ${effort.rounds} rounds.`,
);
/** Shows what is going on, on one line of a terminal that the next result takes the place of. */
const show = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};
for await (const subject of select(positionals, values, (group) => show(`  preparing ${group}`))) {
  show("");
  console.log(`\n${tableHead(subject.name, paint)}`);
  if (subject.peers.length === 0) console.log("  nothing here to compare with");
  else if (effort.goalsOnly && subject.peers.every(({ goal }) => goal === undefined))
    console.log("  no goal: whether all agree");
  let last: unknown;
  sink += measure(subject, effort, {
    round: (ours, peer, round, rounds) =>
      show(`  ${ours.name} : ${peer.name}, round ${round + 1} of ${rounds}`),
    row(ours, row) {
      show("");
      console.log(tableLines(ours.name, row, ours !== last, paint));
      last = ours;
      rows.push(row);
    },
  });
}
console.log(`\nsum of all results: ${sink % 2 ** 32}`);

if (values.json !== undefined) writeFileSync(values.json, jsonOf(rows));
if (values.short)
  for (const { name, against, spread, floor } of overFloor(rows)) {
    console.error(
      `too slow: ${name} : ${against}: ${ratioText(spread[0])} or more, at most ${ratioText(floor!)} is allowed`,
    );
    process.exitCode = 1;
  }
