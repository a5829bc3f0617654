/** What the writer writes, the reader finds, whatever devices do. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { openSmmuv3 } from "../../../../formats/iommu/arm/devices.js";
import { type Attachment, newSmmuv3Unit } from "../../../../formats/iommu/arm/encode.js";
import { stage1Domain, stage2Domain } from "../../../../formats/iommu/arm/geometry.js";
import { type Domain, newDomain } from "../../../../formats/iommu/domain.js";
import { contextOver } from "../context.js";
import { newStore, type Store } from "../store.js";

/** Domains of every shape, made when they are first used. */
const shapes = [
  { stage: 1, granuleLg2: 12, vaBits: 48, outputBits: 48 },
  { stage: 1, granuleLg2: 12, vaBits: 39, outputBits: 40 },
  { stage: 1, granuleLg2: 14, vaBits: 47, outputBits: 44 },
  { stage: 1, granuleLg2: 16, vaBits: 52, outputBits: 52 },
  { stage: 2, granuleLg2: 12, vaBits: 0, outputBits: 32 },
  { stage: 2, granuleLg2: 12, vaBits: 0, outputBits: 42 },
  { stage: 2, granuleLg2: 14, vaBits: 0, outputBits: 40 },
  { stage: 2, granuleLg2: 16, vaBits: 0, outputBits: 52 },
] as const;

function newShape({ stage, granuleLg2, vaBits, outputBits }: (typeof shapes)[number], store: Store): Domain {
  const smmu = { granules: [granuleLg2], outputBits, vax: true };
  const kernel = { pageLg2: granuleLg2, vaBits };
  return newDomain(stage === 1 ? stage1Domain(smmu, kernel) : stage2Domain(smmu, kernel), store)!;
}

type Call =
  | { readonly call: "detach"; readonly sid: number; readonly pasid: number | undefined }
  | { readonly call: "attach"; readonly sid: number; readonly kind: "blocked" | "identity" }
  | {
      readonly call: "table";
      readonly sid: number;
      readonly shape: number;
      readonly id: number;
      readonly pasid: number | undefined;
    };

const sid = fc.constantFrom(0, 1, 2, 255);
const pasid = fc.option(fc.constantFrom(1, 2, 3, 1023, 1024, 2047), { nil: undefined });
const calls: fc.Arbitrary<Call[]> = fc.array(
  fc.oneof(
    fc.record({ call: fc.constant("detach" as const), sid, pasid }),
    fc.record({
      call: fc.constant("attach" as const),
      sid,
      kind: fc.constantFrom("blocked" as const, "identity" as const),
    }),
    fc.record({
      call: fc.constant("table" as const),
      sid,
      shape: fc.nat(shapes.length - 1),
      id: fc.integer({ min: 1, max: 65535 }),
      pasid,
    }),
  ),
  { maxLength: 30 },
);
const options = fc.record({
  sidBits: fc.constantFrom(8, 9, 16),
  twoLevelStreams: fc.boolean(),
  twoLevelContexts: fc.boolean(),
  coherent: fc.boolean(),
  attributeOverride: fc.boolean(),
  stalls: fc.boolean(),
  e2h: fc.boolean(),
});

/** What a stream has: for requests without PASID, and by PASID. */
interface Expected {
  plain: string;
  readonly pasids: Map<number, string>;
}

it("streams and PASIDs are listed as they were attached last", () => {
  fc.assert(
    fc.property(options, calls, (unitOptions, steps) => {
      const store = newStore();
      const unit = newSmmuv3Unit(unitOptions, store)!;
      const domains = new Map<number, Domain>();
      const devices = new Map<number, Expected>();
      for (const step of steps) {
        const known = devices.get(step.sid) ?? { plain: "blocked", pasids: new Map() };
        if (step.call === "detach") {
          unit.detach(step.sid, step.pasid);
          if (step.pasid === undefined) devices.delete(step.sid);
          else known.pasids.delete(step.pasid);
          continue;
        }
        let what: Attachment;
        let says: string;
        if (step.call === "attach") {
          what = { kind: step.kind };
          says = step.kind;
        } else {
          const domain = domains.get(step.shape) ?? newShape(shapes[step.shape]!, store);
          domains.set(step.shape, domain);
          const { stage } = shapes[step.shape]!;
          // No driver mixes the two: see the test of what it refuses.
          if (stage === 2 && (step.pasid !== undefined || known.pasids.size > 0)) continue;
          if (step.pasid !== undefined && known.plain.startsWith("VMID")) continue;
          what = {
            kind: "table",
            domain,
            domainId: step.id,
            pasidBits: 11,
            ...(step.pasid !== undefined && { pasid: step.pasid }),
          };
          says = `${stage === 1 ? "ASID" : "VMID"} ${step.id} ${domain.root} ${domain.levels} ${domain.vaBits}`;
        }
        expect(unit.attach(step.sid, what)).toBeUndefined();
        devices.set(step.sid, known);
        if (step.call === "table" && step.pasid !== undefined) known.pasids.set(step.pasid, says);
        else known.plain = says;
      }

      const expected = [...devices]
        .sort(([a], [b]) => a - b)
        .flatMap(([device, { plain, pasids }]) => [
          // Streams that are blocked are listed for their PASIDs.
          ...(plain !== "blocked" || pasids.size > 0 ? [`${device} - ${plain}`] : []),
          ...[...pasids].sort(([a], [b]) => a - b).map(([id, says]) => `${device} ${id} ${says}`),
        ]);
      const { ctx, findings } = contextOver(store.memory);
      const opened = openSmmuv3(ctx, unit);
      const found = [...opened.devices()].map(({ device, pasid: id, kind, domain, table }) => {
        const says = table
          ? `${domain!.name} ${domain!.id} ${table.root} ${table.levels} ${table.vaBits}`
          : kind;
        return `${device} ${id ?? "-"} ${says}`;
      });
      expect(found).toEqual(expected);
      expect(findings).toEqual([]);
      // The order of granules: what the format of each table is.
      for (const { table } of opened.devices())
        if (table) {
          const domain = [...domains.values()].find(({ root }) => root === table.root)!;
          expect([table.format.name, table.format.granuleLg2]).toEqual([
            domain.format.name,
            domain.format.granuleLg2,
          ]);
        }
    }),
    { numRuns: 150 },
  );
});

it("a device that is taken away leaves nothing but its array of streams", () => {
  fc.assert(
    fc.property(options, fc.constantFrom(0, 4, 10, 11, 16), (unitOptions, pasidBits) => {
      const store = newStore();
      const unit = newSmmuv3Unit(unitOptions, store)!;
      unit.attach(3, { kind: "identity" });
      unit.detach(3);
      const before = [...store.tables];
      const domain = newShape(shapes[0], newStore(0x900000000n));
      unit.attach(3, { kind: "table", domain, domainId: 1, pasidBits });
      if (pasidBits > 0)
        unit.attach(3, { kind: "table", domain, domainId: 2, pasidBits, pasid: 2 ** pasidBits - 1 });
      unit.detach(3);
      expect([...store.tables]).toEqual(before);
      const { ctx } = contextOver(store.memory);
      expect([...openSmmuv3(ctx, unit).devices()]).toEqual([]);
    }),
    { numRuns: 50 },
  );
});
