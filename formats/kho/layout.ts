import {
  type Abi,
  array,
  bytes,
  chars,
  pa,
  padding,
  sizeOf,
  struct,
  u16,
  u32,
  u64,
} from "../../src/layout/index.js";

const header = "include/linux/kho/abi/kexec_handover.h";
const setup = "arch/x86/include/uapi/asm/setup_data.h";

/** A node of the x86 boot protocol's `setup_data` list; `len` bytes follow it. */
export const setupData = struct(
  "setup_data",
  { next: pa, type: u32, len: u32, data: bytes(0) },
  { header: setup, since: "6.16" },
);
/** `type` of the node that carries {@link khoData}. */
export const SETUP_KEXEC_KHO = 10;

/** What the previous kernel tells the next one on x86: sizes are those of the mappings, not of the contents. */
export const khoData = struct(
  "kho_data",
  { fdt_addr: pa, fdt_size: u64, scratch_addr: pa, scratch_size: u64 },
  { header: setup, since: "6.16" },
);

/**
 * The part of the x86 zero page that leads to the setup_data list. The two members are where the boot protocol
 * puts them; what is between is not looked at.
 */
export const bootParams = struct(
  "boot_params",
  { "(before)": padding(0x202), header: u32, "(between)": padding(0x250 - 0x206), setup_data: pa },
  { header: "arch/x86/include/uapi/asm/bootparam.h", since: "6.16" },
);
/** `header` of every zero page: "HdrS". */
export const BOOT_PARAMS_MAGIC = 0x53726448;

/** An area that the next kernel allocates from while it does not know yet what is preserved. */
export const khoScratch = struct(
  "kho_scratch",
  { addr: pa, size: u64 },
  { header: "include/linux/kexec_handover.h", since: "6.16" },
);

const chunkSource = { header: "kernel/liveupdate/kexec_handover.c", since: "6.16", until: "7.0" };
export const khoserMemChunkHdr = struct(
  "khoser_mem_chunk_hdr",
  { next: pa, order: u32, num_elms: u32 },
  chunkSource,
);
export const khoserMemBitmapPtr = struct(
  "khoser_mem_bitmap_ptr",
  { phys_start: pa, bitmap: pa },
  chunkSource,
);
/** One page of bitmaps of one order. */
export const khoserMemChunk = struct(
  "khoser_mem_chunk",
  {
    hdr: khoserMemChunkHdr,
    bitmaps: array(khoserMemBitmapPtr, (abi) =>
      Math.floor((abi.pageSize - sizeOf(khoserMemChunkHdr, abi)) / sizeOf(khoserMemBitmapPtr, abi)),
    ),
  },
  chunkSource,
);
/** A bitmap of 6.16 and 6.17 up to 6.17.8: 4096 blocks whatever the page size. */
export const khoMemPhysBits512 = struct(
  "kho_mem_phys_bits",
  { preserve: array(u64, 512 / 8) },
  { header: "kernel/kexec_handover.c", since: "6.16", until: "6.17.8" },
);
/** A bitmap of 6.17.9 to 7.0: a page of bits. */
export const khoMemPhysBits = struct(
  "kho_mem_phys_bits",
  { preserve: array(u64, (abi) => abi.pageSize / 8) },
  { ...chunkSource, since: "6.17.9" },
);

/** An inner node of the radix tree: physical addresses of the nodes below, 0 for none. */
export const khoRadixNode = struct(
  "kho_radix_node",
  { table: array(pa, (abi) => abi.pageSize / 8) },
  { header: "include/linux/kho/abi/kexec_handover.h", since: "7.1" },
);
/** A leaf of the radix tree: a page of bits. */
export const khoRadixLeaf = struct(
  "kho_radix_leaf",
  { bitmap: array(u64, (abi) => abi.pageSize / 8) },
  { header: "include/linux/kho/abi/kexec_handover.h", since: "7.1" },
);

/** A preserved vmalloc area, as its user embeds it. `total_pages` counts base pages, `order` is of each listed page. */
export const khoVmalloc = struct(
  "kho_vmalloc",
  { first: pa, total_pages: u32, flags: u16, order: u16 },
  { header, since: "6.18" },
);
/** `flags` of an area: ordinary memory of vmalloc, and that its mapping may have pages larger than a base page. */
export const KHO_VMALLOC_ALLOC = 1;
export const KHO_VMALLOC_HUGE_VMAP = 2;
export const khoVmallocHdr = struct("kho_vmalloc_hdr", { next: pa }, { header, since: "6.18" });
/** Addresses in one page of the list of a preserved vmalloc area. */
export const vmallocPerChunk = (abi: Abi): number =>
  (abi.pageSize - sizeOf(khoVmallocHdr, abi)) / sizeOf(pa, abi);
/** One page of addresses of a preserved vmalloc area; a zero ends it early. */
export const khoVmallocChunk = struct(
  "kho_vmalloc_chunk",
  {
    hdr: khoVmallocHdr,
    phys: array(pa, vmallocPerChunk),
  },
  { header, since: "6.18" },
);

/** Head of a page of fixed-size records. `count` records follow it. */
export const khoBlockHeaderSer = struct(
  "kho_block_header_ser",
  { next: pa, count: u64 },
  { header: "include/linux/kho/abi/block.h", since: "7.2" },
);

/** Which kernel wrote the handover, and how many kexecs there have been since the machine booted cold. */
export const khoKexecMetadata = struct(
  "kho_kexec_metadata",
  { version: u32, previous_release: chars(65), kexec_count: u32 },
  { header: "include/linux/kho/abi/kexec_metadata.h", since: "7.1" },
);
