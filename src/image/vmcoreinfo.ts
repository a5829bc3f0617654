import { pageSizes, textFromBytes } from "../layout/index.js";
import type { FindingLog } from "./findings.js";

/** What is taken from VMCOREINFO. */
export interface VmcoreInfo {
  /** OSRELEASE, as `uname -r` prints it. */
  readonly release?: string;
  /** PAGESIZE in bytes: 4096, 16384 or 65536. */
  readonly pageSize?: number;
}

/** Room for a release in the kernel's `struct new_utsname`, without the NUL. */
const releaseRoom = 64;

/**
 * Reads the text of a VMCOREINFO note: lines `KEY=value`, first come first served. What cannot be right is reported
 * and left out.
 * @param note the note's contents, which the caller has bounded
 */
export function parseVmcoreInfo(note: Uint8Array, log: FindingLog): VmcoreInfo {
  const values = new Map<string, string>();
  for (const line of textFromBytes(note).split("\n")) {
    const equals = line.indexOf("=");
    const key = line.slice(0, Math.max(equals, 0));
    if ((key === "OSRELEASE" || key === "PAGESIZE") && !values.has(key))
      values.set(key, line.slice(equals + 1));
  }
  const release = values.get("OSRELEASE");
  const size = values.get("PAGESIZE");
  const pageSize = pageSizes.find((candidate) => String(candidate) === size);
  const releaseFits = release !== undefined && /^[!-~]+$/.test(release) && release.length <= releaseRoom;
  if (release !== undefined && !releaseFits)
    log.add("elf-malformed", "VMCOREINFO holds an OSRELEASE that is no kernel release", {
      severity: "warning",
      expected: `1 to ${releaseRoom} printable characters`,
    });
  if (size !== undefined && pageSize === undefined)
    log.add("elf-malformed", "VMCOREINFO holds a PAGESIZE that no supported kernel has", {
      severity: "warning",
      expected: pageSizes.join(", "),
    });
  return { ...(releaseFits && { release }), ...(pageSize !== undefined && { pageSize }) };
}
