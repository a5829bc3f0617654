import { describe, expect, it } from "vitest";
import type { DeviceEntry } from "../../../../formats/iommu/device.js";
import { openVtd } from "../../../../formats/iommu/vtd/devices.js";
import { isKhoError } from "../../../../src/report/error.js";
import { contextOver } from "../context.js";
import { codesIn, memoryOf } from "./support.js";

/** 64-bit words of an entry at this index of a table of entries of so many words. */
const at = (index: number, words: number, ...entry: readonly bigint[]): bigint[] => [
  ...Array<bigint>(index * words).fill(0n),
  ...entry,
];
const root = 0x100a00000n;
const rootWords = [0x100a01001n, 0n];

/** What is said of 00:02.0 with this context entry. */
function legacy(lo: bigint, hi: bigint) {
  const memory = memoryOf({ "0x100a00000": rootWords, "0x100a01000": at(0x10, 2, lo, hi) });
  const { ctx, findings } = contextOver(memory);
  return { entries: [...openVtd(ctx, { root }).devices()], findings };
}

/** What is said of 00:02.0 with this entry of PASID 0, and without anything that is wrong before it. */
function scalable(...pasid: readonly bigint[]) {
  const memory = memoryOf({
    "0x100a00000": rootWords,
    "0x100a01000": at(0x10, 4, 0x100a02409n),
    "0x100a02000": [0x100a03001n],
    "0x100a03000": pasid,
  });
  const { ctx, findings } = contextOver(memory);
  return { entries: [...openVtd(ctx, { root: root | 0x400n }).devices()], findings };
}

const shape = ({ kind, domain, table, parent }: DeviceEntry) => ({
  kind,
  id: domain?.id,
  table: table && [table.format.name, table.root, table.levels, table.vaBits, table.signExtend],
  parent: parent && [parent.format.name, parent.root, parent.levels, parent.vaBits, parent.signExtend],
});
const blocked = { kind: "blocked", id: undefined, table: undefined, parent: undefined };

describe("context entries of legacy mode", () => {
  const table = (levels: number, vaBits: number) => ["vtdss", 0x123456000n, levels, vaBits, false];
  it.each<readonly [string, lo: bigint, hi: bigint, object, codes: string[]]>([
    ["four levels", 0x123456001n, 0x2a02n, { kind: "table", id: 0x2a, table: table(4, 48) }, []],
    ["with ATS", 0x123456005n, 0x2a02n, { kind: "table", id: 0x2a, table: table(4, 48) }, []],
    ["three levels", 0x123456001n, 0x201n, { kind: "table", id: 2, table: table(3, 39) }, []],
    ["five levels", 0x123456001n, 0xffff03n, { kind: "table", id: 0xffff, table: table(5, 57) }, []],
    [
      "two levels",
      0x123456001n,
      0x200n,
      { kind: "table", id: 2, table: table(2, 30) },
      ["iommu-bad-context"],
    ],
    ["pass-through", 0x9n, 0x103n, { kind: "identity", id: 1 }, []],
    ["faults not reported", 0x123456003n, 0x202n, { kind: "table", id: 2, table: table(4, 48) }, []],
    ["software's bits", 0x123456001n, 0x27an, { kind: "table", id: 2, table: table(4, 48) }, []],
    ["an address width that no unit has", 0x123456001n, 0x204n, blocked, ["iommu-bad-context"]],
    ["the same with pass-through", 0x9n, 0x107n, blocked, ["iommu-bad-context"]],
    ["a reserved translation type", 0x12345600dn, 0x202n, blocked, ["iommu-bad-context"]],
    ["not present, but not empty", 0x123456000n, 0x202n, blocked, []],
    [
      "reserved bits below",
      0x123456811n,
      0x202n,
      { kind: "table", id: 2, table: table(4, 48) },
      ["iommu-reserved-bits"],
    ],
    [
      "reserved bits above",
      0x123456001n,
      0x8000000001000282n,
      { kind: "table", id: 2, table: table(4, 48) },
      ["iommu-reserved-bits"],
    ],
  ])("%s", (_, lo, hi, wanted, codes) => {
    const { entries, findings } = legacy(lo, hi);
    expect(entries.map(({ device, path }) => [device, path])).toEqual([[0x10, "devices[0x10]"]]);
    expect(shape(entries[0]!)).toEqual({ ...blocked, ...wanted });
    expect(codesIn(findings)).toEqual(codes);
    for (const { path, pa, length } of findings)
      expect([path, pa, length]).toEqual(["devices[0x10]", 0x100a01100n, 16]);
  });

  it("that are empty, or only without reports of faults, are none", () => {
    for (const lo of [0n, 2n]) {
      const { entries, findings } = legacy(lo, 0n);
      expect([entries, findings]).toEqual([[], []]);
    }
  });

  it("names what is reserved", () => {
    const { findings } = legacy(0x123456811n, 0x8000000001000282n);
    expect(findings[0]).toMatchObject({ actual: "rsvd4=0x81 rsvd71=0x1 rsvd88=0x8000000001" });
  });
});

