import { bytes, pa, type Source, struct, u8, u16, u32, u64 } from "../layout/index.js";
import { endOfMemory } from "../memory/address.js";

/** Older than every kernel that hands anything over: 2.6.12 is where the kernel's git history begins. */
const source: Source = { header: "include/uapi/linux/elf.h", since: "2.6.12" };

/** `e_ident`, in the kernel an array that is indexed by these names: the part of the header that is the same for every class and byte order. */
export const elfIdent = struct(
  "elf_ident",
  { EI_MAG: bytes(4), EI_CLASS: u8, EI_DATA: u8, EI_VERSION: u8, EI_OSABI: u8, EI_PAD: bytes(8) },
  source,
);

/** The ELF header. Its byte order is what `EI_DATA` says. */
export const elf64Ehdr = struct(
  "elf64_hdr",
  {
    e_ident: elfIdent,
    e_type: u16,
    e_machine: u16,
    e_version: u32,
    e_entry: u64,
    e_phoff: u64,
    e_shoff: u64,
    e_flags: u32,
    e_ehsize: u16,
    e_phentsize: u16,
    e_phnum: u16,
    e_shentsize: u16,
    e_shnum: u16,
    e_shstrndx: u16,
  },
  source,
);

/** The same of a 32-bit file. */
export const elf32Ehdr = struct(
  "elf32_hdr",
  {
    e_ident: elfIdent,
    e_type: u16,
    e_machine: u16,
    e_version: u32,
    e_entry: u32,
    e_phoff: u32,
    e_shoff: u32,
    e_flags: u32,
    e_ehsize: u16,
    e_phentsize: u16,
    e_phnum: u16,
    e_shentsize: u16,
    e_shnum: u16,
    e_shstrndx: u16,
  },
  source,
);

/** A program header: where a piece of memory is in the file. */
export const elf64Phdr = struct(
  "elf64_phdr",
  {
    p_type: u32,
    p_flags: u32,
    p_offset: u64,
    p_vaddr: u64,
    p_paddr: pa,
    p_filesz: u64,
    p_memsz: u64,
    p_align: u64,
  },
  source,
);

/** A section header. A core has at most the first one, whose `sh_info` extends `e_phnum`. */
export const elf64Shdr = struct(
  "elf64_shdr",
  {
    sh_name: u32,
    sh_type: u32,
    sh_flags: u64,
    sh_addr: u64,
    sh_offset: u64,
    sh_size: u64,
    sh_link: u32,
    sh_info: u32,
    sh_addralign: u64,
    sh_entsize: u64,
  },
  source,
);

/** The same of a 32-bit file. */
export const elf32Shdr = struct(
  "elf32_shdr",
  {
    sh_name: u32,
    sh_type: u32,
    sh_flags: u32,
    sh_addr: u32,
    sh_offset: u32,
    sh_size: u32,
    sh_link: u32,
    sh_info: u32,
    sh_addralign: u32,
    sh_entsize: u32,
  },
  source,
);

/** The header of a note. Name and contents follow, each padded to 4 bytes. */
export const elf64Nhdr = struct("elf64_note", { n_namesz: u32, n_descsz: u32, n_type: u32 }, source);

/** `EI_MAG`: 0x7f "ELF". */
export const ELFMAG = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46);
/** Values of `EI_CLASS`, `EI_DATA`, `e_type`, `e_machine`, `p_type`, and the extended count, as the kernel names them. */
export const ELFCLASS32 = 1;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;
export const ELFDATA2MSB = 2;
export const EV_CURRENT = 1;
export const ET_CORE = 4;
export const EM_NONE = 0;
export const EM_X86_64 = 62;
export const EM_AARCH64 = 183;
export const PT_LOAD = 1;
export const PT_NOTE = 4;
/** Bits of `p_flags`. */
export const PF_W = 2;
export const PF_R = 4;
/** `sh_type` of a section that takes no room in the file, and the bit of `sh_flags` of one that is compressed. */
export const SHT_NOBITS = 8;
export const SHF_COMPRESSED = 0x800;
/** `e_shstrndx` of a file whose index is in `sh_link` of section header 0. */
export const SHN_XINDEX = 0xffff;
/** `e_phnum` of a file with 0xffff or more program headers: the count is in `sh_info` of section header 0. */
export const PN_XNUM = 0xffff;
/** `p_paddr` of memory whose physical address is not known: /proc/kcore writes it for vmalloc and modules. */
export const unknownPaddr = endOfMemory - 1n;
