import fc from "fast-check";
import { expect, it } from "vitest";
import { vmallocPages } from "../../../formats/kho/vmalloc.js";
import { mostPieceBytes, vmallocPieces } from "../../../formats/kho/vmalloc-pieces.js";
import { addressOf, sparseMemory } from "../../../src/memory/index.js";
import { Ram } from "../../handover/synthetic/ram.js";
import { contextOf } from "./support.js";

/** Blocks of an area, side by side or not, of which some are not in the capture. */
const area = fc.record({
  order: fc.nat(2),
  blocks: fc.array(
    fc.record({
      pfn: fc.nat(60),
      follow: fc.boolean(),
      absent: fc.constantFrom(false, false, false, false, true),
    }),
    { maxLength: 30 },
  ),
  tail: fc.nat(4095),
});

it.each([4096, 16384, 65536])(
  "pieces of an area are its pages of %i bytes one behind the other",
  (pageSize) => {
    fc.assert(
      fc.property(area, ({ order, blocks, tail }) => {
        const memory = sparseMemory();
        const pfns: number[] = [];
        for (const { pfn, follow, absent } of blocks) {
          const last = pfns.at(-1);
          const block = follow && last !== undefined ? last + 2 ** order : pfn * 2 ** order;
          pfns.push(block);
          for (let page = 0; page < 2 ** order && !absent; page++)
            memory.write(
              addressOf(block + page, pageSize),
              new Uint8Array(pageSize).fill((block + page) & 0xff),
            );
        }
        const length = Math.max(0, pfns.length * 2 ** order * pageSize - tail);
        const read = (pages: typeof vmallocPages) => {
          const { ctx, findings } = contextOf(new Ram(), "7.3", pageSize);
          const bytes: number[] = [];
          let next = 0;
          for (const piece of pages({ ...ctx, memory }, { pfns, order, complete: true }, length, "area")) {
            expect(piece.offset).toBe(next);
            expect(piece.bytes.length).toBeLessThanOrEqual(Math.max(pageSize, mostPieceBytes));
            next += piece.bytes.length;
            // A page has one value all over.
            for (let at = 0; at < piece.bytes.length; at += pageSize) bytes.push(piece.bytes[at]!);
          }
          return { bytes, next, findings };
        };
        expect(read(vmallocPieces)).toEqual(read(vmallocPages));
      }),
      { numRuns: 40 },
    );
  },
);
