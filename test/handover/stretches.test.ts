import fc from "fast-check";
import { expect, it } from "vitest";
import { type FolioRuns, newFolioRuns, pagesOf } from "../../formats/memfd/folios.js";
import { forStretches } from "../../src/handover/stretches.js";

const folio = fc.record({ pfn: fc.nat(500), order: fc.nat(3) });
const file = fc.array(folio, { maxLength: 60 }).map((folios): FolioRuns => {
  const runs = newFolioRuns();
  // No two of them are neighbours in the file.
  for (const [i, { pfn, order }] of folios.entries()) runs.push(i * 100, pfn, order, 0);
  return runs.finish();
});
const claims = fc.array(fc.record({ start: fc.nat(500), pages: fc.nat(9) }), { maxLength: 60 });

it("stretches of frames come in order of their starts, however many are sorted at once", () => {
  fc.assert(
    fc.property(
      claims,
      fc.array(file, { maxLength: 4 }),
      fc.integer({ min: 1, max: 300 }),
      (all, files, atOnce) => {
        const expected = files.flatMap((folios, f) =>
          Array.from(folios.pfn, (pfn, i) => [pfn, pfn + pagesOf(folios, i), all.length + f]),
        );
        expected.push(...all.map(({ start, pages }, c) => [start, start + pages, c]));
        expected.sort((a, b) => a[0]! - b[0]!);
        const claimed = {
          starts: Float64Array.from(all, ({ start }) => start),
          ends: Float64Array.from(all, ({ start, pages }) => start + pages),
        };
        const found: number[][] = [];
        forStretches(claimed, files, (...stretch) => found.push(stretch), atOnce);
        expect(found).toEqual(expected);
      },
    ),
  );
});
