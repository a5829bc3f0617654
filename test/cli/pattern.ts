/** One file of a fixture's truth.json. */
export interface TrueFile {
  readonly token: string;
  readonly size: number;
  readonly ranges: readonly {
    readonly kind: string;
    readonly index: number;
    readonly count: number;
    readonly words: number;
  }[];
}

const mask = (1n << 64n) - 1n;

/** The content that the test machine wrote, as the field `pattern` of truth.json describes it. */
export function contentOf(file: TrueFile, pageSize: number): Buffer {
  const bytes = Buffer.alloc(file.size);
  const seed = BigInt(file.token) * 0x9e3779b97f4a7c15n + 0x2545f4914f6cdd1dn;
  const word = Buffer.alloc(8);
  for (const { kind, index, count, words } of file.ranges) {
    if (kind !== "w") continue;
    for (let page = index; page < index + count; page++)
      for (let w = 0; w < words; w++) {
        const at = page * pageSize + w * 8;
        if (at >= file.size) break;
        word.writeBigUInt64LE(
          mix((seed + BigInt(page) * 0xc2b2ae3d27d4eb4fn + BigInt(w) * 0x165667b19e3779f9n) & mask),
        );
        word.copy(bytes, at, 0, Math.min(8, file.size - at));
      }
  }
  return bytes;
}

/** The finaliser of splitmix64. */
function mix(z: bigint): bigint {
  let value = z;
  value ^= value >> 30n;
  value = (value * 0xbf58476d1ce4e5b9n) & mask;
  value ^= value >> 27n;
  value = (value * 0x94d049bb133111ebn) & mask;
  return value ^ (value >> 31n);
}
