/** Marsaglia's xorshift of 32 bits: the same numbers in every run. The seed is not 0. */
export function xorshift(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
