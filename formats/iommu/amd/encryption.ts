import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { hex } from "../../../src/report/hex.js";
import type { IommuContext } from "../walk.js";

/** The bit that hosts which encrypt their memory set in every address that they give to an IOMMU: `smeMask`. */
export interface Encryption {
  /** That bit; 0 where there is none. */
  readonly mask: bigint;
  /** An address without it. */
  plain(pa: bigint): PhysAddr;
  /**
   * The address of a table's first page without it. Where nobody has said which bit it is, one that is set decides if the
   * address leads out of memory with it and into memory without; that is reported.
   */
  root(pa: bigint, path: string): PhysAddr;
}

/** Where processors have that bit. */
const usual = [1n << 47n, 1n << 51n];

export function newEncryption({ memory, report }: IommuContext, smeMask?: bigint): Encryption {
  let mask = smeMask ?? 0n;
  let isOpen = smeMask === undefined;
  const plain = (pa: bigint): PhysAddr => physAddr(pa & ~mask);
  const isThere = (pa: bigint): boolean => memory.has(physAddr(pa), 8);
  return {
    get mask() {
      return mask;
    },
    plain,
    root(pa, path) {
      if (!isOpen || isThere(pa)) return plain(pa);
      const guess = usual.find((bit) => (pa & bit) !== 0n && isThere(pa & ~bit));
      if (guess === undefined) return plain(pa);
      isOpen = false;
      mask = guess;
      report("info", "iommu-mode-guessed", `addresses are taken to be of encrypted memory, ${hex(guess)}`, {
        path,
        pa,
        expected: `memory at ${hex(pa)}`,
        actual: `memory at ${hex(plain(pa))}`,
      });
      return plain(pa);
    },
  };
}
