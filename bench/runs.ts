import { newRuns, type Runs } from "../formats/kho/runs.js";
import { xorshift } from "./random.js";

/**
 * Preserved memory of a host of 64 GiB: most of it single pages as a buddy allocator leaves them, in runs of 32 with
 * gaps between, a quarter in huge pages.
 */
export function hostRuns(): Runs {
  const runs = newRuns();
  const random = xorshift(5);
  const pages = 12 << 20;
  for (let pfn = 1 << 20; pfn < pages; ) {
    const count = 1 + (random() % 63);
    runs.push(0, pfn, count);
    pfn += count + 1 + (random() % 63);
  }
  for (let block = pages >> 9; block < (16 << 20) >> 9; ) {
    const count = 1 + (random() % 7);
    runs.push(9, block * 512, count);
    block += count + 1 + (random() % 7);
  }
  return runs.finish();
}

/** The file that C programs read runs from. */
export const runsFile = ({ length, order, pfn, count }: Runs): Uint8Array =>
  wordsFile([order, pfn, count], length);

/** Rows of some columns as 64-bit words in little-endian order. Values are integers from 0 to 2^53. */
export function wordsFile(columns: readonly ArrayLike<number>[], length = columns[0]!.length): Uint8Array {
  const words = new BigUint64Array(length * columns.length);
  for (const [c, column] of columns.entries())
    for (let i = 0; i < length; i++) words[i * columns.length + c] = BigInt(column[i]!);
  return new Uint8Array(words.buffer);
}

/** Depends on the order of the runs; looks at one of 16. */
export function sumOfRuns({ length, order, pfn, count }: Runs): number {
  let sum = length;
  for (let i = 0; i < length; i += 16)
    sum = (sum * 31 + ((pfn[i]! + count[i]! * 64 + order[i]!) % 2 ** 32)) % 2 ** 32;
  return sum;
}
