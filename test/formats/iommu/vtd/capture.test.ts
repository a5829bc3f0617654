/** A machine with a unit in legacy mode, and what its kernel's debugfs and the programs on it said at the time. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Mapping, mappingsOf } from "../../../../formats/iommu/mappings.js";
import { openVtd } from "../../../../formats/iommu/vtd/devices.js";
import { dmarTranslationStruct, domainTranslationStruct } from "../../../../formats/iommu/vtd/text.js";
import { decodeMappings } from "../../../../formats/iommu/walk.js";
import { openImage } from "../../../../src/index.js";
import { contextOver } from "../context.js";

const folder = new URL("../../../../fixtures/7.3-iommu-intel", import.meta.url).pathname;
const json = (name: string) => JSON.parse(readFileSync(`${folder}/${name}`, "utf8"));

interface Truth {
  readonly devices: readonly { readonly bdf: string }[];
  readonly attached: readonly { readonly bdf: string; readonly ioas: number }[];
  readonly mappings: readonly {
    readonly ioas: number;
    readonly errno: number;
    readonly read: boolean;
    readonly write: boolean;
    /** Input address, address, number of 4 KiB pages. */
    readonly runs: readonly (readonly [string, string, number])[];
  }[];
}
const truth = json("truth.json") as Truth;
const root = { root: BigInt(json("meta.json").rtaddr) };
const { memory } = openImage(`${folder}/core.elf.gz`);

/** `0000:00:1f.3` as a requester id. */
function requesterId(bdf: string): number {
  const [, bus, device, fn] = /^0000:(..):(..)\.(.)$/.exec(bdf)!;
  return (Number.parseInt(bus!, 16) << 8) | (Number.parseInt(device!, 16) << 3) | Number(fn);
}
type Run = Pick<Mapping, "iova" | "size" | "read" | "write"> & { readonly pa: bigint };

/** Runs in ascending order; those that continue each other are one. */
function merged(runs: readonly Run[]): Run[] {
  const all: Run[] = [];
  for (const { iova, pa, size, read, write } of [...runs].sort((a, b) => (a.iova < b.iova ? -1 : 1))) {
    const last = all.at(-1);
    if (
      last?.read === read &&
      last.write === write &&
      last.iova + last.size === iova &&
      last.pa + last.size === pa
    )
      all[all.length - 1] = { ...last, size: last.size + size };
    else all.push({ iova, pa, size, read, write });
  }
  return all;
}
const textOf = (lines: Iterable<string>): string => [...lines].map((line) => `${line}\n`).join("");
const fileOf = (name: string): string => readFileSync(`${folder}/debugfs/${name}`, "utf8");

describe("the unit", () => {
  it("has the devices that the machine had, each with a table of its group", () => {
    const { ctx, findings } = contextOver(memory);
    const unit = openVtd(ctx, root);
    const devices = [...unit.devices()];
    expect(unit.summary).toBe("legacy mode");
    expect(devices.map(({ device }) => device)).toEqual(
      truth.devices.map(({ bdf }) => requesterId(bdf)).sort((a, b) => a - b),
    );
    expect(new Set(devices.map(({ kind }) => kind))).toEqual(new Set(["table"]));
    expect(new Set(devices.map(({ table }) => table!.root)).size).toBe(6);
    expect(findings).toEqual([]);
  });

  it.each(truth.attached)("$bdf reaches what its user mapped, and nothing else", ({ bdf, ioas }) => {
    const { ctx, findings } = contextOver(memory);
    const { table, domain } = openVtd(ctx, root).device(requesterId(bdf))!;
    const found = [...mappingsOf(decodeMappings(ctx, table!, bdf))];
    const wanted = truth.mappings
      .filter((mapping) => mapping.ioas === ioas && mapping.errno === 0)
      .flatMap(({ runs, read, write }) =>
        runs.map(([iova, pa, pages]) => ({
          iova: BigInt(iova),
          pa: BigInt(pa),
          size: BigInt(pages) * 4096n,
          read,
          write,
        })),
      );
    expect(merged(found)).toEqual(merged(wanted));
    expect(domain!.name).toBe("DID");
    expect(findings).toEqual([]);
  });
});

describe("the kernel's text, character for character", () => {
  it("dmar_translation_struct", () => {
    const { ctx } = contextOver(memory);
    expect(textOf(dmarTranslationStruct(ctx, root, "dmar0"))).toBe(fileOf("intel__dmar_translation_struct"));
  });

  const files = readdirSync(`${folder}/debugfs`).filter((name) => name.endsWith("domain_translation_struct"));
  it.each(files)("%s", (name) => {
    const { ctx, findings } = contextOver(memory);
    const device = requesterId(name.split("__")[1]!);
    expect(textOf(domainTranslationStruct(ctx, root, { device }))).toBe(fileOf(name));
    expect(findings).toEqual([]);
  });
  it("there are as many files as devices", () => expect(files).toHaveLength(truth.devices.length));
});
