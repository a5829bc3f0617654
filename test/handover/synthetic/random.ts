/** Random descriptions of handovers. */

import fc from "fast-check";
import { folios, scratch } from "./plans.js";
import type { Form } from "./releases.js";
import type { FolioPlan, Plan, SessionPlan } from "./writer.js";

/** How much there may be of everything. */
export interface Bounds {
  sessions: number;
  files: number;
  folios: number;
  stray: number;
  regions: number;
  flbs: number;
  /** Largest order of folios, and of blocks that nothing refers to. Every order has a part of the memory map of its own. */
  order: number;
  strayOrder: number;
  /** Largest order of the test module's folios. */
  testOrder: number;
  /** Share of handovers without a hand-off record, which have to be looked for: one in so many. */
  scanned: number;
  pageSizes: readonly number[];
  /** Blocks of the lists that are not full, and entries of folio lists to skip: readers take them, no kernel writes them. */
  unusual: boolean;
}

export const large: Bounds = {
  sessions: 8,
  files: 6,
  folios: 40,
  stray: 30,
  regions: 8,
  flbs: 63,
  order: 6,
  strayOrder: 8,
  testOrder: 4,
  scanned: 2,
  pageSizes: [4096, 4096, 16384, 65536],
  unusual: true,
};

/** Sorted by falling order, folios one behind the other are at indices of their own size; then some become holes. */
const listOf = (bounds: Bounds): fc.Arbitrary<FolioPlan[]> =>
  fc
    .array(fc.record({ order: fc.nat(bounds.order), flags: fc.nat(3), hole: fc.nat(9) }), {
      maxLength: bounds.folios,
    })
    .map((items) => {
      const sorted = items.sort((a, b) => b.order - a.order);
      const placed = folios(sorted.map(({ order }) => order));
      return placed.map((folio, i) => ({
        ...folio,
        flags: sorted[i]!.flags,
        ...(bounds.unusual && sorted[i]!.hole === 0 && { hole: true }),
      }));
    });

const name = fc.oneof(
  fc
    .string({ minLength: 1, maxLength: 15, unit: "grapheme" })
    .filter((text) => !text.includes("\0") && new TextEncoder().encode(text).length < 64),
  // Bytes that no UTF-8 begins with.
  fc
    .array(fc.integer({ min: 0xf8, max: 0xff }), { minLength: 1, maxLength: 63 })
    .map((bytes) => Uint8Array.from(bytes)),
);

const sessionOf = (bounds: Bounds) =>
  fc.record({
    name,
    files: fc.uniqueArray(
      fc.record({
        token: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        handler: fc.nat(5),
        data: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        pos: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
        seals: fc.nat(0x3f),
        cut: fc.integer({ min: 1, max: 4096 }),
        list: listOf(bounds),
        listOrder: fc.nat(2),
      }),
      { maxLength: bounds.files, selector: ({ token }) => token },
    ),
  });

/** A handover of one of the forms. */
export const planOf = (forms: readonly Form[], bounds: Bounds): fc.Arbitrary<Plan> =>
  fc
    .record({
      form: fc.constantFrom(...forms),
      pageSize: fc.constantFrom(...bounds.pageSizes),
      base: fc.bigInt({ min: 0x80n, max: 0x3fffn }).map((megabytes) => megabytes << 24n),
      sessions: fc.uniqueArray(sessionOf(bounds), {
        maxLength: bounds.sessions,
        selector: ({ name: key }) => String(key),
      }),
      perBlock: fc.integer({ min: 1, max: 50 }),
      number: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
      stray: fc.uniqueArray(fc.record({ at: fc.nat(200), order: fc.nat(bounds.strayOrder) }), {
        selector: ({ at }) => at,
        maxLength: bounds.stray,
      }),
      regions: fc.nat(bounds.regions),
      test: fc.array(fc.nat(bounds.testOrder), { minLength: 3, maxLength: 5 }),
      references: fc.array(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), { maxLength: bounds.flbs }),
      counted: fc.nat(0xffff),
      scan: fc.nat(bounds.scanned - 1).map((n) => n === 0),
    })
    .map(
      ({
        form,
        pageSize,
        sessions,
        perBlock,
        number,
        stray,
        regions,
        test,
        references,
        counted,
        scan,
        base,
      }): Plan => {
        const described: SessionPlan[] = sessions.map(({ name: label, files }) => ({
          name: label,
          files: files.map((file) => {
            if (file.handler === 0) return { token: file.token, compatible: "vfio-pci-v1", data: file.data };
            const last = file.list.at(-1);
            const pages = last ? last.index + 2 ** last.order : 0;
            const size = pages === 0 ? 0n : BigInt(pages * pageSize - (file.cut % pageSize));
            const listOrder = pageSize === 4096 ? file.listOrder : 0;
            return {
              token: file.token,
              memfd: { size, pos: file.pos, seals: file.seals, folios: file.list, listOrder },
            };
          }),
        }));
        return {
          form,
          pageSize,
          base,
          handoff: scan ? "nothing" : pageSize === 4096 ? "setup_data" : { cells: [2, 2] },
          scratch,
          ...(form.luo && {
            sessions: described,
            ...(bounds.unusual && { perBlock }),
            liveupdateNumber: number,
          }),
          ...(form.luo?.flb && {
            flbs: references.map((count, i) => ({ name: `flb-${i}`, data: BigInt(i), count })),
          }),
          ...(form.metadata && { metadata: { release: `${form.label}.0-test+`, count: counted } }),
          reserveMem: Array.from({ length: regions }, (_, i) => ({
            name: `region-${i}`,
            start: 0x10000000n + BigInt(i * (i + 1) * 4 * pageSize),
            size: BigInt((i + 1) * pageSize),
          })),
          khoTest: test,
          // Each in 256 pages of its own.
          stray: stray.map(({ at, order }) => ({ pfn: 2 ** 46 / pageSize + at * 256, order })),
        };
      },
    );
