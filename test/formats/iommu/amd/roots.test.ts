/** Roots that do not say everything: how large the table is, and whether memory is encrypted. */
import { describe, expect, it } from "vitest";
import { physAddr, type SparseMemory } from "../../../../src/memory/index.js";
import { gist, memoryOf, opened, put } from "./support.js";

const table = 0x100000000n;
const identity = [0x6000000000000003n, 6n] as const;
const v1 = [0x6000000140000603n, 5n, 0x2000000100800013n] as const;
const at = (id: number) => table + BigInt(id * 32);
const devicesOf = (memory: SparseMemory, root = table) => {
  const { unit, findings } = opened(memory, root);
  return { devices: [...unit.devices()].map((found) => found.device), findings, unit };
};

describe("an address alone", () => {
  it("of one page: nothing is guessed", () => {
    const { devices, findings } = devicesOf(memoryOf([at(0x28), ...v1]));
    expect(devices).toEqual([0x28]);
    expect(findings).toEqual([]);
  });

  it("of more pages: they are taken as long as they look like entries", () => {
    const memory = memoryOf(
      [at(0), 3n],
      [at(0x80), 3n],
      [at(0x100), ...identity],
      [at(0x1ff), ...v1],
      [at(0x200), 0x67n],
    );
    const { devices, findings, unit } = devicesOf(memory);
    expect(devices).toEqual([0x100, 0x1ff]);
    expect(unit.tables.size).toBe(4);
    expect(findings).toMatchObject([
      {
        severity: "info",
        code: "iommu-mode-guessed",
        pa: table,
        actual: expect.stringContaining("512 entries"),
      },
    ]);
  });

  it.each<[string, readonly bigint[]]>([
    ["a v1 table", [0x6000000100001401n]],
    ["a v1 table at the second slot", [0n, 0x6000000100001401n]],
    [
      "a page of v1 leaves",
      [0x7000000200000001n, 0x7000000200001001n, 0x7000000200002001n, 0x7000000200003001n],
    ],
    ["a v2 table", [0x0000000100001027n]],
    ["a GCR3 table", [0x0000000100000001n]],
    ["addresses of the kernel", [0n, 0xffff888100123400n]],
    ["text", [0x6d6f632e65746f6en, 0x3a2f2f7370747468n, 0x726f2e6c656e7265n, 0x67n]],
    ["entries that are not valid and yet have a root", [0x0000000100000602n]],
    ["a Mode that does not exist", [0x6000000100000e03n]],
  ])("%s behind it is not part of it", (_, words) => {
    const { devices, findings } = devicesOf(memoryOf([at(0x28), ...v1], [at(0x80), ...words]));
    expect(devices).toEqual([0x28]);
    expect(findings).toEqual([]);
  });

  it("zeros behind it neither", () => {
    const { devices, findings, unit } = devicesOf(
      memoryOf([at(0x28), ...v1], [at(0x80), 0n], [at(0x100), 0n]),
    );
    expect(devices).toEqual([0x28]);
    expect(unit.tables.size).toBe(1);
    expect(findings).toEqual([]);
  });

  it("what is damaged on the first page is still shown", () => {
    const { devices } = devicesOf(memoryOf([at(0x28), 0x6000000100000e03n], [at(0x29), ...v1]));
    expect(devices).toEqual([0x28, 0x29]);
  });

  it("ends with the last requester id", () => {
    const memory = memoryOf([at(0), 3n]);
    for (let page = 1; page < 514; page++) put(memory, table + BigInt(page * 4096), ...identity);
    const { devices, findings } = devicesOf(memory);
    expect(devices).toHaveLength(511);
    expect(devices.at(-1)).toBe(65536 - 128);
    expect(findings).toMatchObject([{ actual: expect.stringContaining("65536 entries") }]);
  });

  describe("of which one device is asked for", () => {
    it.each<[string, number, readonly bigint[], string | undefined]>([
      ["on the first page", 0x28, v1, "table"],
      ["on the first page, damaged", 0x28, [0x6000000100000e03n], "blocked"],
      ["further on", 0xfff8, identity, "identity"],
      ["further on, something else", 0xfff8, [0x0000000100001027n], undefined],
    ])("%s", (_, device, words, kind) => {
      const { unit } = opened(memoryOf([at(0), 3n], [at(device), ...words]), table);
      expect(unit.device(device)?.kind).toBe(kind);
    });

    it("an entry further on is a guess, which is said once", () => {
      const { unit, findings } = opened(memoryOf([at(0), 3n], [at(0xfff8), ...identity]), table);
      unit.device(0xfff8);
      unit.device(0xfff8);
      expect(findings).toMatchObject([{ code: "iommu-mode-guessed", path: "devices[0xfff8]" }]);
    });

    it("absent memory further on is no entry", () => {
      const { unit, findings } = opened(memoryOf([at(0), 3n]), table);
      expect(unit.device(0x200)).toBeUndefined();
      expect(findings).toEqual([]);
    });
  });
});

describe.each([47n, 51n])("memory encryption, bit %s", (bit) => {
  const smeMask = 1n << bit;
  const gcr3 = 0x123456000n;
  const v2Root = 0x130000000n;
  const memory = memoryOf(
    [at(0), 3n],
    [at(0x28), 0x6000000140000603n | smeMask, 5n],
    // The parts of a GCR3 table's address: 0x123456000 with the bit set.
    [at(0x30), 0x78c0000000000003n, 0x00001000468a0007n | ((smeMask >> 31n) << 43n)],
    [0x140000000n, 0n],
    [gcr3, v2Root | smeMask | 1n],
    [v2Root, 0n],
  );
  const expected = [
    { device: 0x28, kind: "table", domain: 5, table: "amdv1 3 0x140000000" },
    { device: 0x30, kind: "table", domain: 7, table: "x86_64 4 0x130000000" },
  ];

  it.each([
    ["in the register", table | smeMask],
    ["in entries alone", table],
  ])("is guessed if nobody says so: %s", (_, root) => {
    const { unit, findings } = opened(memory, root);
    expect([...unit.devices()].map(gist)).toEqual(expected);
    expect(findings).toMatchObject([{ severity: "info", code: "iommu-mode-guessed" }]);
    expect(findings[0]!.message).toContain(`0x${smeMask.toString(16)}`);
  });

  it.each([table | smeMask, table])("is not if somebody does: 0x%s", (root) => {
    const { unit, findings } = opened(memory, { root, smeMask });
    expect([...unit.devices()].map(gist)).toEqual(expected);
    expect(findings).toEqual([]);
  });

  it("is not if somebody says that there is none", () => {
    const { unit, findings } = opened(memory, { root: table, smeMask: 0n });
    expect(unit.device(0x28)!.table!.root).toBe(physAddr(0x140000000n | smeMask));
    expect(findings).toEqual([]);
  });

  it("is not where memory is there with it", () => {
    const both = memoryOf(
      [at(0x28), 0x6000000140000603n | smeMask],
      [0x140000000n, 0n],
      [0x140000000n | smeMask, 0n],
    );
    const { unit, findings } = opened(both, table);
    expect(unit.device(0x28)!.table!.root).toBe(physAddr(0x140000000n | smeMask));
    expect(findings).toEqual([]);
  });
});
