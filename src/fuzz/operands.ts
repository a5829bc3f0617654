/** Turns operands of comparisons into inputs: where one operand is in the input, the other may decide there. */
import type { Comparison, Operand } from "./instrumentation.js";

/** Bytes to write at a place. */
export interface Trial {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Places of one operand that are tried. */
const maxPlaces = 8;
const maxTrials = 2048;
const maxTextLength = 128;

/** What to try on an input whose execution made these comparisons, the rarest operands first; no two are the same. */
export function trialsOf(data: Uint8Array, comparisons: readonly Comparison[]): Trial[] {
  const trials = new Map<string, Trial>();
  const seen = new Set<string>();
  const found: { readonly places: readonly number[]; readonly bytes: Uint8Array }[] = [];
  for (const { left, right } of comparisons)
    for (const [is, other] of [
      [left, right],
      [right, left],
    ] as const) {
      const key = `${typeof is} ${is} ${other}`;
      if (seen.has(key)) continue;
      seen.add(key);
      for (const [from, to] of rewritings(is, other)) {
        const places = placesOf(data, from);
        if (places.length > 0) found.push({ places, bytes: to });
      }
    }
  found.sort((a, b) => a.places.length - b.places.length);
  for (const { places, bytes } of found)
    for (const at of places) {
      if (trials.size >= maxTrials) return [...trials.values()];
      if (at + bytes.length <= data.length) trials.set(`${at} ${bytes}`, { at, bytes });
    }
  return [...trials.values()];
}

/** Operands as bytes, for the dictionary: those that are no small numbers. */
export function tokensOf(comparisons: readonly Comparison[]): Uint8Array[] {
  const tokens = new Map<string, Uint8Array>();
  for (const { left, right } of comparisons)
    for (const operand of [left, right])
      for (const bytes of encodings(operand)) if (bytes.length > 1) tokens.set(`${bytes}`, bytes);
  return [...tokens.values()];
}

export const applied = (data: Uint8Array, { at, bytes }: Trial): Uint8Array => {
  const result = data.slice();
  result.set(bytes, at);
  return result;
};

/** Ways to write one operand where the other is, and next to it: `<` and `>` want one more or less. */
function* rewritings(is: Operand, other: Operand): Generator<readonly [Uint8Array, Uint8Array]> {
  if (typeof is === "string") {
    if (typeof other !== "string" || is === "") return;
    const [from] = encodings(is);
    const [to] = encodings(other);
    // In place, with the NUL that ends a name.
    if (from && to) yield [from, to.length < from.length ? padded(to, from.length) : to];
    if (from && to && to.length >= from.length) yield [from, padded(to, to.length + 1)];
    return;
  }
  if (typeof other === "string") return;
  const target = typeof other === "bigint" ? other : BigInt(Number.isInteger(other) ? other : 0);
  for (const from of encodings(is))
    for (const near of [target, target + 1n, target - 1n])
      yield [from, wordOf(near, from.length, isBig(from, is))];
}

const padded = (bytes: Uint8Array, length: number): Uint8Array => {
  const result = new Uint8Array(length);
  result.set(bytes);
  return result;
};

/** How an operand can stand in an input. A number stands in every width that holds it, low byte first and last. */
function encodings(operand: Operand): Uint8Array[] {
  if (typeof operand === "string")
    return operand === "" || operand.length > maxTextLength ? [] : [new TextEncoder().encode(operand)];
  if (typeof operand === "number" && !Number.isSafeInteger(operand)) return [];
  const value = BigInt(operand);
  const result: Uint8Array[] = [];
  for (const width of [1, 2, 4, 8]) {
    const bits = 8 * width;
    if (value !== BigInt.asUintN(bits, value) && value !== BigInt.asIntN(bits, value)) continue;
    // Two bytes of a small number are mostly half of a wider one.
    if (width === 2 && value >= 0n && value < 256n) continue;
    result.push(wordOf(value, width, false));
    if (width > 1) result.push(wordOf(value, width, true));
  }
  return result;
}

function wordOf(value: bigint, width: number, big: boolean): Uint8Array {
  const bytes = new Uint8Array(width);
  let rest = BigInt.asUintN(8 * width, value);
  for (let i = 0; i < width; i++) {
    bytes[big ? width - 1 - i : i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** True if these bytes are the value with its high byte first, and not the same either way. */
const isBig = (bytes: Uint8Array, value: number | bigint): boolean =>
  bytes.length > 1 && wordOf(BigInt(value), bytes.length, false).some((byte, i) => byte !== bytes[i]);

/** Up to so many places of some bytes, spread over those that there are; none where they are everywhere. */
function placesOf(data: Uint8Array, bytes: Uint8Array): number[] {
  const places: number[] = [];
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.length);
  for (let at = buffer.indexOf(bytes); at >= 0; at = buffer.indexOf(bytes, at + 1)) {
    if (places.length >= maxPlaces) return bytes.length > 2 ? places : [];
    places.push(at);
  }
  return places;
}
