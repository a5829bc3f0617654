import { expect } from "vitest";
import { physAddr } from "../../src/memory/address.js";
import type { Memory } from "../../src/memory/memory.js";
import type { Code } from "../../src/report/codes.js";
import { isKhoError, type KhoError } from "../../src/report/error.js";
import type { Finding } from "../../src/report/finding.js";

/** The KhoError that `run` throws, of the code given. */
export function thrown(run: () => unknown, code: Code): KhoError {
  try {
    run();
  } catch (error) {
    if (!isKhoError(error)) throw error;
    expect(error.code).toBe(code);
    return error;
  }
  throw new Error(`nothing was thrown, expected ${code}`);
}

/** The KhoError that a promise is rejected with, of the code given. */
export async function rejected(promise: Promise<unknown>, code: Code): Promise<KhoError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isKhoError(error)) throw error ?? new Error(`nothing was thrown, expected ${code}`);
  expect(error.code).toBe(code);
  return error;
}

/** Runs something on damaged input: it gives a result or a KhoError, never anything else. */
export function tame<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (!isKhoError(error)) throw error;
    return undefined;
  }
}

export const codesOf = (findings: readonly Finding[]): Code[] => findings.map(({ code }) => code);

/** Bytes by address as plain numbers, which compare well. */
export const bytesAt = (memory: Memory, pa: bigint, length: number): number[] => [
  ...memory.read(physAddr(pa), length),
];
