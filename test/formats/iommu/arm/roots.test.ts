/** Registers, and what is taken for them where there are none. */
import { describe, expect, it } from "vitest";
import { openSmmuv3 } from "../../../../formats/iommu/arm/devices.js";
import { newSmmuv3Unit } from "../../../../formats/iommu/arm/encode.js";
import { type Memory, physAddr } from "../../../../src/memory/index.js";
import { isKhoError } from "../../../../src/report/error.js";
import { contextOver } from "../context.js";
import { newStore } from "../store.js";
import { memoryOf, severitiesOf } from "./support.js";

const base = 0x200000000n;

function open(memory: Memory, root: bigint, cfg?: bigint) {
  const { ctx, findings } = contextOver(memory);
  const unit = openSmmuv3(ctx, { root, ...(cfg !== undefined && { cfg }) });
  return {
    unit,
    findings,
    devices: () => [...unit.devices()].map(({ device, kind }) => `${device} ${kind}`),
  };
}

/** The code of the error that opening ends in. */
function refusal(memory: Memory, root: bigint, cfg?: bigint): string | undefined {
  try {
    open(memory, root, cfg);
    return undefined;
  } catch (error) {
    return isKhoError(error) ? error.code : String(error);
  }
}

describe("registers", () => {
  const memory = memoryOf({ "0x200000000": [9n] });

  it.each([
    [0x4000000200000000n, 6n, "linear stream table, 6 bits"],
    [0x4000000200000000n, 0n, "linear stream table, 0 bits"],
    // Linear tables have no split.
    [0x0000000200000000n, 0x206n, "linear stream table, 6 bits"],
    [0x4000000200000000n, 0x00010209n, "two-level stream table, 9 bits"],
    [0x4000000200000000n, 0x00010190n, "two-level stream table, 16 bits"],
    [0x4000000200000000n, 0x00010284n, "two-level stream table, 4 bits"],
  ])("STRTAB_BASE %d, STRTAB_BASE_CFG %d: %s", (root, cfg, summary) => {
    const { unit, findings } = open(memory, root, cfg);
    expect(unit.summary).toBe(summary);
    expect(findings).toEqual([]);
  });

  it.each([
    ["form 2", 0x00020206n],
    ["form 3", 0x00030206n],
    ["split 7", 0x000101d0n],
    ["split 0", 0x00010010n],
    ["2^33 streams", 33n],
  ])("%s is refused", (_, cfg) => expect(refusal(memory, base, cfg)).toBe("iommu-root-malformed"));

  it("a table that is not captured is refused", () => {
    expect(refusal(memory, 0x300000000n, 6n)).toBe("iommu-root-malformed");
    expect(refusal(memory, 0x300000000n)).toBe("iommu-root-malformed");
    expect(refusal(memory, 0n)).toBe("iommu-root-malformed");
    expect(refusal(memory, 2n ** 64n - 1n, 6n)).toBe("iommu-root-malformed");
  });

  it("bits that have to be zero are ignored, and said", () => {
    const { findings, devices } = open(memory, 0xc01000020000000fn | (3n << 52n), 0x8000_0000_0000_0806n);
    expect(severitiesOf(findings)).toEqual(["error iommu-reserved-bits", "error iommu-reserved-bits"]);
    expect(devices()).toEqual(["0 identity"]);
  });

  it("hardware ignores the bits of an address that the table's size takes", () => {
    const { findings, devices } = open(memory, base + 0x40n, 6n);
    expect(severitiesOf(findings)).toEqual(["warning iommu-root-malformed"]);
    expect(devices()).toEqual(["0 identity"]);
  });
});

