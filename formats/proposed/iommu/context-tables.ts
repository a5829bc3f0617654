import { CONTEXT_TABLES } from "./layout.js";
import { valueRange } from "./value-range.js";

/**
 * A context table of a VT-d unit: that of a bus, 0 to 255. In scalable mode it is the lower one, for devices below 16
 * (`devfn` below 0x80), and there can be an upper one.
 */
export interface ContextTable {
  readonly bus: number;
  readonly half: "lower" | "upper";
}

/** The context table that the entry of a device is in; `devid` is its bus in bits 8 to 15, device and function below. */
export const contextTableOf = (devid: number): ContextTable => ({
  bus: (devid >>> 8) & 0xff,
  half: devid & 0x80 ? "upper" : "lower",
});

/** The tables whose bits are set in `context_tables_bitmap`, by bus, lower before upper. */
export function contextTables(bitmap: BigUint64Array): ContextTable[] {
  const tables: ContextTable[] = [];
  for (let bit = 0; bit < CONTEXT_TABLES; bit++)
    if (((bitmap[bit >>> 6] ?? 0n) >> BigInt(bit & 63)) & 1n)
      tables.push({ bus: bit >>> 1, half: bit & 1 ? "upper" : "lower" });
  return tables;
}

/** The bitmap of these tables. @throws KhoError `value-range` for another bus than 0 to 255 */
export function contextTablesBitmap(tables: readonly ContextTable[]): BigUint64Array {
  const bitmap = new BigUint64Array(CONTEXT_TABLES / 64);
  for (const { bus, half } of tables) {
    if (!(Number.isInteger(bus) && bus >= 0 && bus < CONTEXT_TABLES / 2))
      throw valueRange("bus", `0 to ${CONTEXT_TABLES / 2 - 1}`, String(bus));
    const bit = bus * 2 + (half === "upper" ? 1 : 0);
    bitmap[bit >>> 6]! |= 1n << BigInt(bit & 63);
  }
  return bitmap;
}
