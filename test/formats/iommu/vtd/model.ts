import fc from "fast-check";
import type { DeviceEntry } from "../../../../formats/iommu/device.js";
import { type Domain, tableOf } from "../../../../formats/iommu/domain.js";
import type { PageTable } from "../../../../formats/iommu/format.js";
import type { VtdAttachment } from "../../../../formats/iommu/vtd/attachment.js";
import type { VtdErrno, VtdUnit } from "../../../../formats/iommu/vtd/encode.js";

const addresses = fc.bigInt({ min: 1n, max: 2n ** 40n - 1n }).map((frame) => frame << 12n);
const levels = fc.constantFrom(4 as const, 5 as const);
const domainId = fc.integer({ min: 2, max: 0xffff });
const flag = fc.boolean();
const choice = {
  blocked: fc.constant({ kind: "blocked" as const }),
  identity: fc.constant({ kind: "identity" as const }),
  table: fc.record({
    kind: fc.constant("table" as const),
    domain: fc.nat(3),
    domainId,
    dirtyTracking: flag,
    forceSnoop: flag,
  }),
  nested: fc.record({
    kind: fc.constant("nested" as const),
    parent: fc.nat(1),
    domainId,
    root: addresses,
    levels,
    supervisorRequests: flag,
    writeProtect: flag,
    extendedAccessed: flag,
  }),
  sva: fc.record({ kind: fc.constant("sva" as const), root: addresses, levels }),
};

/** Few buses and devices, so that calls meet each other; both halves of a bus. */
const device = fc
  .tuple(fc.constantFrom(0, 1, 0xff), fc.constantFrom(0, 0x10, 0x7f, 0x80, 0xff))
  .map(([bus, devfn]) => (bus << 8) | devfn);
const pasid = fc.constantFrom(undefined, 0, 1, 63, 64, 0x7fff, 0x8000, 0xfffff);
const features = fc.record({ ats: flag, pri: flag, pasids: fc.constantFrom(0, 100, 2 ** 16, 2 ** 20) });
const call = {
  attach: fc.record({
    call: fc.constant("attach" as const),
    device,
    pasid,
    what: fc.oneof(...Object.values(choice)),
  }),
  detach: fc.record({ call: fc.constant("detach" as const), device, pasid }),
  probe: fc.record({ call: fc.constant("probe" as const), device, features }),
};
export const calls = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: call.attach },
    { weight: 1, arbitrary: call.detach },
    { weight: 2, arbitrary: call.probe },
  ),
  { maxLength: 40 },
);
export type Call = typeof calls extends fc.Arbitrary<(infer C)[]> ? C : never;

/** What is attached, by device and PASID. Requests without a PASID are those of -1 here. */
export interface Model {
  /** Calls the unit, and expects what it returns. Domains are chosen by number; the first two are second stage. */
  run(unit: VtdUnit, call: Call, domains: readonly Domain[]): VtdErrno | undefined;
  /** What is to be read, in order. */
  entries(): object[];
}

export function newModel(isLegacy: boolean): Model {
  const known = new Map<number, Map<number, VtdAttachment>>();
  // In scalable mode a device that is known has an entry for requests without a PASID, whatever it is.
  const spaces = (of: number): Map<number, VtdAttachment> => {
    if (!known.has(of)) known.set(of, new Map(isLegacy ? [] : [[-1, { kind: "blocked" }]]));
    return known.get(of)!;
  };
  const clear = (of: number, space: number): void => {
    if (space > 0 || isLegacy) spaces(of).delete(space);
    else spaces(of).set(space, { kind: "blocked" });
  };
  return {
    run(unit, step, domains) {
      if (step.call === "probe") {
        const isKnown = known.has(step.device);
        spaces(step.device);
        if (isKnown === (unit.probe(step.device, step.features) === undefined))
          throw new Error("probed twice");
        return undefined;
      }
      const space = step.pasid || -1;
      if (step.call === "detach") {
        unit.detach(step.device, step.pasid);
        if (step.pasid === undefined) known.delete(step.device);
        else if (known.has(step.device) && !isLegacy) clear(step.device, space);
        return undefined;
      }
      const { what: chosen } = step;
      const what: VtdAttachment =
        chosen.kind === "table"
          ? { ...chosen, domain: domains[chosen.domain]! }
          : chosen.kind === "nested"
            ? { ...chosen, parent: domains[chosen.parent]! }
            : chosen;
      const of = spaces(step.device);
      const failed = unit.attach(step.device, what, step.pasid);
      if (failed) return failed;
      if (what.kind === "blocked") clear(step.device, space);
      else of.set(space, what);
      return undefined;
    },
    entries: () =>
      ascending(known).flatMap(([id, all]) =>
        ascending(all).map(([space, what]) => ({
          device: id,
          pasid: space > 0 ? space : undefined,
          ...readAs(what),
        })),
      ),
  };
}

const ascending = <V>(map: ReadonlyMap<number, V>): [number, V][] => [...map].sort(([a], [b]) => a - b);

const named = ({ format, ...table }: PageTable) => ({ ...table, format: format.name });

/** What an attachment is to be read as. */
function readAs(what: VtdAttachment): object {
  const none = { id: undefined, table: undefined, parent: undefined };
  const guest = ({ root, levels: height }: { root: bigint; levels: number }) => ({
    format: "x86_64",
    root,
    levels: height,
    vaBits: 12 + 9 * height,
    signExtend: true,
  });
  switch (what.kind) {
    case "blocked":
      return { ...none, kind: "blocked" };
    case "identity":
      return { ...none, kind: "identity", id: 1 };
    case "table":
      return { ...none, kind: "table", id: what.domainId, table: named(tableOf(what.domain)) };
    case "nested":
      return { kind: "nested", id: what.domainId, table: guest(what), parent: named(tableOf(what.parent)) };
    case "sva":
      return { ...none, kind: "table", id: 1, table: guest(what) };
  }
}

/** What was read, in the form that the model has it. */
export const readEntries = (entries: Iterable<DeviceEntry>): object[] =>
  [...entries].map(({ device: id, pasid: space, kind, domain, table, parent }) => ({
    device: id,
    pasid: space,
    kind,
    id: domain?.id,
    table: table && named(table),
    parent: parent && named(parent),
  }));
