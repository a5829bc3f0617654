import { describe, expect, it } from "vitest";
import { newRiscvUnit } from "../../../../formats/iommu/riscv/encode.js";
import { newStore } from "../store.js";
import { capability, domainFor, peek } from "./support.js";

const { Sv39, Sv48, Sv57, MSI_FLAT, AMO_HWAD } = capability;
/** Where device directories of these tests are. */
const root = 0x100000000n;

describe("values of the specification", () => {
  it.each([
    [1, 0x0000000040000002n],
    [2, 0x0000000040000003n],
    [3, 0x0000000040000004n],
  ])("ddtp of %i levels", (levels, ddtp) =>
    expect(newRiscvUnit({ capabilities: Sv39, levels }, newStore())!.root).toBe(ddtp),
  );

  it("pointers", () => {
    const store = newStore();
    newRiscvUnit({ capabilities: Sv39 }, store)!.attach(0, { kind: "identity" });
    expect(peek(store, root, 1)).toEqual([0x0000000040000401n]);
    expect(peek(store, root + 0x1000n, 1)).toEqual([0x0000000040000801n]);
  });

  it.each([
    ["Sv39", Sv39, 0x8000000000100000n],
    ["Sv48", Sv48, 0x9000000000100000n],
    ["Sv57", Sv57, 0xa000000000100000n],
  ])("context of a domain with %s", (_, capabilities, fsc) => {
    const store = newStore();
    const unit = newRiscvUnit({ capabilities, levels: 1 }, store)!;
    const domain = domainFor(capabilities, newStore());
    expect(domain.root).toBe(root);
    expect(unit.attach(0, { kind: "table", domain, domainId: 3 })).toBeUndefined();
    expect(peek(store, root, 4)).toEqual([1n, 0n, 0x3000n, fsc]);
  });

  it("identity and blocked", () => {
    const store = newStore();
    const unit = newRiscvUnit({ capabilities: Sv39 | AMO_HWAD, levels: 1 }, store)!;
    unit.attach(0, { kind: "identity" });
    expect(peek(store, root, 4)).toEqual([1n, 0n, 0n, 0n]);
    unit.attach(0, { kind: "blocked" });
    expect(peek(store, root, 4)).toEqual([0n, 0n, 0n, 0n]);
  });

  it("up to 7.0 units that keep accessed and dirty bits are let, also of devices that are blocked", () => {
    const store = newStore();
    const unit = newRiscvUnit({ capabilities: Sv39 | AMO_HWAD, levels: 1, before71: true }, store)!;
    unit.attach(0, { kind: "blocked" });
    unit.attach(1, { kind: "identity" });
    expect(peek(store, root, 8)).toEqual([0x100n, 0n, 0n, 0n, 0x101n, 0n, 0n, 0n]);
    unit.detach(1);
    expect(peek(store, root + 32n, 1)).toEqual([0x100n]);
  });
});

describe("where contexts are", () => {
  /** Indices from the top down, worked out from the bit ranges of the specification. */
  it.each([
    ["base", 0n, 0x123456, [0x12, 0x68, 0x56], 32n],
    ["extended", MSI_FLAT, 0x123456, [0x24, 0xd1, 0x16], 64n],
    ["base", 0n, 0xffffff, [0xff, 0x1ff, 0x7f], 32n],
    ["extended", MSI_FLAT, 0xffffff, [0x1ff, 0x1ff, 0x3f], 64n],
    ["base", 0n, 0x80, [0, 1, 0], 32n],
    ["extended", MSI_FLAT, 0x40, [0, 1, 0], 64n],
  ] as const)("%s, of device %#x", (_, format, device, [top, middle, last], size) => {
    const store = newStore();
    newRiscvUnit({ capabilities: Sv39 | format }, store)!.attach(device, { kind: "identity" });
    const [next] = peek(store, root + BigInt(top * 8), 1);
    expect(next).toBe(0x40000401n);
    expect(peek(store, root + 0x1000n + BigInt(middle * 8), 1)).toEqual([0x40000801n]);
    expect(peek(store, root + 0x2000n + BigInt(last) * size, 1)).toEqual([1n]);
  });

  it.each([
    [1, 0n, 0x7f],
    [1, MSI_FLAT, 0x3f],
    [2, 0n, 0xffff],
    [2, MSI_FLAT, 0x7fff],
    [3, 0n, 0xffffff],
    [3, MSI_FLAT, 0xffffff],
  ])("%i levels, capabilities %s: up to device %#x", (levels, format, last) => {
    const unit = newRiscvUnit({ capabilities: Sv39 | format, levels }, newStore())!;
    expect(unit.attach(last, { kind: "identity" })).toBeUndefined();
    expect(unit.attach(last + 1, { kind: "identity" })).toBe("ENODEV");
    expect(unit.attach(-1, { kind: "identity" })).toBe("ENODEV");
  });

  it("words of MSIs are left as they are", () => {
    const store = newStore();
    const unit = newRiscvUnit({ capabilities: Sv39 | MSI_FLAT, levels: 1 }, store)!;
    store.write((root + 32n) as never, new Uint8Array(32).fill(7));
    unit.attach(0, { kind: "identity" });
    expect(peek(store, root + 32n, 1)).toEqual([0x0707070707070707n]);
  });
});

describe("what fails", () => {
  it("no memory for the root", () => {
    const store = newStore();
    store.left = 0;
    expect(newRiscvUnit({ capabilities: Sv39 }, store)).toBeUndefined();
  });

  it("no memory for a page of contexts: the page above stays, and is used later", () => {
    const store = newStore();
    store.left = 2;
    const unit = newRiscvUnit({ capabilities: Sv39 }, store)!;
    expect(unit.attach(0, { kind: "identity" })).toBe("ENODEV");
    store.left = 1;
    expect(unit.attach(0, { kind: "identity" })).toBeUndefined();
    expect(store.tables.size).toBe(3);
  });

  it("a domain with tables that the unit does not read", () => {
    const unit = newRiscvUnit({ capabilities: Sv39 }, newStore())!;
    const domain = domainFor(Sv48, newStore());
    expect(unit.attach(0, { kind: "table", domain, domainId: 1 })).toBe("ENODEV");
  });

  it("such a domain leaves a device as it was, and one that is new blocked", () => {
    const store = newStore();
    const capabilities = Sv39 | AMO_HWAD;
    const unit = newRiscvUnit({ capabilities, levels: 1, before71: true }, store)!;
    unit.attach(0, { kind: "identity" });
    const what = { kind: "table", domain: domainFor(Sv48, newStore()), domainId: 1 } as const;
    for (const device of [0, 1]) expect(unit.attach(device, what)).toBe("ENODEV");
    expect(peek(store, root, 5)).toEqual([0x101n, 0n, 0n, 0n, 0x100n]);
  });

  it("detaching a device that never was attached makes nothing", () => {
    const store = newStore();
    newRiscvUnit({ capabilities: Sv39 }, store)!.detach(5);
    expect(store.tables.size).toBe(1);
  });
});
