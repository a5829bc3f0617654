import { isKhoError } from "../../report/error.js";
import type { Finding } from "../../report/finding.js";
import type { Booted, Outcome, Running } from "../boot.js";
import { errnoOf } from "../errno.js";
import type { Hardware } from "../firmware.js";
import type { Process } from "../process.js";
import { type IommuKernelOptions, type IommuState, newIommu } from "./iommu.js";

/** A boot with what became of the IOMMU. */
export interface SetUp {
  readonly outcome: Outcome;
  /** What is wrong with the handover, IOMMU state included. */
  readonly findings: readonly Finding[];
  /** Absent after a panic. */
  readonly running?: Running;
  /** Absent where there is none, or it could not be set up. */
  readonly iommu?: IommuState;
}

/**
 * The last step of a boot. A kernel that cannot go on with what it was handed over of the IOMMU panics; without memory for the
 * IOMMU's tables it does without, and devices reach nothing.
 * @param init the first process, which is not started by this
 * @throws KhoError `unknown-series`
 */
export function setUpIommu(
  { running, outcome, findings: before, log }: Booted,
  { iommu: hardware }: Hardware,
  options: IommuKernelOptions = {},
  init: () => Process,
): SetUp {
  const findings = [...before];
  if (!running || !hardware) return { outcome, findings, ...(running && { running }) };
  const { core, luo } = running;
  try {
    const iommu = newIommu({ core, luo, iommu: hardware, options, init, findings });
    return { running, outcome, findings, iommu };
  } catch (error) {
    if (errnoOf(error) === "ENOMEM") {
      log.push(`IOMMU: ${(error as Error).message}`);
      delete hardware.registers;
      return { running, outcome, findings };
    }
    if (!isKhoError(error) || error.consequence?.outcome !== "panic") throw error;
    const { code, message, path = "", pa = 0n, consequence } = error;
    log.push(`IOMMU: ${message}`);
    return { outcome: { kind: "panic", reason: { code, message, path, pa, consequence } }, findings };
  }
}
