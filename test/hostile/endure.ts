import { fromBinary, toBinary as messageToBinary } from "@bufbuild/protobuf";
import { type Decoded, decodeHandover, type Finding, KhoError } from "../../src/index.js";
import { HandoverSchema, toBinary, toJson } from "../../src/interchange.js";
import { codes } from "../../src/report/codes.js";
import type { Capture } from "./captures.js";
import type { Cost } from "./memory.js";

/**
 * What one decode may read of a capture of `size` stored bytes, whatever is in it: a read for every 32 bytes that
 * could be a record with a pointer, and everything some times over, as a page can belong to several blocks that are
 * nested. The constants are for what is looked at again: heads of blobs, the release, the page size.
 */
export const allowed = (size: number): Cost => ({ reads: 500 + size / 32, bytes: 2 ** 19 + 8 * size });

/** How a damaged capture was read: `forensic` is undefined where that ended in an error. */
export interface Outcome {
  readonly forensic: Decoded | undefined;
  readonly findings: readonly Finding[];
  /** The error of either mode, if there was one. */
  readonly error: KhoError | undefined;
}

/** Roots that paths of findings begin with. */
const roots =
  /^$|^(handoff|scratch|root|compatible|preserved-memory-map|preserved|subtrees|reserve_mem|kexec_metadata|kho_test|luo)([.[]|$)/;
const longest = 1003;
const severities = new Set(["info", "warning", "error"]);

/** Throws unless a finding can be shown, sent and sorted. */
export function checkFinding(finding: Finding): void {
  const { severity, code, message, path, pa, length, expected = "", actual = "", consequence } = finding;
  const texts = [message, path, expected, actual, consequence?.detail ?? ""];
  const sane =
    severities.has(severity) &&
    Object.hasOwn(codes, code) &&
    message.length > 0 &&
    texts.every((text) => text.length <= longest) &&
    roots.test(path) &&
    !/undefined|NaN|\[object|Infinity/.test(`${message} ${expected} ${actual}`) &&
    pa >= 0n &&
    pa < 1n << 64n &&
    length >= 0 &&
    Number.isFinite(length);
  if (!sane) throw new Error(`a finding that makes no sense: ${describe(finding)}`);
}

const describe = (value: unknown): string =>
  JSON.stringify(value, (_, member: unknown) => (typeof member === "bigint" ? `${member}n` : member)).slice(
    0,
    1000,
  );

/** Throws unless the interchange forms are whole: JSON parses, and the binary form comes back as the same bytes. */
export function checkInterchange(decoded: Decoded): void {
  JSON.parse(toJson(decoded));
  const bytes = toBinary(decoded);
  if (Buffer.compare(messageToBinary(HandoverSchema, fromBinary(HandoverSchema, bytes)), bytes) !== 0)
    throw new Error("the binary form does not come back as it was");
}

/** Decodes in both modes; throws for anything but a result or a KhoError, for a bad finding, and for too much work. */
export function endure({ image, memory, options }: Capture, about: string, interchange = true): Outcome {
  let error: KhoError | undefined;
  const read = (mode: "forensic" | "strict"): Decoded | undefined => {
    memory.spent();
    let decoded: Decoded | undefined;
    try {
      decoded = decodeHandover(image, { ...options, mode });
    } catch (thrown) {
      if (!(thrown instanceof KhoError)) throw new Error(`${about}, ${mode}: ${thrown}`, { cause: thrown });
      if (!Object.hasOwn(codes, thrown.code) || thrown.message === "")
        throw new Error(`${about}, ${mode}: an error that makes no sense`, { cause: thrown });
      error = thrown;
    }
    const spent = memory.spent();
    const { reads, bytes } = allowed(memory.size);
    if (spent.reads > reads || spent.bytes > bytes)
      throw new Error(
        `${about}, ${mode}: ${spent.reads} reads of ${spent.bytes} bytes, allowed are ${reads} of ${bytes}`,
      );
    return decoded;
  };
  read("strict");
  const forensic = read("forensic");
  try {
    forensic?.findings.forEach(checkFinding);
    if (forensic && interchange) checkInterchange(forensic);
  } catch (thrown) {
    throw new Error(`${about}: ${thrown}`, { cause: thrown });
  }
  return { forensic, findings: forensic?.findings ?? [], error };
}

/** True if a reader of the result can tell that it is not the undamaged one. */
export function isNoticed(outcome: Outcome, undamaged: Decoded): boolean {
  if (outcome.error || !outcome.forensic || outcome.findings.length > 0) return true;
  return toJson(outcome.forensic) !== toJson(undamaged);
}
