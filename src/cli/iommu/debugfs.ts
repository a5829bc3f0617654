import { devtblText } from "../../../formats/iommu/amd/text.js";
import { dmarTranslationStruct, domainTranslationStruct } from "../../../formats/iommu/vtd/text.js";
import { parseDevice, segmentOf } from "../../iommu/names.js";
import { KhoError } from "../../report/error.js";
import { type Exit, exitOfFindings } from "../exit.js";
import { withImage } from "../input.js";
import { noticeFindings } from "../notice.js";
import type { Run } from "../run.js";
import { openUnit, type SpaceOptions, whereIs } from "./input.js";

export interface DebugfsOptions extends SpaceOptions {
  /** Number of the IOMMU, as the kernel counts them. */
  readonly unit: number;
}

/** `kho iommu debugfs FILE`: the text that the kernel's driver would show, to compare the two. */
export async function iommuDebugfsCommand(run: Run, file: string, options: DebugfsOptions): Promise<Exit> {
  return withImage(run, file, options, (image) => {
    const { vendor, unit, reading } = openUnit(run, image, options);
    const { ctx, findings } = reading;
    const where = whereIs(options);
    if (vendor === "vtd") {
      const device = options.device === undefined ? undefined : parseDevice(options.device);
      const lines =
        device === undefined
          ? dmarTranslationStruct(ctx, where.root, `dmar${options.unit}`)
          : domainTranslationStruct(ctx, where.root, {
              segment: segmentOf(options.device!),
              device,
              ...(options.pasid !== undefined && { pasid: options.pasid }),
            });
      for (const line of lines) run.out.line(line);
    } else if (vendor === "amd") {
      if (options.device === undefined)
        throw new KhoError("usage", "nothing says which device is meant", {
          expected: "--device 0000:00:05.0",
        });
      const device = parseDevice(options.device);
      const bytes = unit.device(device)?.words[0]?.bytes;
      if (!bytes) throw new KhoError("not-found", `the device table has no entry of ${options.device}`);
      run.out.text(devtblText({ segment: segmentOf(options.device), device, bytes, iommu: options.unit }));
    } else
      throw new KhoError("usage", `the driver of ${vendor} shows no tables in debugfs`, {
        expected: "--vendor vtd or amd",
      });
    run.progress.clear();
    return findings.length === 0 ? exitOfFindings(findings) : noticeFindings(run, { findings });
  });
}