describe("entries of PASIDs", () => {
  const first = (levels: number, vaBits: number) => ["x86_64", 0x654321000n, levels, vaBits, true];
  const second = ["vtdss", 0x123456000n, 4, 48, false];
  it.each<readonly [string, words: readonly bigint[], object, codes: string[]]>([
    ["second stage", [0x123456089n, 0x80002an], { kind: "table", id: 0x2a, table: second }, []],
    [
      "first stage, four levels",
      [0x49n, 0x2an, 0x654321000n],
      { kind: "table", id: 0x2a, table: first(4, 48) },
      [],
    ],
    // The address width says five levels, which is not about this table.
    [
      "first stage, wide unit",
      [0x4dn, 0x2an, 0x654321000n],
      { kind: "table", id: 0x2a, table: first(4, 48) },
      [],
    ],
    [
      "first stage, five levels",
      [0x49n, 0x2an, 0x654321004n],
      { kind: "table", id: 0x2a, table: first(5, 57) },
      [],
    ],
    [
      "first stage of SVA, address width of no meaning",
      [0x5dn, 1n, 0x654321001n],
      { kind: "table", id: 1, table: first(4, 48) },
      [],
    ],
    [
      "nested",
      [0x1234560c9n, 0x2an, 0x654321000n],
      { kind: "nested", id: 0x2a, table: first(4, 48), parent: second },
      [],
    ],
    ["pass-through", [0x109n, 0x800001n], { kind: "identity", id: 1 }, []],
    ["not present, but not empty", [0x123456088n, 0x2an], blocked, []],
    ["nothing", [0n], blocked, []],
    ["no faults reported", [2n], blocked, []],
    ["no translation type", [0x123456009n, 0x2an], blocked, ["iommu-bad-context"]],
    ["a reserved one", [0x123456149n, 0x2an], blocked, ["iommu-bad-context"]],
    ["an address width that no unit has", [0x123456091n, 0x2an], blocked, ["iommu-bad-context"]],
    [
      "the same of a nested table's parent",
      [0x1234560d1n, 0x2an, 0x654321000n],
      blocked,
      ["iommu-bad-context"],
    ],
    ["a reserved paging mode", [0x49n, 0x2an, 0x654321008n], blocked, ["iommu-bad-context"]],
    ["the same of a nested table", [0x1234560c9n, 0x2an, 0x65432100cn], blocked, ["iommu-bad-context"]],
    [
      "reserved bits",
      [0x123456c89n, 0xfe0080002an, 0x100n, 0n, 0n, 0n, 0n, 1n],
      { kind: "table", id: 0x2a, table: second },
      ["iommu-reserved-bits"],
    ],
  ])("%s", (_, words, wanted, codes) => {
    const { entries, findings } = scalable(...words);
    expect(entries.map(({ device, pasid, path }) => [device, pasid, path])).toEqual([
      [0x10, undefined, "devices[0x10]"],
    ]);
    expect(shape(entries[0]!)).toEqual({ ...blocked, ...wanted });
    expect(codesIn(findings)).toEqual(codes);
    for (const { path, pa, length } of findings)
      expect([path, pa, length]).toEqual(["devices[0x10]", 0x100a03000n, 64]);
  });
});

