import { seriesOf } from "../../formats/proposed/iommu/series.js";
import { newReading } from "../../src/iommu/open.js";
import { readPersisted } from "../../src/iommu/persisted.js";
import type { Departure } from "../../src/machine/index.js";
import { decoded } from "./departures.js";

/** What a departure hands over of its IOMMU, and what is wrong with it. */
export function handedOver(left: Departure, series = "d") {
  const { handover, findings } = decoded(left);
  const reading = newReading(left.memory);
  const persisted = readPersisted(reading.ctx, handover, seriesOf(series))!;
  // The decoder of a release does not know handlers that it does not have.
  const known = findings.filter(({ code }) => code !== "file-unknown-handler");
  return { ...persisted, findings: [...known, ...reading.findings] };
}
