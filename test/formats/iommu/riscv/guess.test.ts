import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openRiscv } from "../../../../formats/iommu/riscv/devices.js";
import { newRiscvUnit } from "../../../../formats/iommu/riscv/encode.js";
import { codesOf, contextOver } from "../context.js";
import { newStore, type Store } from "../store.js";
import { atp, capability, domainFor, page, pointerTo, poke } from "./support.js";

const { Sv39, MSI_FLAT } = capability;

/** A unit with these devices, of contexts of one size, each with a domain of its own. */
function written(devices: readonly number[], format: bigint, levels = 3) {
  const store = newStore();
  const capabilities = Sv39 | format;
  const unit = newRiscvUnit({ capabilities, levels }, store)!;
  for (const [i, device] of devices.entries())
    unit.attach(device, { kind: "table", domain: domainFor(capabilities, store), domainId: i + 1 });
  return { store, unit };
}

const open = (store: Store, root: bigint, cfg?: bigint) => {
  const { ctx, findings } = contextOver(store.memory);
  const unit = openRiscv(ctx, { root, ...(cfg !== undefined && { cfg }) });
  return { unit, findings, ids: () => [...unit.devices()].map(({ device }) => device) };
};

describe("an address alone", () => {
  it.each([1, 2, 3])("a directory of %i levels is told by its pages", (levels) => {
    const { store } = written([8], 0n, levels);
    const { unit, findings, ids } = open(store, 0x100000000n, Sv39);
    expect(ids()).toEqual([8]);
    expect(unit.summary).toBe(`${["one", "two", "three"][levels - 1]}-level device directory, base contexts`);
    expect(findings).toMatchObject([{ severity: "info", code: "iommu-mode-guessed", pa: 0x100000000n }]);
  });

  it.each([
    ["nothing in it: as Linux makes them", [], 3],
    ["devices that are not translated alone", [1n, 0n, 0n, 0n, 1n, 0n, 0n, 0n], 1],
    ["contexts that are not valid alone", [0x100n], 1],
  ] as const)("%s", (_, words, levels) => {
    const store = newStore();
    poke(store, page(store), ...words);
    const { unit } = open(store, 0x100000000n, Sv39);
    expect(unit.summary).toContain(["", "one", "two", "three"][levels]);
  });

  it("pages without a device are pages of contexts", () => {
    const store = newStore();
    const [root, contexts] = [page(store), page(store)];
    poke(store, root, 0n, pointerTo(contexts));
    expect(open(store, root, Sv39).unit.summary).toContain("two-level");
  });

  it("pages that lead in a circle end at three levels", () => {
    const store = newStore();
    const root = page(store);
    poke(store, root, pointerTo(root));
    expect(open(store, root, Sv39).unit.summary).toContain("three-level");
  });
});

