import type { Advice } from "../../compat/preflight/advice.js";
import type { Candidate } from "../../compat/preflight/candidates.js";
import { hex } from "../../report/hex.js";
import type { Run } from "../run.js";
import { plural, safeName, safeSentence, wrap } from "../text.js";
import type { Shown } from "./preflight-shown.js";

/** Lines of what to leave out that are shown. */
const shown = 8;

/** What whoever runs the machine does so that something is not handed over; `release` is the kernel that it runs. */
export function adviceText({ kind, part, token = 0n }: Candidate, release: string): string {
  switch (kind) {
    case "session":
      return `close ${part}: its files stay with this kernel`;
    case "file":
      return `leave out ${part}, token ${hex(token)}: no call takes one file back, so close its session and preserve the others anew`;
    case "FLB":
      return `give up ${part}: it goes with the last file of its handlers`;
    case "live update":
      return `boot Linux ${release} without live update (liveupdate=off): its state is handed over even without sessions`;
    case "regions":
      return `boot Linux ${release} without any reserve_mem= on its command line`;
    case "region":
      return `boot Linux ${release} without the region of ${part} on its command line`;
    case "metadata":
      return `${part} would have to go, which Linux ${release} hands over by itself`;
    case "subtree":
    case "memory map":
      return `remove what hands over ${part}`;
  }
}

/** What to do first, as lines under a heading. */
export function adviceLines(run: Run, { result, decoded, receiver }: Shown, all: boolean): string[] {
  const { advice } = result;
  if (!advice) return [];
  const { style, columns } = run;
  const { release } = decoded.handover;
  const tried = plural(advice.tries, "try", "tries");
  const lines: string[] = [];
  const add = (text: string, mark = "  "): void => {
    for (const [i, line] of wrap(safeSentence(text), columns - 4).entries())
      lines.push(`${i === 0 ? mark : "    "}${line}`);
  };
  switch (advice.kind) {
    case "none":
      add(
        `nothing helps: without anything that could be left out it is the same (${tried}). Linux ${receiver.release} has to boot cold, and whatever is to outlast that has to be saved elsewhere`,
      );
      if (result.instead && result.instead.length > 0)
        add(
          `taken whole by: Linux ${result.instead.join(", ")} (these and what follows them in their series)`,
        );
      break;
    case "gave-up":
      add(`not found out: after ${tried} it is open whether anything helps`);
      break;
    case "anew":
      add(
        `hand it over anew: written as Linux ${release} writes it, all of it arrives. What stands in the way is damage (${tried})`,
      );
      break;
    case "drop":
      for (const text of grouped(advice, decoded.handover.luo?.sessions.length ?? 0, release, all))
        add(text, `  ${style.bold("-")} `);
      add(restText(advice, tried));
  }
  return ["", style.bold("What to do first"), ...lines];
}

function restText({ rest, minimal }: Advice, tried: string): string {
  const lost =
    rest?.verdict === "works" ? "all of the rest arrives" : "all that is mandatory of the rest arrives";
  const small = minimal ? "each of these is needed" : "not all of these may be needed: the tries are used up";
  return `then ${lost}; ${small} (${tried})`;
}

/** One line for each; sessions that all have to go are one. */
function grouped({ drop }: Advice, sessions: number, release: string, all: boolean): string[] {
  const closed = drop.filter(({ kind }) => kind === "session");
  const whole = closed.length > 2 && closed.length === sessions;
  const lines = [
    ...(whole ? [`close all ${sessions} sessions: their files stay with this kernel`] : []),
    ...drop
      .filter(({ kind }) => !(whole && kind === "session"))
      .map((candidate) => adviceText({ ...candidate, part: safeName(candidate.part) }, release)),
  ];
  if (all || lines.length <= shown + 2) return lines;
  return [...lines.slice(0, shown), `... and ${lines.length - shown} more (--all)`];
}
