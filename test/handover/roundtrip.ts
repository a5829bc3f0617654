/** Compares a handover that was decoded and encoded again with the memory that it came from. */

import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";
import { khoTestFoliosPath } from "../../formats/paths.js";
import type { Claim } from "../../src/common.js";
import type { Encoded } from "../../src/handover/encode.js";
import type { Image } from "../../src/image/image.js";
import { type Memory, physAddr, sparseMemory } from "../../src/memory/index.js";

/** Pages of structures: the test module's folios are contents. */
export const structuresOf = (claims: readonly Claim[]): Claim[] =>
  claims.filter(({ path }) => path !== khoTestFoliosPath);

/** Bytes of each kind that are left undefined; fails unless every byte of every structure is either written or left, once. */
export function accountOf(
  encoded: Encoded,
  claims: readonly Claim[],
  pageSize: number,
): Record<string, number> {
  const parts = [
    ...encoded.written.map(({ pa, size }) => ({ start: pa as bigint, end: pa + size })),
    ...encoded.undefined.map(({ pa, length }) => ({ start: pa as bigint, end: pa + BigInt(length) })),
  ].sort((a, b) => (a.start < b.start ? -1 : 1));
  for (const [i, { start }] of parts.entries()) {
    // Whole pages, without a gap and without a byte that is both.
    const before = parts[i - 1]?.end ?? 0n;
    if (
      start !== before &&
      (start % BigInt(pageSize) !== 0n || before % BigInt(pageSize) !== 0n || start < before)
    )
      expect.fail(`bytes from ${before.toString(16)} to ${start.toString(16)} are nothing, or two things`);
  }
  expect((parts.at(-1)?.end ?? 0n) % BigInt(pageSize)).toBe(0n);
  for (const { path, pa, pages } of structuresOf(claims))
    if (!encoded.memory.has(pa, pages * pageSize)) expect.fail(`${path} was not written`);
  const kinds: Record<string, number> = {};
  for (const { what, length } of encoded.undefined) kinds[what] = (kinds[what] ?? 0) + length;
  return kinds;
}

/** The first few defined bytes that differ: none. */
export function differences(encoded: Encoded, original: Memory): string[] {
  const found: string[] = [];
  for (const { pa, size } of encoded.written) {
    const length = Number(size);
    const was = original.read(pa, length);
    const is = encoded.memory.read(pa, length);
    if (Buffer.compare(was, is) === 0) continue;
    const at = was.findIndex((byte, i) => byte !== is[i]);
    found.push(`0x${(pa + BigInt(at)).toString(16)}: ${was[at]} became ${is[at]}`);
    if (found.length === 5) break;
  }
  return found;
}

/**
 * The image with the structures of `claims` gone, and what was encoded in its place: nothing is left of the former but
 * contents, and what is undefined is full of rubbish.
 */
export function rewritten(image: Image, claims: readonly Claim[], encoded: Encoded, pageSize: number): Image {
  const memory = sparseMemory();
  for (const { pa, size } of image.memory.ranges) memory.write(pa, image.memory.read(pa, Number(size)));
  const rubbish = new Uint8Array(pageSize).fill(0xa5);
  for (const { pa, pages } of structuresOf(claims))
    for (let page = 0; page < pages; page++) memory.write(physAddr(pa + BigInt(page * pageSize)), rubbish);
  for (const { what, pa, length } of encoded.undefined)
    if (what !== "boot-neighbours")
      for (let at = 0; at < length; at += pageSize)
        memory.write(physAddr(pa + BigInt(at)), rubbish.subarray(0, Math.min(pageSize, length - at)));
  for (const { pa, size } of encoded.written) memory.write(pa, encoded.memory.read(pa, Number(size)));
  return { kind: "elf", memory, findings: [], ...(image.arch && { arch: image.arch }) };
}

/** Like toEqual, many times faster where there is nothing to tell. */
export function expectEqual(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toEqual(expected);
}
