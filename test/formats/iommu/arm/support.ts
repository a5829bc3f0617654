import { type Memory, physAddr, sparseMemory } from "../../../../src/memory/index.js";
import type { Finding } from "../../../../src/report/finding.js";

/** Memory that holds 64-bit words at addresses; the rest of the pages that they are in is zero. */
export function memoryOf(words: Readonly<Record<string, readonly bigint[]>>) {
  const memory = sparseMemory();
  for (const [pa, values] of Object.entries(words)) memory.write(physAddr(BigInt(pa)), bytesOf(values));
  return memory;
}

export function bytesOf(words: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setBigUint64(i * 8, word, true);
  return bytes;
}

/** `count` 64-bit words of a memory. */
export function wordsAt(memory: Pick<Memory, "read">, pa: bigint, count: number): bigint[] {
  const bytes = memory.read(physAddr(pa), count * 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, i) => view.getBigUint64(i * 8, true));
}

/** Severity and code of each finding, in order. */
export const severitiesOf = (findings: readonly Finding[]): string[] =>
  findings.map(({ severity, code }) => `${severity} ${code}`);
