/**
 * The indices of `keys` in ascending order of the keys, equal ones in their own. Keys are numbers from 0 on. Those that
 * ascend already cost one look; integers that leave room for an index beside them, as page frames of any machine do, are
 * sorted as numbers, and only others by comparing.
 */
export function rankOf(keys: Float64Array): Uint32Array {
  const { length } = keys;
  const rank = new Uint32Array(length);
  for (let i = 0; i < length; i++) rank[i] = i;
  let ascending = true;
  let integers = true;
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  for (let i = 0; i < length; i++) {
    const key = keys[i]!;
    if (i > 0 && keys[i - 1]! > key) ascending = false;
    if (key !== Math.floor(key)) integers = false;
    if (key < least) least = key;
    if (key > most) most = key;
  }
  if (ascending) return rank;
  const room = 2 ** Math.ceil(Math.log2(length));
  // Below 2^53, where key and index together are exact.
  if (!integers || !((most - least + 1) * room <= 2 ** 53))
    return rank.sort((a, b) => keys[a]! - keys[b]! || a - b);
  const both = new Float64Array(length);
  for (let i = 0; i < length; i++) both[i] = (keys[i]! - least) * room + i;
  both.sort();
  for (let i = 0; i < length; i++) rank[i] = both[i]! - Math.floor(both[i]! / room) * room;
  return rank;
}
