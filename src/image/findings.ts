import type { Code } from "../report/codes.js";
import type { Finding, Severity } from "../report/finding.js";

/** What a finding of a container says beyond its code and message. */
export type Detail = Partial<Pick<Finding, "severity" | "pa" | "length" | "expected" | "actual">>;

/** Gathers findings about a container. */
export interface FindingLog {
  /** Notes one finding; `severity` is `error` unless given. */
  add(code: Code, message: string, detail?: Detail): void;
  /** What was noted, in order, and a last finding per code that was noted too often. */
  all(): Finding[];
}

/**
 * A log that keeps the first `perCode` findings of each code and counts the rest: a damaged file with a million
 * segments must not become a million findings.
 */
export function findingLog(perCode = 64): FindingLog {
  const kept: Finding[] = [];
  const counts = new Map<Code, { count: number; severity: Severity }>();
  return {
    add: (code, message, detail = {}) => {
      const severity = detail.severity ?? "error";
      const count = (counts.get(code)?.count ?? 0) + 1;
      counts.set(code, { count, severity });
      if (count <= perCode) kept.push({ pa: 0n, length: 0, path: "", ...detail, severity, code, message });
    },
    all: () => [
      ...kept,
      ...[...counts]
        .filter(([, { count }]) => count > perCode)
        .map(([code, { count, severity }]) => ({
          severity,
          code,
          pa: 0n,
          length: 0,
          path: "",
          message: `${count - perCode} more of the same kind`,
        })),
    ],
  };
}
