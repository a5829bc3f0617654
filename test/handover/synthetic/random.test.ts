import fc from "fast-check";
import { expect, it } from "vitest";
import { decodeWritten, expectAll, faultsOf } from "./compare.js";
import { folios, scratch } from "./plans.js";
import { releases } from "./releases.js";
import { type FolioPlan, type Plan, type SessionPlan, write } from "./writer.js";

/** Sorted by falling order, folios one behind the other are at indices of their own size; then some become holes. */
const list: fc.Arbitrary<FolioPlan[]> = fc
  .array(fc.record({ order: fc.nat(6), flags: fc.nat(3), hole: fc.nat(9) }), { maxLength: 40 })
  .map((items) => {
    const sorted = items.sort((a, b) => b.order - a.order);
    const placed = folios(sorted.map(({ order }) => order));
    return placed.map((folio, i) => ({
      ...folio,
      flags: sorted[i]!.flags,
      ...(sorted[i]!.hole === 0 && { hole: true }),
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

const session = fc.record({
  name,
  files: fc.uniqueArray(
    fc.record({
      token: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      handler: fc.nat(5),
      data: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      pos: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
      seals: fc.nat(0x3f),
      cut: fc.integer({ min: 1, max: 4096 }),
      list,
      listOrder: fc.nat(2),
    }),
    { maxLength: 6, selector: ({ token }) => token },
  ),
});

const plan: fc.Arbitrary<Plan> = fc
  .record({
    form: fc.constantFrom(...releases),
    pageSize: fc.constantFrom(4096, 4096, 16384, 65536),
    base: fc.bigInt({ min: 0x80n, max: 0x3fffn }).map((megabytes) => megabytes << 24n),
    sessions: fc.uniqueArray(session, { maxLength: 8, selector: ({ name: key }) => String(key) }),
    perBlock: fc.integer({ min: 1, max: 50 }),
    number: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    stray: fc.uniqueArray(fc.record({ at: fc.nat(200), order: fc.nat(8) }), {
      selector: ({ at }) => at,
      maxLength: 30,
    }),
    regions: fc.nat(8),
    test: fc.array(fc.nat(4), { minLength: 3, maxLength: 5 }),
    references: fc.array(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), { maxLength: 63 }),
    counted: fc.nat(0xffff),
    scan: fc.boolean(),
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
        ...(form.luo && { sessions: described, perBlock, liveupdateNumber: number }),
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

it("whatever is handed over comes out again, without a fault", () => {
  fc.assert(
    fc.property(plan, (described) => {
      const written = write(described);
      const decoded = decodeWritten(written, { release: described.form.release });
      expect(faultsOf(decoded)).toEqual([]);
      expectAll(written, decoded);
    }),
    { numRuns: 100, seed: 20260101 },
  );
});

it("the release need not be named where the bytes tell it", () => {
  fc.assert(
    fc.property(
      plan.filter(({ form }) => form.luo !== undefined),
      (described) => {
        const written = write(described);
        const decoded = decodeWritten(written);
        expect(faultsOf(decoded)).toEqual([]);
        expect(decoded.handover.releaseGuessed).toBe(true);
        const found = decoded.handover.release;
        if (described.form.kho === "kho-v4") expect(["7.2", "7.3"]).toContain(found);
        else expect(found).toBe(described.form.release);
      },
    ),
    { numRuns: 40, seed: 20260102 },
  );
});
