import { type Abi, decode, sizeOf, textFromBytes } from "../layout/index.js";
import { fileOffset } from "../memory/address.js";
import type { ByteSource } from "../memory/source.js";
import { KhoError } from "../report/error.js";
import {
  ELFCLASS32,
  ELFCLASS64,
  ELFDATA2LSB,
  ELFDATA2MSB,
  EM_AARCH64,
  EM_X86_64,
  elf32Ehdr,
  elf32Shdr,
  elf64Ehdr,
  elf64Shdr,
  elfIdent,
  SHF_COMPRESSED,
  SHN_XINDEX,
  SHT_NOBITS,
} from "./elf-layout.js";
import type { Image } from "./image.js";

/** A section as its header has it. */
export interface ElfSection {
  readonly name: string;
  /** Bytes; from where in the file, and how many. */
  readonly offset: bigint;
  readonly size: bigint;
  readonly type: number;
  readonly flags: bigint;
}

/** The sections of an ELF file: an object, a program, or a kernel. */
export interface ElfSections {
  readonly byteOrder: Abi["byteOrder"];
  readonly bits: 32 | 64;
  readonly arch?: Image["arch"];
  readonly sections: readonly ElfSection[];
  /**
   * The bytes of the first section of a name; undefined if there is none.
   * @throws KhoError `elf-truncated` if the file ends before it does; `unsupported-container` if it is compressed;
   * `limit-exceeded` for more than {@link maxSection} bytes
   */
  contentOf(name: string): Uint8Array | undefined;
}

/** Bytes of a section that are read at once. The types and the read-only data of a kernel have a tenth of it. */
const maxSection = 256 << 20;
/** Bytes of a section's name that are looked at. */
const maxName = 256;

const malformed = (what: string, expected: string, actual: number | bigint): KhoError =>
  new KhoError("elf-malformed", `${what} of the ELF file is ${actual}`, {
    expected,
    actual: String(actual),
  });

/**
 * Reads the section headers of an ELF file of either class and byte order.
 * @throws KhoError `elf-malformed`, `elf-truncated`; `io`
 */
export function elfSections(source: ByteSource): ElfSections {
  const { abi, wide } = identOf(source);
  const read = (what: string, at: number, length: number): Uint8Array => {
    const bytes = source.read(fileOffset(at), length);
    if (bytes.length === length) return bytes;
    throw new KhoError("elf-truncated", `the ELF file ends in its ${what}`, {
      length,
      expected: `a file of ${at + length} bytes`,
      actual: `${source.size} bytes`,
    });
  };
  const header = wide ? elf64Ehdr : elf32Ehdr;
  const ehdr = decode(header, read("header", 0, sizeOf(header, abi)), 0, abi);
  const shdr = wide ? elf64Shdr : elf32Shdr;
  const size = sizeOf(shdr, abi);
  const table = Number(ehdr.e_shoff);
  const headers = (first: number, count: number) => {
    const stride = ehdr.e_shentsize;
    const bytes = read("section headers", table + first * stride, (count - 1) * stride + size);
    return Array.from({ length: count }, (_, i) => decode(shdr, bytes, i * stride, abi));
  };
  if (table === 0) return result([]);
  if (!Number.isSafeInteger(table)) throw malformed("e_shoff", "below 2^53", ehdr.e_shoff);
  if (ehdr.e_shentsize < size) throw malformed("e_shentsize", `at least ${size}`, ehdr.e_shentsize);
  // A count that does not fit is in the first header, as is the index of the names.
  const [first] = headers(0, 1);
  const count = ehdr.e_shnum === 0 ? Number(first!.sh_size) : ehdr.e_shnum;
  const held = Math.floor((source.size - table) / ehdr.e_shentsize) + 1;
  if (count < 1 || count > held) throw malformed("the number of sections", `1 to ${held}`, count);
  const all = headers(0, count);
  const namesAt = ehdr.e_shstrndx === SHN_XINDEX ? first!.sh_link : ehdr.e_shstrndx;
  const names = all[namesAt];
  if (!names) throw malformed("e_shstrndx", `below ${count}`, namesAt);
  const strings = bytesOf(source, "names of the sections", BigInt(names.sh_offset), BigInt(names.sh_size));
  return result(
    all.map(({ sh_name, sh_offset, sh_size, sh_type, sh_flags }) => ({
      name: nameIn(strings, sh_name),
      offset: BigInt(sh_offset),
      size: BigInt(sh_size),
      type: sh_type,
      flags: BigInt(sh_flags),
    })),
  );

  function result(sections: readonly ElfSection[]): ElfSections {
    const arch = archOf(ehdr.e_machine);
    return {
      byteOrder: abi.byteOrder,
      bits: wide ? 64 : 32,
      ...(arch && { arch }),
      sections,
      contentOf: (name) => {
        const section = sections.find(
          (candidate) => candidate.name === name && candidate.type !== SHT_NOBITS,
        );
        if (!section) return undefined;
        if ((section.flags & BigInt(SHF_COMPRESSED)) !== 0n)
          throw new KhoError("unsupported-container", `section ${name} of the ELF file is compressed`, {
            expected: "a section that is stored as it is",
          });
        return bytesOf(source, `section ${name}`, section.offset, section.size);
      },
    };
  }
}

function identOf(source: ByteSource): { abi: Abi; wide: boolean } {
  const abiOf = (byteOrder: Abi["byteOrder"]): Abi => ({ byteOrder, pageSize: 4096 });
  const size = sizeOf(elfIdent, abiOf("little"));
  const bytes = source.read(fileOffset(0), size);
  if (bytes.length < size) throw new KhoError("elf-truncated", "the ELF file ends in its header");
  const { EI_CLASS, EI_DATA } = decode(elfIdent, bytes, 0, abiOf("little"));
  if (EI_CLASS !== ELFCLASS32 && EI_CLASS !== ELFCLASS64) throw malformed("EI_CLASS", "1 or 2", EI_CLASS);
  if (EI_DATA !== ELFDATA2LSB && EI_DATA !== ELFDATA2MSB) throw malformed("EI_DATA", "1 or 2", EI_DATA);
  return { abi: abiOf(EI_DATA === ELFDATA2MSB ? "big" : "little"), wide: EI_CLASS === ELFCLASS64 };
}

const archOf = (machine: number): Image["arch"] =>
  machine === EM_X86_64 ? "x86_64" : machine === EM_AARCH64 ? "aarch64" : undefined;

function bytesOf(source: ByteSource, what: string, offset: bigint, size: bigint): Uint8Array {
  if (size > BigInt(maxSection))
    throw new KhoError("limit-exceeded", `the ${what} of the ELF file have ${size} bytes`, {
      expected: `at most ${maxSection}`,
      actual: String(size),
    });
  const end = offset + size;
  if (end > BigInt(source.size))
    throw new KhoError("elf-truncated", `the ELF file ends before its ${what}`, {
      expected: `a file of ${end} bytes`,
      actual: `${source.size} bytes`,
    });
  return source.read(fileOffset(Number(offset)), Number(size));
}

function nameIn(strings: Uint8Array, at: number): string {
  const name = strings.subarray(at, at + maxName);
  const end = name.indexOf(0);
  return textFromBytes(end < 0 ? name : name.subarray(0, end));
}
