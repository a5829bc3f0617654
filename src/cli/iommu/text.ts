import type { DeviceEntry } from "../../../formats/iommu/device.js";
import type { PageTable } from "../../../formats/iommu/format.js";
import { type Access, IOMMU_READ, IOMMU_WRITE } from "../../../formats/iommu/prot.js";
import { deviceName } from "../../iommu/names.js";
import type { Finding } from "../../report/finding.js";
import { hex } from "../../report/hex.js";
import { type Exit, exitOfFindings } from "../exit.js";
import { countText, groupFindings, groupLines } from "../finding.js";
import type { Run } from "../run.js";
import type { Style } from "../terminal.js";
import { humanBytes } from "../text.js";

/** `r-`, `rw`, `-w`. */
export const accessText = (access: Access): string =>
  `${access & IOMMU_READ ? "r" : "-"}${access & IOMMU_WRITE ? "w" : "-"}`;

/** `00:05.0`, `00:05.0 PASID 3`. */
export const spaceName = ({ device, pasid, path }: DeviceEntry): string =>
  path === "table" ? "table" : `${deviceName(device)}${pasid === undefined ? "" : ` PASID ${pasid}`}`;

/** `vtdss at 0x142586000, 4 levels, 48 bits`. */
export const tableText = ({ format, root, levels, vaBits }: PageTable): string => {
  const granule = format.granuleLg2 === 12 ? "" : `, ${humanBytes(2 ** format.granuleLg2)} granule`;
  return `${format.name} at ${hex(root)}, ${levels} levels, ${vaBits} bits${granule}`;
};

/** What a device's entry does with requests, in words. */
export function translationText({ kind, table, parent }: DeviceEntry): string {
  if (kind === "blocked") return "blocked: nothing gets through";
  if (kind === "identity") return "identity: all memory, untranslated";
  if (!table) return kind;
  return parent ? `${tableText(table)}, behind ${tableText(parent)}` : tableText(table);
}

/** `DID 3`. */
export const domainText = ({ domain }: DeviceEntry): string => (domain ? `${domain.name} ${domain.id}` : "");

/** What a verb about one address space begins with: whose it is, and how it is translated. */
export function spaceHead({ bold }: Style, vendor: string, entry: DeviceEntry): string {
  const name = [vendor, spaceName(entry)].filter((part) => part !== "").join(" ");
  const how = [domainText(entry), translationText(entry)].filter((part) => part !== "").join("; ");
  return `${bold(name)}  ${how}`;
}

/** Findings below what they are about, and the exit code. */
export function writeFindings({ out, style, columns }: Run, findings: readonly Finding[]): Exit {
  const serious = findings.filter(({ severity }) => severity !== "info");
  out.line();
  out.line(`${style.bold("Findings")}  ${countText(findings, style)}`);
  for (const group of groupFindings(findings)) {
    out.line();
    for (const line of groupLines(group, "", { style, columns })) out.line(line);
  }
  return exitOfFindings(serious);
}
