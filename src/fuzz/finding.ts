/** What can be wrong with an execution, with what each means. The set is closed: reports and planted bugs name them. */
export const oracles = {
  hang: "it takes more steps than any input of its size may, or does not end",
  "over-read": "it reads more of the memory, or more often, than what is in it can be worth",
  "untyped-error": "it throws something that is no KhoError, or one that makes no sense",
  memory: "it allocates more than an input of its size may ask for, or runs out of memory",
  roundtrip: "what was decoded and written again is not what it was decoded from",
  "strict-pair": "two releases that read the same format do not read the same",
  superset: "the forensic reader lacks what the strict reader found",
  machine: "the simulated kernel and the decoder do not agree",
  invariant: "what came out contradicts itself or the input",
} as const;

/** One of the closed set of {@link oracles}. */
export type Oracle = keyof typeof oracles;

/** How a target, or the instrumentation below it, says that an execution is wrong. Never thrown by the library. */
export class OracleFailure extends Error {
  override readonly name = "OracleFailure";

  constructor(
    readonly oracle: Oracle,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * Ends an execution as a finding.
 * @param message what was seen; of two messages that differ in their digits alone one is reported
 * @param cause the error underneath, whose place is then the place of the finding
 */
export function fail(oracle: Oracle, message: string, cause?: unknown): never {
  throw new OracleFailure(oracle, message, cause === undefined ? undefined : { cause });
}

/** True for an {@link OracleFailure}, also for one of another copy of this module: every bundle has its own. */
export const isOracleFailure = (error: unknown): error is OracleFailure =>
  error instanceof Error && error.name === "OracleFailure" && "oracle" in error;
