import { KhoError } from "../report/error.js";

const PCI = /^(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])$/i;

/**
 * A device's id from its name: a PCI address `0000:00:05.0` or `00:05.0`, or the number itself, `0x28` or `40`, as streams of
 * SMMUv3 have none. The segment does not count: an IOMMU belongs to one.
 * @throws KhoError `usage`
 */
export function parseDevice(name: string): number {
  const pci = PCI.exec(name);
  if (pci) {
    const [bus, slot, fn] = [2, 3, 4].map((i) => Number.parseInt(pci[i]!, 16)) as [number, number, number];
    if (slot < 32) return bus * 256 + slot * 8 + fn;
  } else if (/^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(name) && Number(name) < 2 ** 32) return Number(name);
  throw new KhoError("usage", "it is no device", {
    expected: "a PCI address such as 0000:00:05.0, or an id such as 0x28",
    actual: name.slice(0, 80),
  });
}

/** PCI segment of a device's name, 0 where it has none. */
export const segmentOf = (name: string): number => Number.parseInt(PCI.exec(name)?.[1] ?? "0", 16);

/** `00:05.0`; ids of more than 16 bits belong to no PCI device and are numbers. */
export function deviceName(device: number): string {
  if (device >= 2 ** 16) return `0x${device.toString(16)}`;
  const hex = (value: number): string => value.toString(16).padStart(2, "0");
  return `${hex(device >> 8)}:${hex((device >> 3) & 31)}.${device & 7}`;
}

/** `0000:00:05.0`. */
export const pciName = (segment: number, device: number): string =>
  `${segment.toString(16).padStart(4, "0")}:${deviceName(device & 0xffff)}`;
