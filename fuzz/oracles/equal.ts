/** Where two values differ. */

/** The path of the first difference, with both values; undefined if there is none. Typed arrays are compared by value. */
export function differenceOf(a: unknown, b: unknown, path = ""): string | undefined {
  if (Object.is(a, b)) return undefined;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null)
    return `${path}: ${shown(a)} and ${shown(b)}`;
  if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) {
    const [some, others] = [a as Uint8Array, b as Uint8Array];
    if (some.length !== others.length) return `${path}: ${some.length} and ${others.length} elements`;
    const at = some.findIndex((value, i) => value !== others[i]);
    return at < 0 ? undefined : `${path}[${at}]: ${shown(some[at])} and ${shown(others[at])}`;
  }
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  for (const key of keys) {
    const found = differenceOf(
      (a as Record<string, unknown>)[key],
      (b as Record<string, unknown>)[key],
      Array.isArray(a) ? `${path}[${key}]` : `${path}.${key}`,
    );
    if (found !== undefined) return found;
  }
  return undefined;
}

function shown(value: unknown): string {
  if (typeof value === "bigint") return `0x${BigInt.asUintN(64, value).toString(16)}`;
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "an object";
  return String(value).slice(0, 80);
}

/** Index of the first byte that differs, -1 if none does. */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return a.length === b.length ? -1 : length;
}
