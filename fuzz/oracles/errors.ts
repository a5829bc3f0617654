/** Errors are data: whatever the input, nothing but a KhoError comes out, and one that this call can raise. */
import { fail, isOracleFailure } from "../../src/fuzz/finding.js";
import { type Code, codes } from "../../src/report/codes.js";
import { isKhoError, type KhoError } from "../../src/report/error.js";

/** How a call ended. */
export type Outcome<T> =
  | { readonly value: T; readonly error?: undefined }
  | { readonly value?: undefined; readonly error: KhoError };

/** What only a caller can do wrong: an input has no part in it. */
const ofCallers: ReadonlySet<Code> = new Set([
  "usage",
  "layout-malformed",
  "machine-misuse",
  "unknown-release",
]);

/** What only writing raises. */
const ofWriters: ReadonlySet<Code> = new Set(["value-range", "fdt-no-space", "fdt-exists", "fdt-missing"]);

/** Runs code on an input. Fails for anything but a result or an error that makes sense. */
export function guarded<T>(what: string, call: () => T): Outcome<T> {
  try {
    return { value: call() };
  } catch (error) {
    if (isOracleFailure(error)) throw error;
    if (!isKhoError(error)) fail("untyped-error", `${what}: ${String(error)}`, error);
    if (!Object.hasOwn(codes, error.code) || error.message === "" || ofCallers.has(error.code))
      fail("untyped-error", `${what}: ${error.code}, ${error.message}`, error);
    return { error };
  }
}

/** Runs code that reads. What it asks for beyond the end of its bytes it has not checked. */
export function reading<T>(what: string, call: () => T): Outcome<T> {
  const outcome = guarded(what, call);
  const { error } = outcome;
  if (error?.code === "bytes-short") fail("over-read", `${what}: ${error.message}`, error);
  if (error && ofWriters.has(error.code))
    fail("untyped-error", `${what}: ${error.code}, ${error.message}`, error);
  return outcome;
}

/** Runs code of a test that throws plain errors; these are findings then. */
export function asserted(call: () => void): void {
  try {
    call();
  } catch (error) {
    if (isOracleFailure(error)) throw error;
    fail("invariant", (error as Error).message, error);
  }
}
