/**
 * What instrumented code calls. The build puts these calls into the library, see fuzz/build; nothing else imports this
 * but the engine, which reads what they left.
 * @module
 */
import { OracleFailure } from "./finding.js";

/** Edges that a build may have. */
export const maxEdges = 2 ** 16;

/** How often each edge was taken, modulo 256. */
export const counters = new Uint8Array(maxEdges);

/** Steps that are left, and whether comparisons are recorded: read by instrumented code at every step. */
export const state = Int32Array.of(2 ** 31 - 1, 0);

/** Two values that were compared. */
export type Operand = number | bigint | string;
export interface Comparison {
  readonly edge: number;
  readonly left: Operand;
  readonly right: Operand;
}

/** Comparisons that are kept of one execution. */
const maxComparisons = 2 ** 12;
/** Those of one place: a loop that looks for something says little that is new after these. */
const maxOfPlace = 16;

let bytesLeft = Number.MAX_SAFE_INTEGER;
let exceeded: OracleFailure | undefined;
let comparisons: Comparison[] = [];
const ofPlace = new Map<number, number>();

/** Preconditions: `steps` below 2^31, `bytes` below 2^53. */
export function begin(limits: { readonly steps: number; readonly bytes: number }, recording: boolean): void {
  counters.fill(0);
  state[0] = Math.min(limits.steps, 2 ** 31 - 1);
  state[1] = recording ? 1 : 0;
  bytesLeft = limits.bytes;
  exceeded = undefined;
  comparisons = [];
  ofPlace.clear();
}

/** What the execution since {@link begin} took. `exceeded` is set even where the library caught what was thrown for it. */
export function end(): {
  readonly stepsLeft: number;
  readonly exceeded: OracleFailure | undefined;
  readonly comparisons: readonly Comparison[];
} {
  const result = { stepsLeft: Math.max(0, state[0]!), exceeded, comparisons };
  // What the engine itself runs, such as a mutator that calls the library, is not limited.
  state[0] = 2 ** 31 - 1;
  state[1] = 0;
  bytesLeft = Number.MAX_SAFE_INTEGER;
  return result;
}

/** No steps are left. Thrown again at every further step, so that a `catch` in the library does not go on. */
export function spent(): never {
  state[0] = -1;
  exceeded ??= new OracleFailure("hang", "takes more steps than an input of this size may");
  throw exceeded;
}

export function compared(edge: number, left: unknown, right: unknown): void {
  if (comparisons.length >= maxComparisons || typeof left !== typeof right || left === right) return;
  if (typeof left !== "number" && typeof left !== "bigint" && typeof left !== "string") return;
  const count = ofPlace.get(edge) ?? 0;
  if (count >= maxOfPlace) return;
  ofPlace.set(edge, count + 1);
  comparisons.push({ edge, left, right: right as Operand });
}

export function switched(edge: number, value: unknown, cases: readonly unknown[]): void {
  for (const other of cases) compared(edge, value, other);
}

/** For the one argument of a constructor of arrays: a length, or what to copy. */
export function allocating<T>(unit: number, argument: T): T {
  if (typeof argument === "number") take(argument * unit);
  else if (typeof argument === "object" && argument !== null && "length" in argument)
    take(Number(argument.length) * unit);
  return argument;
}

/** For the result of a method that copies. */
export function allocated<T>(result: T): T {
  if (typeof result === "string") take(result.length);
  else if (ArrayBuffer.isView(result)) take(result.byteLength);
  else if (Array.isArray(result)) take(8 * result.length);
  return result;
}

function take(bytes: number): void {
  // What is no length is refused by the constructor.
  if (!(bytes > 0)) return;
  bytesLeft -= bytes;
  if (bytesLeft >= 0) return;
  exceeded ??= new OracleFailure("memory", "allocates more than an input of this size may ask for");
  throw exceeded;
}
