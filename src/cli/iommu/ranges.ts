import { type Mapping, type MappingRuns, mappingAt, mappingsOf } from "../../../formats/iommu/mappings.js";
import { IOMMU_READ, IOMMU_WRITE } from "../../../formats/iommu/prot.js";
import { checkSpace } from "../../iommu/cross-check.js";
import { allOfMemory, mappedBytes, reachOf } from "../../iommu/reach.js";
import type { Exit } from "../exit.js";
import { exitOfFindings } from "../exit.js";
import { describeImage, inputName, withImage } from "../input.js";
import { safeJson } from "../json.js";
import type { Run } from "../run.js";
import { rangeText } from "../sections.js";
import { exactBytes, humanBytes, plural } from "../text.js";
import { keptIn, openSpace, type SpaceOptions } from "./input.js";
import { accessText, spaceHead, writeFindings } from "./text.js";

/** `kho iommu ranges FILE`: what one device can reach. */
export async function iommuRangesCommand(run: Run, file: string, options: SpaceOptions): Promise<Exit> {
  const { out, style } = run;
  return withImage(run, file, options, async (image) => {
    if (!options.json) {
      out.line(`${style.bold(inputName(file))}: ${describeImage(image)}`);
      out.flush();
    }
    const { vendor, unit, reading, entry } = openSpace(run, image, options);
    const { ctx, findings } = reading;
    const { runs, tables } = reachOf(ctx, entry);
    checkSpace(ctx, entry.path, { runs, tables }, unit?.tables, keptIn(run, image, options));
    run.progress.clear();
    if (options.json) {
      const { rangesJson } = await import("../../interchange-iommu.js");
      // A script that counts ranges must not take the device that reaches most for one that reaches nothing.
      const shown = entry.kind === "identity" ? allOfMemory() : runs;
      for (const piece of rangesJson(vendor, { entry, runs: shown }, findings)) out.text(safeJson(piece));
      out.line();
      out.flush();
      return exitOfFindings(findings);
    }
    out.line(spaceHead(style, vendor, entry));
    if (entry.table) out.line(`${plural(runs.length, "range")}, ${exactBytes(mappedBytes(runs))}`);
    writeRuns(run, runs);
    return writeFindings(run, findings);
  });
}

/** Written as they come, not gathered as a table: there may be millions. */
function writeRuns({ out, style }: Run, runs: MappingRuns): void {
  if (runs.length === 0) return;
  const last = mappingAt(runs, runs.length - 1);
  const width = rangeText(last.iova, last.size).length;
  let highest = 0;
  for (let i = 0; i < runs.length; i++) {
    // The longest range is one of the highest addresses.
    const end = runs.pa[i]! + runs.frames[i]!;
    if (end > highest) highest = end;
  }
  const digits = 2 * (BigInt(highest) << 12n).toString(16).length + 5;
  out.line();
  out.line(style.dim(`${"IOVA".padEnd(width)}  ${"PHYSICAL".padEnd(digits)}  ACCESS       BYTES  PAGES`));
  for (const mapping of mappingsOf(runs)) {
    const { iova, pa, size, pageSizes } = mapping;
    const cells = [
      rangeText(iova, size).padEnd(width),
      rangeText(pa, size).padEnd(digits),
      accessText(accessOf(mapping)).padEnd(6),
      humanBytes(size).padStart(10),
      pageSizes.map(humanBytes).join(", "),
    ];
    out.line(cells.join("  "));
  }
}

const accessOf = ({ read, write }: Mapping): number => (read ? IOMMU_READ : 0) | (write ? IOMMU_WRITE : 0);
