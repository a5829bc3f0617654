import { type Abi, pageShift } from "../layout/index.js";
import { type MemoryRange, type PhysAddr, pfnOf, physAddr } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import type { IommuHardware } from "./iommu/hardware.js";
import { common, merged, type Stretch } from "./kho/blocks.js";

/** The machine without a kernel: what stays the same over all kexecs, but for what kernels tell its IOMMU. */
export interface Hardware {
  readonly arch: "x86_64" | "aarch64";
  readonly abi: Abi;
  /** RAM that kernels may use, ascending; each piece belongs to one NUMA node. */
  readonly banks: readonly Bank[];
  /** Of a machine that has one. */
  readonly iommu?: IommuHardware;
}

/** A piece of RAM on one NUMA node. */
export interface Bank extends MemoryRange {
  readonly node: number;
}

const KiB = 1024;
const MiB = 1024 * KiB;

/** What firmware keeps of a PC's memory: video and BIOS below 1 MiB, its tables at the end. */
const lowMemory = 0x9fc00n;
const firstMiB = BigInt(MiB);
const tables = 0x21000n;
/** Where the RAM of QEMU's arm64 board begins. */
const armBase = 0x40000000n;

/** The architecture whose kernels are meant with a page size, unless somebody says otherwise. */
const usualArch = (pageSize: number): Hardware["arch"] => (pageSize === 4 * KiB ? "x86_64" : "aarch64");

/**
 * Describes a machine of `memory` bytes, divided evenly among `nodes`. 4K pages make it a PC, with the hole below 1 MiB,
 * unless `arch` says otherwise; 16K and 64K pages an arm64 board.
 * @throws KhoError `usage` for a page size that no kernel has, or too little memory
 */
export function newHardware(
  memory: bigint,
  nodes: number,
  pageSize: number,
  arch = usualArch(pageSize),
): Hardware {
  if (![4 * KiB, 16 * KiB, 64 * KiB].includes(pageSize))
    throw new KhoError("usage", `no kernel has pages of ${pageSize} bytes`, {
      expected: "4096, 16384 or 65536",
    });
  const abi: Abi = { byteOrder: "little", pageSize };
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > 64)
    throw new KhoError("usage", `a machine has 1 to 64 NUMA nodes, not ${nodes}`);
  // Nodes meet at multiples of what a large folio can be, so that no block lies on two.
  const unit = 1n << BigInt(pageShift(abi) + (arch === "x86_64" ? 10 : 13));
  if (memory < BigInt(nodes) * 2n * unit || memory > 1n << 46n)
    throw new KhoError("usage", `${memory} bytes are not enough memory for ${nodes} nodes, or too much`);
  const base = arch === "x86_64" ? 0n : armBase;
  const share = (memory / BigInt(nodes) / unit) * unit;
  const banks: Bank[] = [];
  for (let node = 0; node < nodes; node++) {
    const start = base + share * BigInt(node);
    const end = node === nodes - 1 ? base + memory : start + share;
    banks.push({ pa: physAddr(start), size: end - start, node });
  }
  return { arch, abi, banks: arch === "x86_64" ? withoutFirmware(banks) : banks };
}

/** Cuts out what a PC's firmware keeps. Whole pages only: the page below the EBDA is not used. */
function withoutFirmware(banks: readonly Bank[]): Bank[] {
  const [first, ...others] = banks as [Bank, ...Bank[]];
  const page = 4096n;
  const cut: Bank[] = [
    { pa: physAddr(0), size: lowMemory - (lowMemory % page), node: 0 },
    { pa: physAddr(firstMiB), size: first.size - firstMiB, node: 0 },
    ...others,
  ];
  const last = cut.at(-1)!;
  return [...cut.slice(0, -1), { ...last, size: last.size - tables }];
}

/** The same machine as it is now: what its IOMMU is told from now on does not change this one. */
export const copyHardware = ({ iommu, ...rest }: Hardware): Hardware => ({
  ...rest,
  ...(iommu && { iommu: { ...iommu } }),
});

/** The whole pages of a range of bytes that begins with one. */
export const stretchOf = ({ pa, size }: MemoryRange, { pageSize }: Abi): Stretch => ({
  start: pfnOf(pa, pageSize),
  end: Number((pa + size) / BigInt(pageSize)),
});

/** The whole pages of all banks. */
export const banksOf = ({ banks, abi }: Hardware): (Stretch & { readonly node: number })[] =>
  banks.map((bank) => ({ ...stretchOf(bank, abi), node: bank.node }));

/** The whole pages of some areas, as far as they are RAM; ascending and merged. */
export const areasInRam = (areas: readonly MemoryRange[], hardware: Hardware): Stretch[] =>
  common(banksOf(hardware), merged(areas.map((area) => stretchOf(area, hardware.abi))));

/** Bytes of all RAM together. */
export const totalMemory = ({ banks }: Hardware): bigint => banks.reduce((sum, { size }) => sum + size, 0n);

/** The last address of RAM, and one. */
export const endOfRam = ({ banks }: Hardware): PhysAddr => physAddr(banks.at(-1)!.pa + banks.at(-1)!.size);
