import type { Decoded } from "../handover/index.js";
import { type Exit, exitOfFindings, exits } from "./exit.js";
import { countText } from "./finding.js";
import type { Run } from "./run.js";

/**
 * For verbs that show a part: says on standard error that there are findings, so that a table is not trusted more than
 * it deserves, and gives the exit code.
 */
export function noticeFindings({ out, err, errStyle }: Run, { findings }: Pick<Decoded, "findings">): Exit {
  const exit = exitOfFindings(findings);
  out.flush();
  if (exit !== exits.fine) {
    const serious = findings.filter(({ severity }) => severity !== "info");
    err.line(`kho: ${countText(serious, errStyle)} in this handover: kho check lists them`);
    err.flush();
  }
  return exit;
}
