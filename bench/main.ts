/** `npm run bench`: what decoding costs on a shipped capture, as a multiple of plain code in the same run. */
import { openCapture } from "./capture.js";
import { fdtSubject } from "./fdt.js";
import { foliosSubject } from "./folios.js";
import { handoverSubject } from "./handover.js";
import { measure, rounds } from "./measure.js";
import { pageTableSubject } from "./page-table.js";
import { radixSubject } from "./radix.js";

const capture = openCapture();
const subjects = [
  fdtSubject(),
  radixSubject(capture),
  foliosSubject(capture),
  pageTableSubject(),
  handoverSubject(capture),
];
console.log(
  `Node ${process.versions.node}. Median time; ratio to the first line, median (least .. most) of ${rounds} rounds.`,
);
const sink = subjects.reduce((sum, subject) => (sum + measure(subject)) % 2 ** 32, 0);
console.log(`\nsum of all results: ${sink}`);
