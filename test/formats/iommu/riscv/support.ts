import { type Domain, newDomain } from "../../../../formats/iommu/domain.js";
import { riscvDomain } from "../../../../formats/iommu/riscv/geometry.js";
import { type PhysAddr, physAddr } from "../../../../src/memory/index.js";
import type { Store } from "../store.js";

/** Bits of the register `capabilities`. */
export const capability = {
  Sv39: 1n << 9n,
  Sv48: 1n << 10n,
  Sv57: 1n << 11n,
  Sv39x4: 1n << 17n,
  MSI_FLAT: 1n << 22n,
  AMO_HWAD: 1n << 24n,
  ATS: 1n << 25n,
  PD8: 1n << 38n,
  PD17: 1n << 39n,
  PD20: 1n << 40n,
};

/** An empty domain with the largest scheme of these capabilities. */
export const domainFor = (capabilities: bigint, store: Store): Domain =>
  newDomain(riscvDomain({ capabilities })!, store)!;

/** Writes 64-bit words one after the other. */
export function poke(store: Pick<Store, "write">, pa: bigint, ...words: readonly bigint[]): void {
  const bytes = new Uint8Array(words.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setBigUint64(i * 8, BigInt.asUintN(64, word), true);
  store.write(physAddr(pa), bytes);
}

/** Words from an address on. */
export function peek(store: Pick<Store, "read">, pa: bigint, count: number): bigint[] {
  const bytes = store.read(physAddr(pa), count * 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, i) => view.getBigUint64(i * 8, true));
}

/** An entry that leads to a page of a directory, as the specification has it. */
export const pointerTo = (pa: bigint): bigint => (pa >> 2n) | 1n;

/** `fsc` or `iohgatp` with a mode: the frame is in the low bits. */
export const atp = (mode: number, pa: bigint): bigint => (BigInt(mode) << 60n) | (pa >> 12n);

export const page = (store: Store, level = 0): PhysAddr => store.allocate(4096, level)!;
