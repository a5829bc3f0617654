/**
 * Page contents that say where they belong: each word is a hash of the file's token, the page's index and the word's
 * place, so that a page that went astray is told from the right one. The captures under fixtures/ are filled with it.
 */

const mask = (1n << 64n) - 1n;
const perToken = 0x9e3779b97f4a7c15n;
const perPage = 0xc2b2ae3d27d4eb4fn;
const perWord = 0x165667b19e3779f9n;
const offset = 0x2545f4914f6cdd1dn;

/** Factors of the finaliser of SplitMix64, in halves. */
const [high1, low1] = [0xbf58476d, 0x1ce4e5b9];
const [high2, low2] = [0x94d049bb, 0x133111eb];
const perWordHigh = Number(perWord >> 32n);
const perWordLow = Number(perWord & 0xffffffffn);

/**
 * The first `length` bytes of page `page` of the file with `token`: u64 words, low byte first whatever the CPU, the
 * last of them cut. `page` is below 2^53.
 */
export function patternBytes(token: bigint, page: number, length: number): Uint8Array {
  const words = Math.ceil(length / 8);
  const view = new DataView(new ArrayBuffer(words * 8));
  const seed = (token * perToken + BigInt(page) * perPage + offset) & mask;
  let high = Number(seed >> 32n);
  let low = Number(seed & 0xffffffffn);
  for (let word = 0; word < words; word++) {
    // Every step keeps both halves as u32. z ^= z >> 30; z *= factor1; z ^= z >> 27; z *= factor2; z ^= z >> 31
    let zl = (low ^ ((low >>> 30) | (high << 2))) >>> 0;
    let zh = (high ^ (high >>> 30)) >>> 0;
    zh = (highOfProduct(zl, low1) + Math.imul(zh, low1) + Math.imul(zl, high1)) >>> 0;
    zl = Math.imul(zl, low1) >>> 0;
    zl = (zl ^ ((zl >>> 27) | (zh << 5))) >>> 0;
    zh = (zh ^ (zh >>> 27)) >>> 0;
    zh = (highOfProduct(zl, low2) + Math.imul(zh, low2) + Math.imul(zl, high2)) >>> 0;
    zl = Math.imul(zl, low2) >>> 0;
    view.setUint32(word * 8, zl ^ ((zl >>> 31) | (zh << 1)), true);
    view.setUint32(word * 8 + 4, zh ^ (zh >>> 31), true);
    const sum = low + perWordLow;
    high = (high + perWordHigh + (sum >= 2 ** 32 ? 1 : 0)) >>> 0;
    low = sum >>> 0;
  }
  return new Uint8Array(view.buffer, 0, length);
}

/** The upper half of the product of two u32. In pieces of 16 bits nothing exceeds 32 bits on the way. */
function highOfProduct(a: number, b: number): number {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const carry = (Math.imul(aLow, bLow) >>> 16) + (Math.imul(aHigh, bLow) >>> 0);
  const middle = (carry & 0xffff) + (Math.imul(aLow, bHigh) >>> 0);
  return (Math.imul(aHigh, bHigh) >>> 0) + Math.floor(carry / 65536) + Math.floor(middle / 65536);
}