describe("without STRTAB_BASE_CFG", () => {
  const abort = [1n, 0n, 0n, 0n, 0n, 0n, 0n, 0n];
  const bypass = [9n, 0x0000100000000000n, 0n, 0n, 0n, 0n, 0n, 0n];

  it("entries are an array, up to the first that is none", () => {
    for (const [count, bits] of [
      [1, 0],
      [2, 1],
      [4, 2],
      [7, 2],
      [64, 6],
    ] as const) {
      const words = Array.from({ length: count }, (_, i) => (i === count - 1 ? bypass : abort)).flat();
      const { unit, findings } = open(memoryOf({ "0x200000000": words }), base);
      expect(unit.summary).toBe(`linear stream table, ${bits} bits`);
      expect(severitiesOf(findings)).toEqual(["info iommu-mode-guessed"]);
    }
  });

  it.each([
    ["stage 1", [0x000000030000000bn, 0xd6n, 0n, 0n]],
    ["stage 2", [0xdn, 0n, 0x044c359400000001n, 0x100000000n]],
    ["nested", [0xfn, 0xd6n, 0x044c359400000001n, 0x100000000n]],
    ["two-level contexts", [0x800000010000002bn, 0xd6n, 0n, 0n]],
  ])("an entry of %s begins an array", (_, words) => {
    const { unit } = open(memoryOf({ "0x200000000": [...words, 0n, 0n, 0n, 0n, ...abort] }), base);
    expect(unit.summary).toBe("linear stream table, 1 bits");
  });

  it("a descriptor that looks like a bypassing entry with contexts begins a first level", () => {
    const memory = memoryOf({ "0x200000000": [0x210000009n, 0n, 0x220000009n], "0x210000000": abort });
    memory.cover(physAddr(0x210000000n), 16384);
    memory.write(physAddr(0x220000000n), memory.read(physAddr(0x210000000n), 64));
    memory.write(physAddr(0x220003fc0n), new Uint8Array([9]));
    memory.cover(physAddr(0x220000000n), 16384);
    const { unit, findings, devices } = open(memory, 0x4000000200000000n);
    // 512 descriptors: what is there up to the end of the page looks like more.
    expect(unit.summary).toBe("two-level stream table, 17 bits");
    expect(severitiesOf(findings)).toEqual(["info iommu-mode-guessed"]);
    expect(devices()).toEqual([`${0x2ff} identity`]);
  });

  it("zeros are a first level that no stream was added to", () => {
    const memory = memoryOf({ "0x200000000": [0n] });
    const { unit, devices } = open(memory, base);
    expect(unit.summary).toBe("two-level stream table, 17 bits");
    expect(devices()).toEqual([]);
  });

  it("a first level has 2^17 descriptors at most", () => {
    const memory = memoryOf({ "0x200000000": [0n] });
    memory.cover(physAddr(base), 2 ** 21);
    expect(open(memory, base).unit.summary).toBe("two-level stream table, 25 bits");
  });

  it.each([
    ["of another span", 0x210000008n],
    ["with a reserved bit", 0x210000029n],
    ["to what is not there", 0x230000009n],
    ["to what are no entries", 0x220000009n],
    ["without an address", 0x0000000a0n],
  ])("a descriptor %s is none", (_, descriptor) => {
    const memory = memoryOf({ "0x200000000": [descriptor], "0x210000000": abort, "0x220000000": [2n] });
    expect(refusal(memory, base)).toBe("iommu-root-malformed");
  });

  it.each([
    ["of Config 1", [3n]],
    ["with contexts that it does not use", [0x0800000000000001n]],
    ["with words that Linux does not use", [1n, 0n, 0n, 0n, 1n]],
  ])("an entry %s is none", (_, words) =>
    expect(refusal(memoryOf({ "0x200000000": words }), base)).toBe("iommu-root-malformed"),
  );

  it.each([
    [8, true],
    [3, true],
    [12, false],
    [16, true],
  ])(
    "units of the driver with StreamIDs of %d bits, two levels %s, read the same",
    (sidBits, twoLevelStreams) => {
      const store = newStore();
      const unit = newSmmuv3Unit({ sidBits, twoLevelStreams }, store)!;
      for (const sid of [0, 3, 2 ** sidBits - 1]) unit.attach(sid, { kind: "identity" });
      const known = open(store.memory, unit.root, unit.cfg);
      const bare = open(store.memory, unit.root & 0xfffffffffffffn);
      const expected = [...new Set([0, 3, 2 ** sidBits - 1])].map((sid) => `${sid} identity`);
      expect(known.devices()).toEqual(expected);
      expect(bare.devices()).toEqual(expected);
      expect(known.findings).toEqual([]);
      expect(severitiesOf(bare.findings)).toEqual(["info iommu-mode-guessed"]);
    },
  );
});
