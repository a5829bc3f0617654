/** Will the next kernel take what is in this capture? Answered for one real state, by booting the next kernel's model on it. */
import { type Kernel, kernels } from "../../../formats/kernels.js";
import { isMemfd, memfdLayouts } from "../../../formats/memfd/memfd.js";
import type { Decoded } from "../../handover/index.js";
import type { Image } from "../../image/image.js";
import type { MemoryRange } from "../../memory/index.js";
import { type Advice, advise, fatesWithout } from "./advice.js";
import { departureOf } from "./departure.js";
import { pathsAbove } from "./doubts.js";
import { fatesOf, harms } from "./fates.js";
import type { Absent, Fates, Judging } from "./judging.js";
import { type Part, partsOf } from "./parts.js";
import { allMandatory, type Policy } from "./policy.js";
import type { Receiver } from "./receiver.js";

/** What to judge by, and how long to look for advice. */
export interface PreflightOptions {
  /** All is mandatory unless given. */
  readonly policy?: Policy;
  /** The machine's memory, where something beside the capture tells it. */
  readonly ram?: MemoryRange;
  /** Kernels to boot at most while looking for what helps; 64 unless given, none for 0. */
  readonly maxTries?: number;
  readonly onProgress?: (phase: string, done: number, total: number) => void;
}

/** What becomes of a captured handover in the next kernel. */
export interface Preflight extends Fates {
  /** What the capture does not tell and was assumed, as sentences. */
  readonly assumed: readonly string[];
  /** What is lost whatever kernel comes next, and what the policy names in vain; as sentences. */
  readonly notes: readonly string[];
  /** What of the handover itself is not in the capture, as sentences. */
  readonly absent: readonly string[];
  /** What to do first; absent where all goes well, and where nothing was tried. */
  readonly advice?: Advice;
  /** Where nothing helps: known releases that would take all that is mandatory. */
  readonly instead?: readonly string[];
}

const defaultTries = 64;

/**
 * Puts a capture back into a machine and boots the model of `receiver` on it. `decoded` is the capture as its own release
 * reads it, past damage.
 * @throws KhoError `usage` for an image without memory, or a machine without room; as the decoder does
 */
export function preflight(
  image: Image,
  decoded: Decoded,
  receiver: Receiver,
  options: PreflightOptions = {},
): Preflight {
  const { policy = allMandatory, maxTries = defaultTries, onProgress } = options;
  const captured = departureOf(image, decoded, options.ram);
  const judging: Judging = { receiver, policy, ...lackingIn(decoded) };
  const fatesWith = (other: Judging): Fates => {
    onProgress?.(`booting Linux ${other.receiver.release}`, 0, 0);
    return notByLuck(fatesOf(captured.departure, partsOf(decoded.handover), other), () =>
      fatesWithout(captured, decoded, new Set(), other),
    );
  };
  const fates = fatesWith(judging);
  const advice =
    fates.promised || maxTries === 0
      ? undefined
      : advise(captured, decoded, fates, judging, { maxTries, ...(onProgress && { onProgress }) });
  const takes = ({ release }: Kernel): boolean =>
    fatesWith({ ...judging, receiver: { release, notes: [], differences: [] } }).promised;
  return {
    ...fates,
    assumed: captured.assumed,
    notes: [...lostBefore(fates.parts), ...matchingNothing(policy, fates.parts)],
    absent: [...judging.gaps.map(({ text }) => text), ...judging.absent.values()],
    ...(advice && { advice }),
    ...(advice?.kind === "none" && { instead: kernels.filter(takes).map(({ release }) => release) }),
  };
}

/**
 * The kernel that leaves will have its structures elsewhere by the time of the kexec: what reads right of one capture
 * alone is luck.
 */
function notByLuck(fates: Fates, elsewhere: () => Fates | undefined): Fates {
  if (fates.reason || harms(fates.verdict)) return fates;
  const other = elsewhere();
  if (!other || !(harms(other.verdict) || (fates.promised && !other.promised))) return fates;
  return { ...other, detail: `${other.detail}; the capture itself reads right by luck of where things lie` };
}

/** What the formats have no room for, so that the kernel that wrote them lost it. */
function lostBefore(parts: readonly Part[]): string[] {
  const names = new Set(parts.flatMap(({ handler = "" }) => (isMemfd(handler) ? [handler] : [])));
  return [...names]
    .filter((name) => !("seals" in memfdLayouts[name].fields))
    .map(
      (name) =>
        `${name} does not carry seals: what files were sealed with is lost, whatever kernel comes next`,
    );
}

/** A slip of the pen, or state that the capture does not have. */
function matchingNothing({ patterns }: Policy, parts: readonly Part[]): string[] {
  return patterns
    .filter((pattern) => !parts.some(({ part }) => pattern.matches(part)))
    .map(({ text, need }) => `the policy calls ${text} ${need}, and there is nothing of that name`);
}

/** Structures that are not in the capture: those of single files and blobs, and those that more depends on. */
function lackingIn({ handover, findings }: Decoded): Pick<Judging, "absent" | "gaps"> {
  const single = new Set(
    partsOf(handover)
      .filter(({ kind }) => kind === "file" || kind === "subtree")
      .map(({ path }) => path),
  );
  const absent = new Map<string, string>();
  const gaps: Absent[] = [];
  for (const { code, severity, path } of findings) {
    if (code !== "memory-absent" || severity !== "error") continue;
    const text = `${path} is not in the capture`;
    const part = pathsAbove(path).find((above) => single.has(above));
    if (part === undefined) gaps.push({ path, text });
    else if (!absent.has(part)) absent.set(part, text);
  }
  return { absent, gaps };
}
