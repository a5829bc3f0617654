import { type Memory, type PhysAddr, physAddr, sparseMemory } from "../../../../src/memory/index.js";
import type { Finding } from "../../../../src/report/finding.js";

/** 64-bit words, little-endian. */
export function wordsOf(...words: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setBigUint64(i * 8, word, true);
  return bytes;
}

/** The words at an address. */
export function readWords(memory: Memory, pa: bigint, count: number): bigint[] {
  const bytes = memory.read(physAddr(pa), count * 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, i) => view.getBigUint64(i * 8, true));
}

/** Memory of whole pages with these words at these addresses; what is not given is absent. */
export function memoryOf(words: Readonly<Record<string, readonly bigint[]>>): Memory {
  const memory = sparseMemory();
  for (const [pa, values] of Object.entries(words)) memory.write(BigInt(pa) as PhysAddr, wordsOf(...values));
  return memory;
}

/** The code of each finding. */
export const codesIn = (findings: readonly Finding[]): string[] => findings.map(({ code }) => code);
