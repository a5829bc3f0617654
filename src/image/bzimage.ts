import {
  type Abi,
  bytes,
  decode,
  sizeOf,
  struct,
  textFromBytes,
  u8,
  u16,
  u32,
  u64,
} from "../layout/index.js";

/** The boot protocol is x86's, so it is little-endian, and nothing in it depends on the page size. */
const abi: Abi = { byteOrder: "little", pageSize: 4096 };
const sectorSize = 512;

const source = { header: "arch/x86/include/uapi/asm/bootparam.h", since: "2.6.24" };

/**
 * The head of a bzImage up to what leads to the payload: the code of the boot sector, then the kernel's
 * `struct setup_header`.
 */
export const bzImageHead = struct(
  "setup_header",
  {
    boot_sector: bytes(0x1f1),
    setup_sects: u8,
    root_flags: u16,
    syssize: u32,
    ram_size: u16,
    vid_mode: u16,
    root_dev: u16,
    boot_flag: u16,
    jump: u16,
    header: u32,
    version: u16,
    realmode_swtch: u32,
    start_sys_seg: u16,
    kernel_version: u16,
    type_of_loader: u8,
    loadflags: u8,
    setup_move_size: u16,
    code32_start: u32,
    ramdisk_image: u32,
    ramdisk_size: u32,
    bootsect_kludge: u32,
    heap_end_ptr: u16,
    ext_loader_ver: u8,
    ext_loader_type: u8,
    cmd_line_ptr: u32,
    initrd_addr_max: u32,
    kernel_alignment: u32,
    relocatable_kernel: u8,
    min_alignment: u8,
    xloadflags: u16,
    cmdline_size: u32,
    hardware_subarch: u32,
    hardware_subarch_data: u64,
    payload_offset: u32,
    payload_length: u32,
  },
  source,
);
/** `boot_flag` and `header` of every kernel, and the first version of the protocol with a payload. */
const BOOT_FLAG = 0xaa55;
const HDRS = 0x53726448;
const payloadSince = 0x0208;
/** Bytes of the version string that are looked at. */
const maxVersion = 512;

/** What a bzImage says of itself. */
export interface BzImage {
  /** As `uname -r` and more: `7.3.4 (user@host) #1 SMP ...`; absent if the image does not say. */
  readonly version?: string;
  /** The compressed kernel; cut where the file ends. */
  readonly payload?: Uint8Array;
}

/** True if bytes begin as a bzImage does. */
export const isBzImage = (image: Uint8Array): boolean => {
  if (image.length < sizeOf(bzImageHead, abi)) return false;
  const { boot_flag, header } = decode(bzImageHead, image, 0, abi);
  return boot_flag === BOOT_FLAG && header === HDRS;
};

/** Reads the head of what {@link isBzImage} takes for a bzImage. Offsets that lead out of it are left out. */
export function readBzImage(image: Uint8Array): BzImage {
  const head = decode(bzImageHead, image, 0, abi);
  // The offset of the version counts from the second sector; a setup of 0 sectors means 4.
  const versionAt = head.kernel_version + sectorSize;
  const text = image.subarray(versionAt, versionAt + maxVersion);
  const end = text.indexOf(0);
  const kernel = ((head.setup_sects || 4) + 1) * sectorSize;
  const payloadAt = kernel + head.payload_offset;
  const payload = image.subarray(payloadAt, payloadAt + head.payload_length);
  return {
    ...(head.kernel_version !== 0 && end > 0 && { version: textFromBytes(text.subarray(0, end)) }),
    ...(head.version >= payloadSince && payload.length > 0 && { payload }),
  };
}

/** How a kernel is compressed, by the payload's first bytes; undefined for what no kernel uses. */
export function payloadCompression(payload: Uint8Array): string | undefined {
  const found = compressors.find(([, magic]) => magic.every((byte, i) => payload[i] === byte));
  return found?.[0];
}

/** Signatures of all that a kernel can be compressed with: lib/decompress.c, and ELF for one that is not. */
const compressors: readonly (readonly [string, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a]],
  ["lzma", [0x5d, 0x00]],
  ["xz", [0xfd, 0x37]],
  ["lzo", [0x89, 0x4c]],
  ["lz4", [0x02, 0x21]],
  ["none", [0x7f, 0x45, 0x4c, 0x46]],
];
