import type { Preflight } from "../../compat/preflight/preflight.js";
import { adviceText } from "./preflight-advice.js";
import type { Shown } from "./preflight-shown.js";

/** What `kho preflight --json` prints. */
export function preflightJson({ decoded, receiver, kernel, result }: Shown): unknown {
  const { release, releaseGuessed: guessed, releaseEvidence: evidence } = decoded.handover;
  const { verdict, promised, detail, reason, parts, assumed, notes, absent, advice, instead } = result;
  return {
    from: { release, guessed, evidence },
    to: {
      kernel,
      release: receiver.release,
      notes: receiver.notes,
      differences: receiver.differences.map(({ text }) => text),
    },
    verdict,
    promised,
    detail,
    ...(reason && { reason: reasonJson(reason) }),
    parts: parts.map(({ part, kind, verdict: own, need, detail: why, bytes, token }) => ({
      part,
      kind,
      verdict: own,
      need,
      detail: why,
      bytes,
      token,
    })),
    assumed,
    notes,
    absent,
    ...(advice && {
      advice: {
        kind: advice.kind,
        drop: advice.drop.map((candidate) => ({
          part: candidate.part,
          kind: candidate.kind,
          do: adviceText(candidate, release),
          token: candidate.token,
        })),
        minimal: advice.minimal,
        tries: advice.tries,
        rest: advice.rest?.verdict,
        instead,
      },
    }),
  };
}

function reasonJson({
  code,
  path,
  message,
  expected,
  actual,
  consequence,
}: NonNullable<Preflight["reason"]>) {
  const { errno, phase } = consequence ?? {};
  return { code, path, message, expected, actual, errno, phase };
}
