/** The IOMMU of a machine between two kernels. */
import { checkReach, checkTables } from "../../iommu/cross-check.js";
import { newReading, openIommu } from "../../iommu/open.js";
import { newReaches } from "../../iommu/reach.js";
import type { Finding } from "../../report/finding.js";
import type { Departure } from "../kexec.js";
import { type Device, newDevice } from "./device.js";
import { deviceIn, mustHaveIommu } from "./hardware.js";
import { keptIn, type Watch, watchFor } from "./reuse.js";

/**
 * A device while no kernel runs: it goes on through the tables that the old one left, and what it writes is in the memory
 * that the next one finds.
 * @param name a PCI address: `00:05.0`
 * @throws KhoError `machine-misuse` if the machine does not have it
 */
export function deviceOf(departure: Departure, name: string): Device {
  const iommu = mustHaveIommu(departure.hardware);
  let watch: Watch | undefined;
  return newDevice(deviceIn(iommu, name), {
    memory: departure.memory,
    iommu,
    watch: () => (watch ??= watchFor(keptIn(departure), () => "the next kernel's")),
  });
}

/**
 * What devices will do to the next kernel, before they do it: memory that they can reach and that is not preserved, or lies in
 * scratch, and tables that they can write to.
 */
export function checkDma(departure: Departure): readonly Finding[] {
  const { vendor, registers } = mustHaveIommu(departure.hardware);
  const reading = newReading(departure.memory);
  if (!registers) return [];
  const unit = openIommu(reading, vendor, registers);
  const reach = newReaches(reading.ctx);
  const kept = keptIn(departure);
  const entries = [...unit.devices()];
  for (const entry of entries) {
    const { runs, tables } = reach(entry);
    checkReach(reading.ctx, entry.path, runs, kept);
    unit.tables.addTo(tables);
    checkTables(reading.ctx, entry.path, runs, tables);
  }
  return reading.findings;
}