describe("scalable mode", () => {
  const pages = {
    "0x100a00000": [0x100a01001n, 0x100a04001n],
    // 00:02.0 with 2^10 entries in its directory; requests without a PASID are those of PASID 65.
    "0x100a01000": at(0x10, 4, 0x100a02609n, 65n),
    "0x100a02000": [0x100a06001n, 0x100a07001n, 0x100a08000n, ...Array<bigint>(1020).fill(0n), 0x100a09001n],
    // 00:1f.7, which may not use PASIDs, and has one.
    "0x100a04000": at(0x7f, 4, 0x100a05401n),
    "0x100a05000": [0x100a08001n],
    "0x100a06000": at(63, 8, 0x123456089n, 3n),
    "0x100a07000": at(1, 8, 0x109n, 1n, 0n, 0n, 0n, 0n, 0n, 0n, 0x123456089n, 4n),
    "0x100a08000": [0x123456089n, 6n, ...at(2, 8, 0x123456089n, 7n).slice(2)],
    "0x100a09000": at(63, 8, 0x49n, 5n, 0x123456000n),
  };

  it("lists what is done without a PASID, and then with each", () => {
    const { ctx, findings } = contextOver(memoryOf(pages));
    const unit = openVtd(ctx, { root: root | 0x400n });
    const entries = [...unit.devices()];
    expect(unit.summary).toBe("scalable mode");
    expect(entries.map(({ device, pasid, kind, domain }) => [device, pasid, kind, domain?.id])).toEqual([
      [0x10, undefined, "identity", 1],
      [0x10, 63, "table", 3],
      [0x10, 66, "table", 4],
      [0x10, 0xffff, "table", 5],
      [0xff, undefined, "table", 6],
      [0xff, 2, "blocked", undefined],
    ]);
    expect(codesIn(findings)).toEqual(["iommu-bad-context"]);
    expect(findings[0]).toMatchObject({
      path: "devices[0xff].pasids[2]",
      pa: 0x100a04fe0n,
      actual: "PASIDE 0",
    });
    // The directory of 8 KiB, and every table once.
    expect([...unit.tables.runs()]).toEqual([0x100a00, 10]);
  });

  it("looks one up without reading the others", () => {
    const { ctx } = contextOver(memoryOf(pages));
    const unit = openVtd(ctx, { root: root | 0x400n });
    const found = unit.device(0x10, 0xffff)!;
    expect([found.device, found.pasid, found.domain]).toEqual([0x10, 0xffff, { name: "DID", id: 5 }]);
    expect(found.words.map(({ layout, pa, bytes }) => [layout.name, pa, bytes.length])).toEqual([
      ["root_entry", 0x100a00000n, 16],
      ["context_entry", 0x100a01200n, 32],
      ["pasid_dir_entry", 0x100a03ff8n, 8],
      ["pasid_entry", 0x100a09fc0n, 64],
    ]);
    expect([...unit.tables.runs()]).toEqual([0x100a00, 2, 0x100a03, 1, 0x100a09, 1]);
  });

  it.each([
    ["a device without an entry", 0x11, undefined],
    ["a bus without tables", 0x110, undefined],
    ["a PASID without an entry", 0x10, 64],
    ["one without a table", 0x10, 128],
    ["one beyond the directory", 0x10, 0x10000],
    ["one that is none", 0x10, -1],
    ["one that is no whole number", 0x10, 1.5],
    ["a device that cannot be", 0x10000, undefined],
    ["another", -1, undefined],
    ["and another", 0.5, undefined],
  ])("has nothing to say of %s", (_, device, pasid) => {
    const { ctx, findings } = contextOver(memoryOf(pages));
    expect(openVtd(ctx, { root: root | 0x400n }).device(device, pasid)).toBeUndefined();
    expect(findings).toEqual([]);
  });

  it("blocks a device whose directory does not reach to its own PASID", () => {
    const broken = { ...pages, "0x100a01000": at(0x10, 4, 0x100a02609n, 0x10000n) };
    const { ctx, findings } = contextOver(memoryOf(broken));
    const own = openVtd(ctx, { root: root | 0x400n }).device(0x10)!;
    expect(own.kind).toBe("blocked");
    expect(findings).toMatchObject([
      {
        code: "iommu-bad-context",
        pa: 0x100a01200n,
        expected: "RID_PASID up to 65535",
        actual: "RID_PASID 65536",
      },
    ]);
  });
});

describe("memory that is missing", () => {
  it("costs the devices that it is for, and is said once", () => {
    const memory = memoryOf({
      "0x100a00000": [0x100a01001n, 0n, 0x100a02001n, 0n, 0x100a03001n, 0n],
      "0x100a01000": at(0x10, 2, 0x9n, 0x103n),
      "0x100a03000": at(1, 2, 0x9n, 0x103n),
    });
    const { ctx, findings } = contextOver(memory);
    const devices = [...openVtd(ctx, { root }).devices()].map(({ device }) => device);
    expect(devices).toEqual([0x10, 0x201]);
    expect(findings).toMatchObject([{ code: "memory-absent", path: "buses[0x1]", pa: 0x100a02000n }]);
  });

  it.each([
    ["a directory", {}, [0x100a02000n]],
    [
      "PASID tables",
      { "0x100a02000": [0x100a03001n, 0n, 0x100a04001n, 0x100a05001n] },
      [0x100a03000n, 0x100a04000n],
    ],
  ])("%s: the device is blocked", (_, more, missing) => {
    const pages = { "0x100a00000": rootWords, "0x100a01000": at(0x10, 4, 0x100a02409n), ...more };
    const { ctx, findings } = contextOver(memoryOf(pages));
    const entries = [...openVtd(ctx, { root: root | 0x400n }).devices()];
    expect(entries.map(({ device, kind }) => [device, kind])).toEqual([[0x10, "blocked"]]);
    expect(codesIn(findings)).toEqual(missing.map(() => "memory-absent"));
    expect(findings.map(({ pa }) => pa)).toEqual(missing);
  });
});

