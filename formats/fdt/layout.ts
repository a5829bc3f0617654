/**
 * The fixed parts of a flattened device tree and its constants. Everything in it is big-endian on every machine;
 * what a property's value means, and in which byte order, is up to who wrote it (KHO stores CPU-order integers).
 */
import { type Abi, be, type Source, struct, type ValueOf } from "../../src/layout/index.js";

const source: Source = { header: "Devicetree Specification v0.4, section 5", since: "6.16" };

/**
 * The header, 40 bytes in version 17. Offsets and sizes are in bytes, offsets count from the header's first byte.
 * Version 16 ends before `size_dt_struct`.
 */
export const fdtHeader = struct(
  "fdt_header",
  {
    magic: be.u32,
    totalsize: be.u32,
    off_dt_struct: be.u32,
    off_dt_strings: be.u32,
    off_mem_rsvmap: be.u32,
    version: be.u32,
    last_comp_version: be.u32,
    boot_cpuid_phys: be.u32,
    size_dt_strings: be.u32,
    size_dt_struct: be.u32,
  },
  source,
);

/** A decoded header, with the specification's names. */
export type FdtHeader = ValueOf<typeof fdtHeader>;

/** One entry of the memory reservation block: a physical address and a size in bytes. Size 0 ends the block. */
export const fdtReserveEntry = struct("fdt_reserve_entry", { address: be.u64, size: be.u64 }, source);

/** What begins a node; its name follows, NUL-terminated and padded to 4 bytes. */
export const fdtNodeHeader = struct("fdt_node_header", { tag: be.u32 }, source);

/**
 * What begins a property: length of the value in bytes, and offset of the name in the strings block. The value
 * follows, padded to 4 bytes.
 */
export const fdtPropertyHeader = struct(
  "fdt_property",
  { tag: be.u32, len: be.u32, nameoff: be.u32 },
  source,
);

/** The layouts above in no need of a machine: no field follows a CPU's byte order or page size. */
export const fdtAbi: Abi = { byteOrder: "big", pageSize: 4096 };

/** First four bytes of every blob, as a big-endian u32. */
export const FDT_MAGIC = 0xd00dfeed;

/** Token: a node begins. */
export const FDT_BEGIN_NODE = 1;
/** Token: the innermost open node ends. */
export const FDT_END_NODE = 2;
/** Token: a property of the innermost open node. */
export const FDT_PROP = 3;
/** Token: nothing; what an editor leaves where it cut something out. */
export const FDT_NOP = 4;
/** Token: the structure block ends. */
export const FDT_END = 9;
/** Size of a token in bytes, and the alignment of all tokens within the structure block. */
export const FDT_TAGSIZE = 4;

/** The kernel's parser takes no blob whose `version` is below this. */
export const FDT_FIRST_SUPPORTED_VERSION = 2;
/** The kernel's parser takes no blob whose `last_comp_version` is above this. It is the current version. */
export const FDT_LAST_SUPPORTED_VERSION = 17;
/** The oldest version read here: before it, nodes carry full paths and long values are aligned to 8. */
export const FDT_OLDEST_READABLE_VERSION = 16;
/** No blob is larger, in bytes: the kernel's parser keeps sizes in a signed int. */
export const FDT_MAX_TOTALSIZE = 0x7fffffff;
