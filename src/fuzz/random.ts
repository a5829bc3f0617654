/** Numbers that look random and follow from a seed: what a run of the fuzzer does can be done again. */
export interface Random {
  /** An integer of 0 to n - 1. Precondition: n is an integer, 1 <= n <= 2^32. */
  below(n: number): number;
  /** 32 bits, as an unsigned integer. */
  u32(): number;
  u64(): bigint;
  /** One of these. Precondition: there is one. */
  pick<T>(of: readonly T[]): T;
  /** True once in so many times. Precondition as for {@link below}. */
  chance(oneIn: number): boolean;
}

/** The generator of a seed, of which the low 64 bits count: xoshiro128**, its state filled by splitmix64. */
export function newRandom(seed: number | bigint): Random {
  const fill = splitmix64(BigInt(seed));
  const [low, high] = [fill(), fill()];
  let a = Number(low & 0xffff_ffffn) | 0;
  let b = Number(low >> 32n) | 0;
  let c = Number(high & 0xffff_ffffn) | 0;
  // A state of zeros alone would give zeros alone.
  let d = Number(high >> 32n) | 1;
  const u32 = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotate(d, 11);
    return result;
  };
  // The product of two integers below 2^32 has up to 64 bits; its rounding to 53 moves a result by less than 2^-20.
  const below = (n: number): number => Math.min(n - 1, Math.floor((u32() * n) / 2 ** 32));
  return {
    below,
    u32,
    u64: () => (BigInt(u32()) << 32n) | BigInt(u32()),
    pick: (of) => of[below(of.length)]!,
    chance: (oneIn) => below(oneIn) === 0,
  };
}

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

function splitmix64(seed: bigint): () => bigint {
  let state = BigInt.asUintN(64, seed);
  return () => {
    state = BigInt.asUintN(64, state + 0x9e37_79b9_7f4a_7c15n);
    let z = state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn);
    return z ^ (z >> 31n);
  };
}
