import { type Departure, type KexecOptions, Machine } from "../machine/index.js";
import { isKhoError } from "../report/error.js";
import { bootText } from "./boot-text.js";
import { filled, fills } from "./fills.js";
import { withPages } from "./page-size.js";
import { type Arrived, differs } from "./parts/arrived.js";
import { judgeFlbs } from "./parts/flbs.js";
import { judgeMetadata } from "./parts/metadata.js";
import { registerOpaque } from "./parts/opaque.js";
import { differentBlock, judgePreserved } from "./parts/preserved.js";
import { judgeRegions, regionOptions } from "./parts/regions.js";
import { judgeSessions } from "./parts/sessions.js";
import { judgeSubtrees } from "./parts/subtrees.js";
import type { Captured } from "./same-memory.js";
import { readingOf, type Truth, truthOf } from "./truth.js";
import { type PartVerdict, type Verdict, worstOf } from "./verdict.js";

export type { PartVerdict, Verdict, VerdictKind } from "./verdict.js";

/** What a judge needs to know beside the memory. */
export interface JudgeOptions {
  /**
   * Of a departure that was made from a capture: whether the capture holds the page of this PFN. Contents of pages that
   * it does not hold are not compared, which the details say.
   */
  readonly captured?: Captured;
  /**
   * Names of the file handlers that the kernel has beside those of its release; unless given it has one for every name
   * that is handed over and that no release brings.
   */
  readonly handlers?: ReadonlySet<string>;
  /** Bytes of a page of the kernel that arrives; those of the kernel that left unless given. */
  readonly pageSize?: number;
}

/**
 * Boots kernel `to` on a departure, retrieves everything, and holds what comes out against what went in, which is read
 * from the departure with the formats of the release that wrote it.
 * @throws KhoError `unknown-release`, and as the decoder does for what that release itself cannot read
 */
export function judge(departure: Departure, to: string, options: JudgeOptions = {}): Verdict {
  return judgeOf(departure, options)(to);
}

/** Judges one departure for several releases: what it holds is read once. */
export function judgeOf(departure: Departure, options: JudgeOptions = {}): (to: string) => Verdict {
  const truth = truthOf(departure, options.captured);
  const pageSize = options.pageSize ?? departure.hardware.abi.pageSize;
  const arrival = withPages(departure, pageSize);
  return (to) => {
    if (!truth) return { verdict: "not-applicable", detail: "nothing is handed over", parts: [] };
    const { handlers } = options;
    const arrive = (tamper?: KexecOptions["tamper"]): Verdict =>
      outcomeOf({ truth, arrival, to, handlers, tamper });
    const plain = arrive();
    // The root alone has decided, which nobody reads otherwise than it was written.
    if (plain.verdict === "ignored") return plain;
    const { runs, undefinedBytes } = readingOf(truth, to, pageSize);
    const others =
      undefinedBytes.length === 0
        ? []
        : fills.map((fill) => arrive((copy) => filled(copy, undefinedBytes, fill)));
    return agreed([plain, ...others], differentBlock(truth, runs, pageSize));
  };
}

/** One boot of one kernel. */
interface Trial {
  readonly truth: Truth;
  /** The memory as the kernel finds it. */
  readonly arrival: Departure;
  readonly to: string;
  readonly handlers: JudgeOptions["handlers"];
  readonly tamper: KexecOptions["tamper"];
}

/** Boots, and retrieves all that there is. */
function outcomeOf(trial: Trial): Verdict {
  const { truth, to, handlers } = trial;
  const machine = boot(trial);
  const { outcome } = machine;
  if (outcome.kind === "panic" || outcome.kind === "ignored")
    return {
      verdict: outcome.kind,
      detail: bootText(to, outcome),
      parts: [],
      reason: outcome.reason,
    };
  const arrived: Arrived = { truth, machine };
  const pages = differentPages(arrived);
  if (pages) return { verdict: pages.verdict, detail: `${pages.part}: ${pages.detail}`, parts: [pages] };
  const parts: PartVerdict[] = [
    ...judgePreserved(arrived),
    ...judgeSubtrees(arrived),
    ...judgeRegions(arrived),
  ];
  if (machine.kernel.luo && machine.luo.enabled) registerOpaque(machine, truth.handover, handlers);
  parts.push(...judgeFlbs(arrived), ...judgeSessions(arrived), ...judgeMetadata(arrived));
  const worst = worstOf(parts)!;
  const detail = worst.verdict === "works" ? "" : `${worst.part}: ${worst.detail}`;
  return { verdict: worst.verdict, detail, parts };
}

/** With pages of another size nothing else is worth a look: every number of pages means other bytes. */
function differentPages({ truth, machine }: Arrived): PartVerdict | undefined {
  const { pageSize } = machine.core.abi;
  const written = truth.handover.pageSize;
  if (written === pageSize) return undefined;
  return (
    differentBlock(truth, machine.kho.receivedRuns, pageSize) ?? {
      part: "preserved",
      verdict: "misread",
      detail: differs("bytes of a page", String(written), String(pageSize)),
    }
  );
}

/** Boots with the same regions, or without any where a machine has no room for what a damaged handover says of them. */
function boot({ truth, arrival, to, tamper }: Trial): Machine {
  const options = { release: to, ...(tamper && { tamper }) };
  const reserveMem = regionOptions(truth.handover.reserveMem);
  try {
    return Machine.arrive(arrival, { ...options, reserveMem });
  } catch (error) {
    if (reserveMem.length === 0 || !isKhoError(error, "usage")) throw error;
    return Machine.arrive(arrival, options);
  }
}

/**
 * One verdict for boots that differ in nothing but bytes that nobody wrote. Where they come to different ends the reader
 * takes such bytes for something, whatever they happen to be. `misread` is what the memory map is misread for: then a
 * boot that stops does so for a reason that nobody gave it.
 */
function agreed(verdicts: readonly [Verdict, ...Verdict[]], misread: PartVerdict | undefined): Verdict {
  const [plain] = verdicts;
  const textOf = ({ verdict, detail, parts }: Verdict): string => JSON.stringify([verdict, detail, parts]);
  const agree = verdicts.every((verdict) => textOf(verdict) === textOf(plain));
  if (agree && !(misread && plain.verdict === "panic")) return plain;
  const telling = verdicts.find(({ verdict }) => verdict === "misread") ?? worstOf(verdicts)!;
  const first = misread ? `${misread.part}: ${misread.detail}` : telling.detail;
  const notes = [
    ...(agree ? [] : ["memory that nobody wrote is taken for a part of the handover"]),
    ...endings(verdicts),
  ];
  return { ...telling, verdict: "misread", detail: [first, ...notes].join("; ") };
}

/** What else such a misreading may lead to. */
function endings(verdicts: readonly Verdict[]): string[] {
  const panic = verdicts.find(({ verdict }) => verdict === "panic");
  if (!panic) return [];
  return [
    verdicts.every(({ verdict }) => verdict === "panic") ? panic.detail : `it may be that ${panic.detail}`,
  ];
}
