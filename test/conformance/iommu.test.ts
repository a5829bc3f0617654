/** Page tables that real kernels built, against what the programs that asked for the mappings know of them. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { decodeTable, encodeTable, type TableContent } from "../../formats/iommu/content.js";
import { newDomain, tableOf } from "../../formats/iommu/domain.js";
import { mapTable, unmapTable } from "../../formats/iommu/map.js";
import { mappingsOf } from "../../formats/iommu/mappings.js";
import { openImage, parseMeta } from "../../src/index.js";
import { parseDevice } from "../../src/iommu/names.js";
import { newReading, openIommu } from "../../src/iommu/open.js";
import { reachOf } from "../../src/iommu/reach.js";
import { newStore } from "../formats/iommu/store.js";
import { domainLike } from "./iommu-domain.js";

/** Numbers in hex. */
interface Mapping {
  readonly iova: string;
  readonly pa: string;
  readonly size: string;
  readonly read: boolean;
  readonly write: boolean;
}

/** A call for a mapping, and the memory that it was for: input address, physical address, bytes. */
interface Call {
  readonly device: string;
  readonly iova: string;
  readonly length: string;
  readonly prot: "RW" | "RO" | "WO" | "R" | "W";
  readonly errno: number;
  readonly unmapped?: boolean;
  readonly runs: readonly (readonly [iova: string, pa: string, size: string])[];
}

interface Truth {
  readonly kernelRelease: string;
  /** What VFIO said of each device: page sizes, and input addresses that it takes. */
  readonly vfio?: Readonly<Record<string, string>>;
  readonly devices: readonly { readonly device: string; readonly mappings: readonly Mapping[] }[];
  readonly calls?: readonly Call[];
}

/** 7.3-iommu-intel was recorded in another form: by address space, in pages. */
interface TruthBySpace {
  readonly kernelRelease: string;
  readonly attached: readonly { readonly ioas: number; readonly bdf: string }[];
  readonly mappings: readonly {
    readonly ioas: number;
    readonly read: boolean;
    readonly write: boolean;
    readonly errno: number;
    readonly runs: readonly (readonly [iova: string, pa: string, pages: number])[];
  }[];
}

function truthOf(text: string): Truth {
  const truth = JSON.parse(text) as Truth | TruthBySpace;
  if ("devices" in truth && !("attached" in truth)) return truth;
  const { attached, mappings, kernelRelease } = truth as TruthBySpace;
  return {
    kernelRelease,
    devices: attached.map(({ ioas, bdf }) => ({
      device: bdf,
      mappings: mappings
        .filter((mapping) => mapping.ioas === ioas && mapping.errno === 0)
        .flatMap(({ runs, read, write }) =>
          runs.map(([iova, pa, pages]) => ({
            iova,
            pa,
            size: `0x${(pages * 4096).toString(16)}`,
            read,
            write,
          })),
        )
        .sort((a, b) => (BigInt(a.iova) < BigInt(b.iova) ? -1 : 1)),
    })),
  };
}

const root = fileURLToPath(new URL("../../fixtures", import.meta.url));
const fixtures = readdirSync(root)
  .map((name) => ({ name, folder: `${root}/${name}` }))
  .filter(({ name, folder }) => name.includes("iommu") && existsSync(`${folder}/core.elf.gz`))
  .map(({ name, folder }) => ({
    name,
    image: openImage(`${folder}/core.elf.gz`),
    iommu: parseMeta(readFileSync(`${folder}/meta.json`, "utf8")).iommu!,
    truth: truthOf(readFileSync(`${folder}/truth.json`, "utf8")),
  }));

const numbers = ({ iova, pa, size, read, write }: Mapping) => ({
  iova: BigInt(iova),
  pa: BigInt(pa),
  size: BigInt(size),
  read,
  write,
});

it("there are captures of three makers", () => {
  expect(new Set(fixtures.map(({ iommu }) => iommu.vendor))).toEqual(new Set(["vtd", "amd", "smmuv3"]));
});

describe.each(fixtures)("$name", ({ image, iommu, truth }) => {
  const reading = newReading(image.memory);
  const unit = openIommu(reading, iommu.vendor, iommu);

  it.each(truth.devices)("$device reaches what was mapped, and nothing else", ({ device, mappings }) => {
    const entry = unit.device(parseDevice(device))!;
    const found = [...mappingsOf(reachOf(reading.ctx, entry).runs)];
    expect(found.map(({ pageSizes: _, ...mapping }) => mapping)).toEqual(mappings.map(numbers));
  });

  it.each(truth.devices)(
    "$device reaches the same without the register's other bits",
    ({ device, mappings }) => {
      const bare = newReading(image.memory);
      const mask = iommu.vendor === "smmuv3" ? ~0x3fn : ~0xfffn;
      const address = { root: iommu.root & mask & ((1n << 52n) - 1n) };
      const entry = openIommu(bare, iommu.vendor, address).device(parseDevice(device))!;
      const found = [...mappingsOf(reachOf(bare.ctx, entry).runs)];
      expect(found.map(({ pageSizes: _, ...mapping }) => mapping)).toEqual(mappings.map(numbers));
      for (const { severity, code } of bare.findings)
        expect([severity, code]).toEqual(["info", "iommu-mode-guessed"]);
    },
  );

  it("lists these devices among the others, and finds nothing wrong", () => {
    const listed = [...unit.devices()];
    for (const { device } of truth.devices)
      expect(listed.filter((entry) => entry.device === parseDevice(device))).toHaveLength(1);
    for (const entry of listed) reachOf(reading.ctx, entry);
    expect(reading.findings).toEqual([]);
  });

  it("every table of every device is written again as it was", () => {
    for (const { table } of unit.devices()) {
      if (!table) continue;
      const content = decodeTable(reading.ctx, table, "table");
      encodeTable(content, (pa, bytes) =>
        expect(Buffer.compare(bytes, image.memory.read(pa, bytes.length)), pa.toString(16)).toBe(0),
      );
    }
  });

  /** Leaves by address: level and word. What does not depend on where tables lie. */
  const leavesOf = ({ table, tables, leaves }: TableContent) =>
    Array.from({ length: leaves.length }, (_, i) => ({
      level: tables.level[leaves.table[i]!],
      index: leaves.index[i],
      lg2: leaves.lg2[i],
      count: leaves.count[i],
      word: [leaves.hi[i]! >>> 0, leaves.lo[i]! >>> 0].map((half) => half.toString(16)),
      format: table.format.name,
    }));

  if (truth.calls)
    it.each(truth.devices)("the calls for $device give the leaves that the kernel wrote", ({ device }) => {
      const entry = unit.device(parseDevice(device))!;
      const { options, always } = domainLike(entry, truth.kernelRelease, truth.vfio![device]!);
      const store = newStore();
      const domain = newDomain(options, store)!;
      for (const call of truth.calls!) {
        if (call.device !== device || call.errno !== 0) continue;
        const prot = (call.prot.includes("R") ? 1 : 0) | (call.prot.includes("W") ? 2 : 0) | always;
        for (const [iova, pa, size] of call.runs)
          expect(mapTable(domain, BigInt(iova), BigInt(pa), BigInt(size), prot).errno).toBeUndefined();
        if (call.unmapped)
          for (const [iova, , size] of call.runs) unmapTable(domain, BigInt(iova), BigInt(size));
      }
      const ours = decodeTable({ ...reading.ctx, memory: store.memory }, tableOf(domain), "ours");
      expect(leavesOf(ours)).toEqual(leavesOf(decodeTable(reading.ctx, entry.table!, "table")));
    });
});
