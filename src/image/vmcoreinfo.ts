import { pageSizes, textFromBytes } from "../layout/index.js";
import { KhoError } from "../report/error.js";
import type { FindingLog } from "./findings.js";

/** Name of the note, without its NUL. */
export const vmcoreInfoName = "VMCOREINFO";

/** What is taken from VMCOREINFO. */
export interface VmcoreInfo {
  /** OSRELEASE, as `uname -r` prints it. */
  readonly release?: string;
  /** PAGESIZE in bytes: 4096, 16384 or 65536. */
  readonly pageSize?: number;
}

/** Room for a release in the kernel's `struct new_utsname`, without the NUL. */
const releaseRoom = 64;
const releaseKey = "OSRELEASE";
const pageSizeKey = "PAGESIZE";

const isRelease = (text: string): boolean => /^[!-~]+$/.test(text) && text.length <= releaseRoom;

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
    if ((key === releaseKey || key === pageSizeKey) && !values.has(key))
      values.set(key, line.slice(equals + 1));
  }
  const release = values.get(releaseKey);
  const size = values.get(pageSizeKey);
  const pageSize = pageSizes.find((candidate) => String(candidate) === size);
  const releaseFits = release !== undefined && isRelease(release);
  if (release !== undefined && !releaseFits)
    log.add("elf-malformed", `VMCOREINFO holds an ${releaseKey} that is no kernel release`, {
      severity: "warning",
      expected: `1 to ${releaseRoom} printable characters`,
    });
  if (size !== undefined && pageSize === undefined)
    log.add("elf-malformed", `VMCOREINFO holds a ${pageSizeKey} that no supported kernel has`, {
      severity: "warning",
      expected: pageSizes.join(", "),
    });
  return { ...(releaseFits && { release }), ...(pageSize !== undefined && { pageSize }) };
}

/**
 * The text of a VMCOREINFO note with what is known; empty where nothing is.
 * @throws KhoError `value-range` for a release that {@link parseVmcoreInfo} would not take
 */
export function vmcoreInfoText({ release, pageSize }: VmcoreInfo): string {
  if (release !== undefined && !isRelease(release))
    throw new KhoError("value-range", "the release to record is no kernel release", {
      expected: `1 to ${releaseRoom} printable characters`,
    });
  const lines = [
    ...(release === undefined ? [] : [`${releaseKey}=${release}\n`]),
    ...(pageSize === undefined ? [] : [`${pageSizeKey}=${pageSize}\n`]),
  ];
  return lines.join("");
}
