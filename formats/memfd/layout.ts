import { bits, struct, u32, u64 } from "../../src/layout/index.js";
import { khoVmalloc } from "../kho/layout.js";

const source = { header: "include/linux/kho/abi/memfd.h", since: "6.19" };

/** A memfd of 6.19 and 7.0, without seals. `pos` and `size` are in bytes. */
export const memfdLuoSerV1 = struct(
  "memfd_luo_ser",
  { pos: u64, size: u64, nr_folios: u64, folios: khoVmalloc },
  { ...source, until: "7.0" },
);

/** A memfd of 7.1 and later. `seals` are F_SEAL_* bits, `flags` is reserved. */
export const memfdLuoSerV2 = struct(
  "memfd_luo_ser",
  { pos: u64, size: u64, seals: u32, flags: u32, nr_folios: u64, folios: khoVmalloc },
  { ...source, since: "7.1" },
);

/** A folio of a memfd: `index` is its offset in the file in base pages. Its order is only in the memory map. */
export const memfdLuoFolioSer = struct(
  "memfd_luo_folio_ser",
  { pfn: bits(u64, 52), flags: bits(u64, 12), index: u64 },
  source,
);

/** `flags` of a folio. */
export const MEMFD_LUO_FOLIO_DIRTY = 1;
export const MEMFD_LUO_FOLIO_UPTODATE = 2;

/** `seals` of a memfd, by the kernel's names. */
export const seals = {
  F_SEAL_SEAL: 0x01,
  F_SEAL_SHRINK: 0x02,
  F_SEAL_GROW: 0x04,
  F_SEAL_WRITE: 0x08,
  F_SEAL_FUTURE_WRITE: 0x10,
  F_SEAL_EXEC: 0x20,
} as const;
/** Every seal that kernels up to 7.3 know. */
export const MEMFD_LUO_ALL_SEALS = Object.values(seals).reduce((all, seal) => all | seal, 0);
