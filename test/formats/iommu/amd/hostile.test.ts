/** Memory that means harm: everything ends, within limits, and nothing but findings comes of it. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { translate } from "../../../../formats/iommu/translate.js";
import { decodeMappings } from "../../../../formats/iommu/walk.js";
import { physAddr, sparseMemory } from "../../../../src/memory/index.js";
import { codes } from "../../../../src/report/codes.js";
import { isKhoError } from "../../../../src/report/error.js";
import { opened } from "./support.js";

const limits = { maxRecords: 300, maxTables: 50, maxSharedTables: 20, maxRuns: 500 };

/** Words of which entries are made, and addresses of the few pages that there are. */
const frames = [0x0n, 0x1000n, 0x2000n, 0x3000n, 0x8000000000000n, 0xffffffffff000n];
const word = fc.oneof(
  fc.bigInt(0n, 2n ** 64n - 1n),
  fc.constantFrom(0n, 1n, 3n),
  fc
    .tuple(
      fc.constantFrom(...frames),
      fc.constantFrom(
        0x1n,
        0x67n,
        0x27n,
        0x6000000000000003n,
        0x6000000000000201n,
        0x6000000000000401n,
        0x6000000000000603n,
        0x6000000000000c03n,
        0x6000000000000e03n,
        0x78c0000000000003n,
        0x7ac0000000000603n,
        0x7bc0000000000003n,
      ),
    )
    .map(([frame, bits]) => frame | bits),
);
const page = fc.array(fc.tuple(fc.nat(511), word), { maxLength: 40 }).map((places) => {
  const words = new BigUint64Array(512);
  for (const [at, value] of places) words[at] = value;
  return new Uint8Array(words.buffer);
});
/** The same word in all entries: tables that lead to themselves everywhere. */
const uniform = word.map((value) => new Uint8Array(new BigUint64Array(512).fill(value).buffer));

it("any memory, any root", () =>
  fc.assert(
    fc.property(
      fc.array(fc.oneof(page, uniform), { minLength: 1, maxLength: 4 }),
      fc.oneof(
        fc.constantFrom(0x1000n, 0x1001n, 0x2003n, 0x3000n, 0x80000000001000n),
        fc.bigInt(0n, 2n ** 65n),
      ),
      fc.option(fc.constantFrom(0n, 1n << 47n, 1n << 51n, 0xfffn, 2n ** 64n - 1n), { nil: undefined }),
      (pages, root, smeMask) => {
        const memory = sparseMemory();
        for (const [i, bytes] of pages.entries()) memory.write(physAddr(i * 4096), bytes);
        let unit: ReturnType<typeof opened>;
        try {
          unit = opened(memory, { root, ...(smeMask !== undefined && { smeMask }) }, limits);
        } catch (error) {
          expect(isKhoError(error, "iommu-root-malformed")).toBe(true);
          return;
        }
        const { ctx, findings } = unit;
        const all = [...unit.unit.devices()];
        expect(all.length).toBeLessThanOrEqual(limits.maxRecords);
        for (const [i, found] of all.entries()) {
          const before = all[i - 1];
          const isBehind =
            !before || found.device > before.device || (before.pasid ?? -1) < (found.pasid ?? Number.NaN);
          expect(isBehind).toBe(true);
          expect(found.table !== undefined).toBe(found.kind === "table" || found.kind === "nested");
          expect(found.parent !== undefined).toBe(found.kind === "nested");
        }
        for (const { device, pasid, kind, table, path } of all.slice(0, 5)) {
          expect(unit.unit.device(device, pasid)).toMatchObject({ kind, path });
          if (!table) continue;
          decodeMappings(ctx, table, path);
          translate(memory, table, 0x1234567n);
        }
        for (const { code, path } of findings) {
          expect(codes).toHaveProperty(code);
          expect(path).not.toBe("");
        }
      },
    ),
    { numRuns: 300 },
  ));
