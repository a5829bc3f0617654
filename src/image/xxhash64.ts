/**
 * XXH64 with seed 0, of which a zstd frame ends in the low 32 bits. A u64 is two u32 halves here: bigints in
 * this loop would take longer than the decompression that it checks.
 * @see https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 */
export interface Xxhash64 {
  /** Adds bytes, in pieces of any length. */
  update(bytes: Uint8Array): void;
  /** The low 32 bits of the hash of everything added, unsigned. */
  low32(): number;
}

/** The spec's five primes as high and low halves. */
const p1 = [0x9e3779b1, 0x85ebca87] as const;
const p2 = [0xc2b2ae3d, 0x27d4eb4f] as const;
const p3 = [0x165667b1, 0x9e3779f9] as const;
const p4 = [0x85ebca77, 0xc2b2ae63] as const;
const p5 = [0x27d4eb2f, 0x165667c5] as const;

type U64 = readonly [high: number, low: number];

/** The result of the arithmetic below, in place of a pair that would have to be allocated. */
let high = 0;
let low = 0;

/** (h:l) * prime modulo 2^64. Partial products of 16 bits stay below 2^53. */
function multiply(h: number, l: number, [ph, pl]: U64): void {
  const l0 = l & 0xffff;
  const l1 = l >>> 16;
  const m0 = pl & 0xffff;
  const m1 = pl >>> 16;
  const middle = l1 * m0 + ((l0 * m0) >>> 16);
  const middle2 = l0 * m1 + (middle & 0xffff);
  // Sums stay below 2^33, so the carries are taken by division, not by a shift of 32 bits.
  const carry = l1 * m1 + Math.floor(middle / 0x10000) + Math.floor(middle2 / 0x10000);
  high = (Math.imul(h, pl) + Math.imul(l, ph) + (carry | 0)) >>> 0;
  low = Math.imul(l, pl) >>> 0;
}

function add(h: number, l: number, h2: number, l2: number): void {
  const sum = l + l2;
  low = sum >>> 0;
  high = (h + h2 + (sum > 0xffffffff ? 1 : 0)) >>> 0;
}

/** Rotates left by 1 to 31 bits. */
function rotate(h: number, l: number, by: number): void {
  high = ((h << by) | (l >>> (32 - by))) >>> 0;
  low = ((l << by) | (h >>> (32 - by))) >>> 0;
}

/** The spec's accumulator round. */
function round(h: number, l: number, laneHigh: number, laneLow: number): void {
  multiply(laneHigh, laneLow, p2);
  add(h, l, high, low);
  rotate(high, low, 31);
  multiply(high, low, p1);
}

/** XXH64, fed piece by piece. */
export function xxhash64(): Xxhash64 {
  /** Four accumulators: high and low of each. */
  const lanes = new Uint32Array(8);
  add(...p1, ...p2);
  lanes.set([high, low, ...p2, 0, 0], 0);
  // Minus the first prime.
  add(~p1[0] >>> 0, ~p1[1] >>> 0, 0, 1);
  lanes.set([high, low], 6);
  const rest = new Uint8Array(32);
  let kept = 0;
  let total = 0;

  const stripes = (bytes: Uint8Array, count: number): void => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0, at = 0; i < count; i++)
      for (let lane = 0; lane < 8; lane += 2, at += 8) {
        round(lanes[lane]!, lanes[lane + 1]!, view.getUint32(at + 4, true), view.getUint32(at, true));
        lanes[lane] = high;
        lanes[lane + 1] = low;
      }
  };

  const mergeLanes = (): void => {
    let h = 0;
    let l = 0;
    for (const [i, by] of [1, 7, 12, 18].entries()) {
      rotate(lanes[2 * i]!, lanes[2 * i + 1]!, by);
      add(h, l, high, low);
      [h, l] = [high, low];
    }
    for (let lane = 0; lane < 8; lane += 2) {
      round(0, 0, lanes[lane]!, lanes[lane + 1]!);
      multiply((h ^ high) >>> 0, (l ^ low) >>> 0, p1);
      add(high, low, ...p4);
      [h, l] = [high, low];
    }
  };

  return {
    update: (bytes) => {
      total += bytes.length;
      let at = 0;
      if (kept > 0) {
        at = Math.min(32 - kept, bytes.length);
        rest.set(bytes.subarray(0, at), kept);
        kept += at;
        if (kept < 32) return;
        stripes(rest, 1);
      }
      const count = Math.floor((bytes.length - at) / 32);
      stripes(bytes.subarray(at), count);
      const tail = bytes.subarray(at + count * 32);
      rest.set(tail);
      kept = tail.length;
    },
    low32: () => {
      if (total >= 32) mergeLanes();
      else [high, low] = p5;
      add(high, low, Math.floor(total / 2 ** 32), total >>> 0);
      let [h, l] = [high, low];
      const view = new DataView(rest.buffer);
      let at = 0;
      for (; at + 8 <= kept; at += 8) {
        round(0, 0, view.getUint32(at + 4, true), view.getUint32(at, true));
        rotate((h ^ high) >>> 0, (l ^ low) >>> 0, 27);
        multiply(high, low, p1);
        add(high, low, ...p4);
        [h, l] = [high, low];
      }
      if (at + 4 <= kept) {
        multiply(0, view.getUint32(at, true), p1);
        rotate((h ^ high) >>> 0, (l ^ low) >>> 0, 23);
        multiply(high, low, p2);
        add(high, low, ...p3);
        [h, l] = [high, low];
        at += 4;
      }
      for (; at < kept; at++) {
        multiply(0, rest[at]!, p5);
        rotate((h ^ high) >>> 0, (l ^ low) >>> 0, 11);
        multiply(high, low, p1);
        [h, l] = [high, low];
      }
      avalanche(h, l);
      return low;
    },
  };
}

/** h ^= h >> 33; h *= p2; h ^= h >> 29; h *= p3; h ^= h >> 32. */
function avalanche(h: number, l: number): void {
  multiply(h, (l ^ (h >>> 1)) >>> 0, p2);
  multiply((high ^ (high >>> 29)) >>> 0, (low ^ ((low >>> 29) | (high << 3))) >>> 0, p3);
  low = (low ^ high) >>> 0;
}
