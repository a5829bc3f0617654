/** Reads an input as a recipe: numbers one after the other, zeros once it is used up. */
export interface Cursor {
  /** 0 to 255. */
  u8(): number;
  u16(): number;
  u32(): number;
  u64(): bigint;
  /** 0 to `n - 1`, from one byte. `n` is 1 to 256. */
  below(n: number): number;
  pick<T>(of: readonly T[]): T;
  readonly left: number;
}

export function cursorOf(data: Uint8Array): Cursor {
  let at = 0;
  const u8 = (): number => data[at++] ?? 0;
  const u16 = (): number => u8() | (u8() << 8);
  const u32 = (): number => (u16() | (u16() << 16)) >>> 0;
  return {
    u8,
    u16,
    u32,
    u64: () => BigInt(u32()) | (BigInt(u32()) << 32n),
    below: (n) => u8() % n,
    pick: (of) => of[u8() % of.length]!,
    get left() {
      return Math.max(0, data.length - at);
    },
  };
}
