import type { IommuStateSource } from "../../../../formats/proposed/iommu/encode.js";
import { physAddr, type SparseMemory } from "../../../../src/memory/index.js";
import { type Kind, type Place, put, spec } from "./spec.js";
import { placeOf, placesFor, specMemory } from "./support.js";

/** A state without fault: an IOMMU, two domains and two devices, and one of each that was deleted. */
export function faultless(name: string): IommuStateSource {
  const dead = { refCount: 0, flags: 1 };
  const live = { refCount: 1, flags: 0 };
  const hasUnion = spec[name]!.iommus.union !== undefined;
  const intel = {
    registerBase: physAddr(0xfed90000),
    rootTable: physAddr(0x15000),
    contextTables: new BigUint64Array(8),
    restored: 0,
  };
  const pasid = { pasidTable: physAddr(0), maxPasid: 0n, restored: 0 };
  const withPasid = spec[name]!.drivers.intel?.devices ? { intel: pasid } : {};
  const domain = { ...live, topTablePa: physAddr(0x16000), topLevel: 2n, vaBits: 48, signExtend: false };
  const device = { ...live, devid: 0x310, pciDomain: 0, attachmentId: 5n, ...withPasid };
  return {
    iommus: [
      { ...live, refCount: 2, token: 0xfed90000n, type: 1n, ...(hasUnion && { intel }) },
      { ...dead, token: 0n, type: 0n },
    ],
    domains: [domain, { ...domain, ...dead }, { ...domain, topTablePa: physAddr(0x17000) }],
    devices: [
      { ...device, domain: 0, iommu: 0 },
      // A device that could not be preserved has nothing but its flags.
      { ...dead, devid: 0, pciDomain: 0, attachmentId: 0n },
      { ...device, devid: 0x318, domain: 2, iommu: 0 },
    ],
  };
}

/** The memory of {@link faultless}, and how to write to its members. */
export class Sample {
  readonly spec;
  readonly state: IommuStateSource;
  readonly places;
  readonly memory: SparseMemory;

  constructor(
    readonly name: string,
    state = faultless(name),
  ) {
    this.spec = spec[name]!;
    this.state = state;
    const { iommus, domains, devices } = state;
    this.places = placesFor(this.spec, {
      iommus: iommus.length,
      domains: domains.length,
      devices: devices.length,
    });
    this.memory = specMemory(this.spec, this.places, state);
  }

  addressOf(kind: Kind, i: number): bigint {
    return placeOf(this.spec, this.places, kind, i);
  }

  /** Writes a number at a place relative to an address. */
  put(pa: bigint, [offset, width]: Place, value: bigint | number): void {
    const bytes = new Uint8Array(width);
    put(bytes, 0, [0, width], value);
    this.memory.write(physAddr(pa + BigInt(offset)), bytes);
  }

  set(kind: Kind, i: number, member: string, value: bigint | number): void {
    this.put(this.addressOf(kind, i), this.spec[kind].members[member]!, value);
  }

  setUnion(kind: "iommus" | "devices", i: number, member: string, value: bigint | number): void {
    const [offset] = this.spec[kind].union!;
    const place = this.spec.drivers.intel![kind]![member]!;
    this.put(this.addressOf(kind, i) + BigInt(offset), place, value);
  }
}