describe("the root", () => {
  const memory = memoryOf({ "0x100a00000": rootWords, "0x100a01000": at(0x10, 2, 0x123456001n, 0x2a02n) });

  it.each([
    ["a reserved mode", root | 0x800n, "TTM 2"],
    ["no address", 0n, "0x0"],
    ["no address, scalable mode", 0x400n, "0x400"],
    ["memory that is not captured", 0x200000000n, "not captured"],
    ["memory beyond all addresses", 0xfffffffffffff000n, "not captured"],
  ])("%s is refused", (_, register, actual) => {
    const { ctx } = contextOver(memory);
    try {
      openVtd(ctx, { root: register });
      expect.unreachable();
    } catch (error) {
      expect(isKhoError(error, "iommu-root-malformed") && error.actual).toBe(actual);
    }
  });

  it("that aborts all DMA blocks every device, and nothing is read", () => {
    const { ctx, findings } = contextOver(memoryOf({}));
    const unit = openVtd(ctx, { root: root | 0xc00n });
    expect([...unit.devices()]).toEqual([]);
    expect(unit.device(0x10)).toEqual({ device: 0x10, kind: "blocked", words: [], path: "devices[0x10]" });
    expect(unit.device(0x10, 3)).toMatchObject({ pasid: 3, kind: "blocked" });
    expect(unit.summary).toBe("all DMA aborted");
    expect(findings).toEqual([]);
  });

  it("with reserved bits is read, and they are reported; so are those of the entries of buses", () => {
    const { ctx, findings } = contextOver(
      memoryOf({
        "0x100a00000": [0x100a01ffdn, 0n, 0x100a01001n, 2n],
        "0x100a01000": at(0x10, 2, 0x123456001n, 0x2a02n),
      }),
    );
    expect([...openVtd(ctx, { root: root | 0x201n }).devices()].length).toBe(2);
    expect(findings.map(({ code, path, actual }) => [code, path, actual])).toEqual([
      ["iommu-reserved-bits", "root", "rsvd0=0x201"],
      ["iommu-reserved-bits", "buses[0x0]", "rsvd1=0x7fe"],
      ["iommu-reserved-bits", "buses[0x1]", "rsvd64=0x2"],
    ]);
  });
});

describe("a bare address", () => {
  const legacyEntry = at(0x10, 2, 0x123456001n, 0x2a02n);
  const scalableEntry = at(0x10, 4, 0x100a02401n);
  it.each<readonly [string, Parameters<typeof memoryOf>[0], mode: string]>([
    ["legacy tables", { "0x100a00000": rootWords, "0x100a01000": legacyEntry }, "legacy"],
    ["nothing at all", { "0x100a00000": [0n] }, "legacy"],
    ["context tables that are empty", { "0x100a00000": rootWords, "0x100a01000": [0n] }, "legacy"],
    ["context tables that are not captured", { "0x100a00000": rootWords }, "legacy"],
    [
      "context entries with half of what legacy mode has",
      { "0x100a00000": rootWords, "0x100a01000": scalableEntry },
      "scalable",
    ],
    ["an upper context table", { "0x100a00000": [0n, 0x100a01001n] }, "scalable"],
    // One flipped bit does not outweigh an entry.
    ["a flipped bit", { "0x100a00000": [0x100a01001n, 0n, 0n, 1n], "0x100a01000": legacyEntry }, "legacy"],
    // In scalable mode there is nothing that is present in the second half of an entry.
    [
      "an entry for an odd device",
      { "0x100a00000": rootWords, "0x100a01000": at(0x11, 2, 0x9n, 0n) },
      "legacy",
    ],
  ])("of %s", (_, pages, mode) => {
    const { ctx, findings } = contextOver(memoryOf(pages));
    expect(openVtd(ctx, { root }).summary).toBe(`${mode} mode`);
    expect(findings.map(({ severity, code }) => [severity, code])).toEqual(
      mode === "scalable" ? [["info", "iommu-mode-guessed"]] : [],
    );
  });

  it("is not second-guessed where the register says scalable mode", () => {
    const { ctx, findings } = contextOver(memoryOf({ "0x100a00000": rootWords, "0x100a01000": legacyEntry }));
    expect(openVtd(ctx, { root: root | 0x400n }).summary).toBe("scalable mode");
    expect(findings).toEqual([]);
  });
});

it("no more entries and tables than the limit, and that is said", () => {
  const pages = {
    "0x100a00000": rootWords,
    "0x100a01000": Array.from({ length: 16 }, () => [0x9n, 0x103n]).flat(),
  };
  const { ctx, findings } = contextOver(memoryOf(pages), { maxRecords: 10 });
  expect([...openVtd(ctx, { root }).devices()].length).toBe(10);
  expect(codesIn(findings)).toEqual(["limit-exceeded"]);
});
