import type { DeviceEntry } from "../../../formats/iommu/device.js";
import { checkSpace } from "../../iommu/cross-check.js";
import { allOfMemory, mappedBytes, newReaches, type Reach } from "../../iommu/reach.js";
import type { Exit } from "../exit.js";
import { exitOfFindings } from "../exit.js";
import { describeImage, inputName, withImage } from "../input.js";
import { safeJson } from "../json.js";
import type { Run } from "../run.js";
import { alignRows } from "../table.js";
import { humanBytes, plural } from "../text.js";
import { type IommuOptions, keptIn, openUnit } from "./input.js";
import { domainText, spaceName, translationText, writeFindings } from "./text.js";

/** `kho iommu devices FILE`: every device that has an entry, how it is translated, and how much it can reach. */
export async function iommuDevicesCommand(run: Run, file: string, options: IommuOptions): Promise<Exit> {
  const { out, style } = run;
  return withImage(run, file, options, async (image) => {
    if (!options.json) {
      out.line(`${style.bold(inputName(file))}: ${describeImage(image)}`);
      out.flush();
    }
    const { vendor, unit, reading } = openUnit(run, image, options);
    const kept = keptIn(run, image, options);
    const reaches = newReaches(reading.ctx);
    const spaces: { readonly entry: DeviceEntry; readonly reach: Reach }[] = [];
    const checked = new Set<Reach>();
    for (const entry of unit.devices()) {
      const reach = reaches(entry);
      spaces.push({ entry, reach });
      run.progress.update("devices", spaces.length, 0);
      // Devices of one domain reach the same: what is wrong with it is said once, of the first.
      if (checked.has(reach)) continue;
      checked.add(reach);
      checkSpace(reading.ctx, entry.path, reach, unit.tables, kept);
    }
    run.progress.clear();
    const { findings } = reading;
    if (options.json) {
      const { devicesJson } = await import("../../interchange-iommu.js");
      const all = spaces.map(({ entry, reach }) => ({
        entry,
        runs: entry.kind === "identity" ? allOfMemory() : reach.runs,
      }));
      out.line(safeJson(devicesJson(vendor, unit.summary, all, findings)));
      out.flush();
      return exitOfFindings(findings);
    }
    out.line(`${style.bold(vendor)}  ${unit.summary}; ${plural(spaces.length, "address space")}`);
    out.line();
    const rows = spaces.map(({ entry, reach }) => [
      spaceName(entry),
      domainText(entry),
      entry.table ? `${reach.runs.length}` : "",
      entry.table ? humanBytes(mappedBytes(reach.runs)) : "",
      translationText(entry),
    ]);
    const head = ["DEVICE", "DOMAIN", "RANGES", "BYTES", "TRANSLATION"];
    for (const [i, line] of alignRows([head, ...rows], ["left", "left", "right", "right", "left"]).entries())
      out.line(i === 0 ? style.dim(line) : line);
    return writeFindings(run, findings);
  });
}
