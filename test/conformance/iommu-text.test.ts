/** The text that kernels showed of their page tables in debugfs, from the captured memory alone: to the letter. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { dmarTranslationStruct, domainTranslationStruct } from "../../formats/iommu/vtd/text.js";
import { openImage, parseMeta } from "../../src/index.js";
import { parseDevice } from "../../src/iommu/names.js";
import { contextOver } from "../formats/iommu/context.js";

const root = fileURLToPath(new URL("../../fixtures", import.meta.url));
const fixtures = readdirSync(root).filter((name) => existsSync(`${root}/${name}/debugfs`));

it("there are texts of both modes of VT-d", () => expect(fixtures).toHaveLength(2));

describe.each(fixtures)("%s", (name) => {
  const folder = `${root}/${name}`;
  const { memory } = openImage(`${folder}/core.elf.gz`);
  const iommu = parseMeta(readFileSync(`${folder}/meta.json`, "utf8")).iommu!;
  const texts = readdirSync(`${folder}/debugfs`).filter((file) => file.endsWith("translation_struct"));

  it.each(texts)("%s", (file) => {
    const wanted = readFileSync(`${folder}/debugfs/${file}`, "utf8");
    const { ctx, findings } = contextOver(memory);
    const device = /^intel__(.+)__domain/.exec(file)?.[1];
    const lines =
      device === undefined
        ? dmarTranslationStruct(ctx, iommu, "dmar0")
        : domainTranslationStruct(ctx, iommu, { device: parseDevice(device) });
    expect([...lines].map((line) => `${line}\n`).join("")).toBe(wanted);
    expect(findings).toEqual([]);
  });
});
