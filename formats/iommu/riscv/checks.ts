/** What keeps hardware from taking a context: in the RISC-V IOMMU specification, what makes it misconfigured. */
import type { ValueOf } from "../../../src/layout/index.js";
import { hex } from "../../../src/report/hex.js";
import { addressOfFrame } from "../entry.js";
import type { Capabilities, DeviceContext, riscvIommuPc } from "./layout.js";
import { BARE, processModes, schemeOf, secondStageTops } from "./modes.js";

const lacks = (capabilities: Capabilities | undefined, name: keyof Capabilities): boolean =>
  capabilities !== undefined && capabilities[name] === 0;

/** Sentences, without what does not apply. */
const those = (...sentences: readonly (string | false | undefined)[]): string[] =>
  sentences.filter((sentence) => typeof sentence === "string");

/** @param capabilities those of the unit; without them every mode that there is counts as offered */
export function wrongInDevice(dc: DeviceContext, capabilities?: Capabilities): string[] {
  const { EN_ATS, EN_PRI, T2GPA, PRPR, DPE, PDTV, iohgatp_MODE, msiptp_MODE = 0 } = dc;
  return those(
    PDTV ? wrongProcessDirectory(dc.fsc_MODE, capabilities) : wrongFirstStage(dc.fsc_MODE, capabilities),
    wrongSecondStage(dc, capabilities),
    msiptp_MODE > 1 && `msiptp.MODE ${msiptp_MODE} is of no known table`,
    !EN_ATS && EN_PRI === 1 && "EN_PRI needs EN_ATS",
    !EN_ATS && T2GPA === 1 && "T2GPA needs EN_ATS",
    !EN_PRI && PRPR === 1 && "PRPR needs EN_PRI",
    T2GPA === 1 && iohgatp_MODE === BARE && "T2GPA needs a second stage",
    DPE === 1 && !PDTV && "DPE needs PDTV",
    EN_ATS === 1 && lacks(capabilities, "ATS") && "EN_ATS: the unit has no ATS",
    T2GPA === 1 && lacks(capabilities, "T2GPA") && "T2GPA: the unit does not have it",
    (dc.SADE === 1 || dc.GADE === 1) &&
      lacks(capabilities, "AMO_HWAD") &&
      "SADE, GADE: the unit does not set accessed and dirty bits",
    // Some hardware takes these two. No Linux sets them.
    dc.SBE === 1 && "SBE: big-endian tables are not read",
    dc.SXL === 1 && "SXL: tables of 32-bit systems are not read",
  );
}

export const wrongInProcess = (
  { fsc_MODE }: ValueOf<typeof riscvIommuPc>,
  capabilities?: Capabilities,
): string[] => those(wrongFirstStage(fsc_MODE, capabilities));

function wrongFirstStage(MODE: number, capabilities?: Capabilities): string | undefined {
  if (MODE === BARE) return undefined;
  const scheme = schemeOf(MODE);
  if (!scheme) return `fsc.MODE ${MODE} is of no known page table`;
  return lacks(capabilities, scheme.name) ? `fsc.MODE: the unit has no ${scheme.name}` : undefined;
}

function wrongProcessDirectory(MODE: number, capabilities?: Capabilities): string | undefined {
  if (MODE === BARE) return undefined;
  const mode = processModes.find((candidate) => candidate.MODE === MODE);
  if (!mode) return `fsc.MODE ${MODE} is of no known process directory`;
  return lacks(capabilities, mode.name) ? `fsc.MODE: the unit has no ${mode.name}` : undefined;
}

function wrongSecondStage(
  { iohgatp_MODE: MODE, iohgatp_PPN }: DeviceContext,
  capabilities?: Capabilities,
): string | undefined {
  if (MODE === BARE) return undefined;
  const scheme = schemeOf(MODE);
  if (!scheme) return `iohgatp.MODE ${MODE} is of no known page table`;
  if (lacks(capabilities, `${scheme.name}x4`)) return `iohgatp.MODE: the unit has no ${scheme.name}x4`;
  return iohgatp_PPN % secondStageTops === 0
    ? undefined
    : `iohgatp: ${hex(addressOfFrame(iohgatp_PPN))} is not aligned to ${secondStageTops} tables in a row`;
}
