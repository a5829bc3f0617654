/** `npm run bench:profile -- NAME...`: where the time of the subjects that the names choose goes, function by function. */
import { hotSpots, percent } from "./hot.js";
import { select } from "./select.js";

const names = process.argv.slice(2);
if (names.length === 0) throw new Error("which subject? `npm run bench:profile -- NAME`");
for await (const { name, ours } of select(names, { short: false }))
  for (const { name: way, run } of ours) {
    console.log(`\n${name}: ${way}`);
    for (const { where, share } of await hotSpots(run))
      console.log(`${percent(share).padStart(8)}  ${where}`);
  }