describe("without capabilities", () => {
  /** Functions of PCI devices: each device has a function 0. */
  const functions = fc
    .uniqueArray(fc.tuple(fc.nat({ max: 0x1fff }), fc.nat({ max: 7 })), {
      selector: ([device]) => device,
      minLength: 1,
      maxLength: 6,
    })
    .map((devices) =>
      devices.flatMap(([device, last]) => Array.from({ length: last + 1 }, (_, f) => device * 8 + f)),
    )
    .map((ids) => ids.sort((a, b) => a - b));

  it.each([
    ["extended", MSI_FLAT],
    ["base", 0n],
  ])("%s contexts are told by what they say", (name, format) =>
    fc.assert(
      fc.property(functions, fc.constantFrom(2, 3), (ids, levels) => {
        // Base ones that are all at even places read as extended ones as well.
        fc.pre(format !== 0n || ids.some((id) => id % 2 === 1));
        const known = ids.filter((id) => levels === 3 || id < (format ? 0x8000 : 0x10000));
        fc.pre(known.length > 0 && (format !== 0n || known.some((id) => id % 2 === 1)));
        const { store, unit } = written(known, format, levels);
        const { ids: listed, findings, unit: read } = open(store, unit.root);
        expect(listed()).toEqual(known);
        expect(findings).toHaveLength(1);
        expect(findings[0]).toMatchObject({ severity: "info", code: "iommu-mode-guessed" });
        expect(findings[0]!.message).toContain(`${name} ones of ${format ? 64 : 32} bytes`);
        expect(read.summary).toContain(`${name} contexts`);
      }),
      { numRuns: 60 },
    ),
  );

  it("ids that base contexts do not have room for tell, too", () => {
    // As a base context it would be one of a function 0.
    const { store, unit } = written([0x800004], MSI_FLAT);
    expect(open(store, unit.root).ids()).toEqual([0x800004]);
  });

  it("a function 4 without a function 0 tells, as extended contexts would have it", () => {
    const { store, unit } = written([0x8], 0n);
    expect(open(store, unit.root).ids()).toEqual([8]);
  });

  it("where nothing tells, extended ones are taken", () => {
    const { store, unit } = written([0x10], 0n);
    const { ids, findings } = open(store, unit.root);
    expect(ids()).toEqual([8]);
    expect(findings[0]!.message).toContain("nothing tells");
  });

  const table = atp(8, 0x100000000n);
  /** Two base contexts or an extended one, in a page that is all there is, at a place that would be that of a function 0 or 4. */
  it.each([
    ["two that are not translated", [1n, 0n, 0n, 0n, 1n, 0n, 0n, 0n], [8, 9]],
    ["a table", [1n, 0n, 0n, 0n, 1n, 0n, 0x1000n, table], [8, 9]],
    ["one that SADE was set in beforehand", [0x101n, 0n, 0n, 0n, 0x100n, 0n, 0n, 0n], [8]],
    ["the second half alone", [0n, 0n, 0n, 0n, 1n, 0n, 0n, 0n], [9]],
    ["MSIs that are translated", [1n, 0n, 0x1000n, table, atp(1, 0x100001000n), 0xffn, 0x28000n, 0n], [4]],
    ["MSIs, with a table at an even frame", [1n, 0n, 0n, 0n, atp(1, 0x100002000n), 0xffn, 0x28000n, 0n], [4]],
    ["nothing of them: a function 0 makes more sense", [1n, 0n, 0n, 0n, 0n, 0n, 0n, 0n], [8]],
  ] as const)("%s", (_, words, devices) => {
    const store = newStore();
    const root = page(store);
    poke(store, root + 0x100n, ...words);
    const { ids, unit } = open(store, (root >> 2n) | 2n);
    expect(ids()).toEqual(devices);
    for (const device of devices) {
      const alone = open(store, (root >> 2n) | 2n).unit.device(device);
      expect(alone).toEqual(unit.device(device));
    }
  });

  describe("one device", () => {
    it.each([
      ["base", 0n, 0x30],
      ["base", 0n, 0x31],
      ["extended", MSI_FLAT, 0x30],
      ["extended", MSI_FLAT, 0x31],
    ])("%s: its context is the valid one of two places", (name, format, device) => {
      const { store, unit } = written([device & ~7, device].slice(device % 8 ? 0 : 1), format);
      const { unit: read, findings } = open(store, unit.root);
      const pasid = read.device(device)!;
      expect(pasid).toMatchObject({ device, kind: "table" });
      expect(findings[0]!.message).toContain(`${name} ones`);
      // Said once.
      read.device(device);
      expect(findings).toHaveLength(1);
    });

    it("no more is read than the way to both places", () => {
      const { store, unit } = written([0x30, 0x10000, 0x20000], MSI_FLAT);
      const { unit: read } = open(store, unit.root);
      read.device(0x30);
      expect(read.tables.size).toBe(3);
    });

    it("what was found out for the list holds for it", () => {
      const { store, unit } = written([0x10, 0x11], 0n);
      const { unit: read, ids } = open(store, unit.root);
      ids();
      // At the place of an extended one there is nothing valid, but at its own neither.
      expect(read.device(8)).toMatchObject({ device: 8, kind: "blocked" });
      expect(read.device(0x10)).toMatchObject({ kind: "table", domain: { id: 1 } });
    });
  });

  it("absent pages are reported once a size was chosen, and not while it is", () => {
    const store = newStore();
    const root = page(store);
    poke(store, root, pointerTo(0x7000n));
    const { unit, findings } = open(store, (root >> 2n) | 3n);
    expect(unit.device(0)).toBeUndefined();
    expect(codesOf(findings)).toEqual(["iommu-mode-guessed", "memory-absent"]);
    expect(findings).toHaveLength(2);
  });
});
