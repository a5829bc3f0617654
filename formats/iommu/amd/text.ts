/** The text of debugfs' `iommu/amd/devtbl`: the device table entry of one device. drivers/iommu/amd/debugfs.c. */
import { sizeOf } from "../../../src/layout/index.js";
import { iommuAbi } from "../entry.js";
import { devTableEntry } from "./layout.js";

export interface DevtblLine {
  /** PCI segment, below 2^16. */
  readonly segment: number;
  /** Requester id. */
  readonly device: number;
  /** The entry as it is in memory, 32 bytes. */
  readonly bytes: Uint8Array;
  /** Number of the IOMMU. */
  readonly iommu: number;
}

const words = sizeOf(devTableEntry, iommuAbi) / 8;
const column = 16;

/** What the kernel prints, header included. */
export function devtblText({ segment, device, bytes, iommu }: DevtblLine): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const downward = Array.from({ length: words }, (_, i) => words - 1 - i);
  const header = downward.map((word) => `QWORD[${word}]`.padStart(column)).join(" ");
  const values = downward.map((word) => digits(view.getBigUint64(word * 8, true), column)).join(" ");
  const slot = `${digits(segment, 4)}:${digits(device >>> 8, 2)}:${digits((device >>> 3) & 0x1f, 2)}.${device & 7}`;
  return `${"DeviceId".padEnd(12)} ${header} iommu\n${slot} ${values} iommu${iommu}\n`;
}

const digits = (value: number | bigint, count: number): string => value.toString(16).padStart(count, "0");

const line =
  /^([\da-f]{4}):([\da-f]{2}):([01][\da-f])\.([0-7]) +([\da-f]{16}) +([\da-f]{16}) +([\da-f]{16}) +([\da-f]{16}) +iommu(\d{1,9})\s*$/i;

/** The entries in a text with any number of such lines; everything else in it is passed over. */
export function parseDevtbl(text: string): DevtblLine[] {
  const found: DevtblLine[] = [];
  for (const candidate of text.split("\n")) {
    const [, segment, bus, slot, fn, ...rest] = line.exec(candidate.trimStart()) ?? [];
    const iommu = rest.pop();
    if (segment === undefined || iommu === undefined) continue;
    const bytes = new Uint8Array(words * 8);
    const view = new DataView(bytes.buffer);
    rest.forEach((word, i) => {
      view.setBigUint64((words - 1 - i) * 8, BigInt(`0x${word}`), true);
    });
    const device = (hexOf(bus!) << 8) | (hexOf(slot!) << 3) | Number(fn);
    found.push({ segment: hexOf(segment), device, bytes, iommu: Number(iommu) });
  }
  return found;
}

const hexOf = (text: string): number => Number.parseInt(text, 16);
