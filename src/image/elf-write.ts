import { type Abi, bytesFromText, encode, encodeInto, pageSizes, sizeOf } from "../layout/index.js";
import { endOfMemory, type Memory, type MemoryRange, physAddr } from "../memory/index.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import {
  ELFCLASS64,
  ELFDATA2LSB,
  ELFMAG,
  EM_AARCH64,
  EM_NONE,
  EM_X86_64,
  ET_CORE,
  EV_CURRENT,
  elf64Ehdr,
  elf64Nhdr,
  elf64Phdr,
  elf64Shdr,
  PF_R,
  PF_W,
  PN_XNUM,
  PT_LOAD,
  PT_NOTE,
  unknownPaddr,
} from "./elf-layout.js";
import { type CoreSegment, coreSegments } from "./elf-segments.js";
import type { Image } from "./image.js";
import { type VmcoreInfo, vmcoreInfoName, vmcoreInfoText } from "./vmcoreinfo.js";

/** What a core is to hold, and what it says of it. */
export interface CoreOptions {
  /** The memory to write; in any order, overlapping or not. All of it must be there. */
  readonly ranges: readonly MemoryRange[];
  /** Machine that the header names; none unless given. */
  readonly arch?: Image["arch"];
  /** Bytes of a page of the kernel that was running, to be recorded: 4096, 16384 or 65536. */
  readonly pageSize?: number;
  /** `uname -r` of the kernel that was running, to be recorded. Not of the one that wrote a handover. */
  readonly release?: string;
  /**
   * Whether pages of zeros are in the file. `store`, the default, has p_filesz equal to p_memsz everywhere: some
   * readers take what is not in the file for absent. `omit` leaves out 4K pages of zeros, a few at least.
   */
  readonly zeros?: "store" | "omit";
  /** Largest file in bytes; 2^53 - 1 unless given. */
  readonly maxSize?: number;
}

/** A core that is made piece by piece while it is read, so that it can be larger than memory. */
export interface ElfCore extends Iterable<Uint8Array> {
  /** Length of the file in bytes. */
  readonly size: number;
  /** Bytes of memory that are in the file. */
  readonly stored: number;
}

/** Every kernel with KHO is little-endian, and no ELF structure has a member that depends on the page size. */
const abi: Abi = { byteOrder: "little", pageSize: 4096 };
const ehdrSize = sizeOf(elf64Ehdr, abi);
const phdrSize = sizeOf(elf64Phdr, abi);
const shdrSize = sizeOf(elf64Shdr, abi);

/**
 * What segments begin at multiples of in the file, and what zeros are left out in multiples of: the smallest page,
 * because structures leave most of a larger one empty.
 */
const unit = pageSizes[0];
/** Bytes of memory in one piece at most. */
const pieceSize = 1 << 20;
/** Program headers in one piece at most. */
const headersAtOnce = 4096;

const machines = { x86_64: EM_X86_64, aarch64: EM_AARCH64 } as const;

/**
 * An ELF64 core that holds `ranges` of a memory by physical address: header, section header 0 where there are 0xffff
 * or more segments, program headers ascending by address, notes, memory. The same input gives the same bytes. Nothing
 * is stored before it is iterated, any number of times; the memory must not change from the call on. Pieces may be views
 * of the memory: do not write to them.
 * @throws KhoError `value-range` for a page size, release or number of segments that cannot be written;
 * `limit-exceeded` for a file of more than `maxSize` bytes; `memory-absent`, here or while it is iterated, if the
 * memory lacks some of the ranges; `io`
 */
export function elfCore(memory: Memory, options: CoreOptions): ElfCore {
  const { ranges, arch, zeros = "store", maxSize = Number.MAX_SAFE_INTEGER } = options;
  requireSane(options);
  const notes = notesOf(options);
  const noteHeaders = notes.length > 0 ? 1 : 0;
  // Zeros are not worth the extended count, which not every reader knows.
  const loads = coreSegments(memory, ranges, unit, zeros === "omit", PN_XNUM - 1 - noteHeaders);
  const count = loads.length + noteHeaders;
  if (count >= 2 ** 32)
    throw new KhoError("value-range", `a core cannot have ${count} segments`, { actual: `${count}` });
  const extended = count >= PN_XNUM;
  const tableAt = ehdrSize + (extended ? shdrSize : 0);
  const notesAt = tableAt + count * phdrSize;
  const dataAt = aligned(BigInt(notesAt + notes.length));
  const stored = loads.reduce((sum, load) => sum + load.stored, 0n);
  let size = BigInt(notesAt + notes.length);
  for (const load of loads) if (load.stored > 0n) size = aligned(size) + load.stored;
  if (size > BigInt(maxSize))
    throw new KhoError("limit-exceeded", `the core would have ${size} bytes`, {
      expected: `at most ${maxSize} bytes`,
      actual: `${size} bytes`,
    });

  function* pieces(): Generator<Uint8Array> {
    yield headerPiece(arch, count, extended, tableAt);
    if (notes.length > 0) yield noteHeader(notesAt, notes.length);
    yield* tablePieces(loads, dataAt);
    yield notes;
    let at = notesAt + notes.length;
    for (const { pa, stored: bytes } of loads) {
      if (bytes === 0n) continue;
      const padding = -at & (unit - 1);
      if (padding > 0) yield new Uint8Array(padding);
      for (let done = 0n; done < bytes; done += BigInt(pieceSize)) {
        const rest = bytes - done;
        yield memory.read(physAddr(pa + done), rest < pieceSize ? Number(rest) : pieceSize);
      }
      at += padding + Number(bytes);
    }
  }
  return { size: Number(size), stored: Number(stored), [Symbol.iterator]: pieces };
}

/**
 * {@link elfCore} in one buffer.
 * @throws KhoError as it does; `limit-exceeded` also for more bytes than a buffer can have
 */
export function elfCoreBytes(memory: Memory, options: CoreOptions): Uint8Array {
  const core = elfCore(memory, { maxSize: maxBuffer, ...options });
  const whole = new Uint8Array(core.size);
  let at = 0;
  for (const piece of core) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** What every engine can allocate. */
const maxBuffer = 2 ** 31 - 1;

const aligned = (at: bigint): bigint => ((at + BigInt(unit) - 1n) / BigInt(unit)) * BigInt(unit);

function requireSane({ pageSize, ranges }: CoreOptions): void {
  if (pageSize !== undefined && !pageSizes.some((size) => size === pageSize))
    throw new KhoError("value-range", `no kernel with KHO has pages of ${pageSize} bytes`, {
      expected: pageSizes.join(", "),
      actual: String(pageSize),
    });
  for (const { pa, size } of ranges)
    if (pa < 0n || size < 0n || pa + size > endOfMemory)
      throw new KhoError("value-range", `there is no memory of ${hex(size)} bytes at ${hex(pa)}`, {
        pa,
        expected: "a range below 2^64",
      });
    else if (pa === unknownPaddr && size > 0n)
      throw new KhoError("value-range", "a core cannot hold the last byte of the address space alone", {
        pa,
        expected: `a range that begins below ${hex(unknownPaddr)}, which stands for an address that is not known`,
      });
}

/** Contents of the PT_NOTE segment; empty where nothing is known. */
function notesOf({ pageSize, release }: CoreOptions): Uint8Array {
  const info: VmcoreInfo = {
    ...(release !== undefined && { release }),
    ...(pageSize !== undefined && { pageSize }),
  };
  const desc = bytesFromText(vmcoreInfoText(info));
  if (desc.length === 0) return desc;
  const name = bytesFromText(`${vmcoreInfoName}\0`);
  const header = encode(elf64Nhdr, { n_namesz: name.length, n_descsz: desc.length, n_type: 0 }, abi);
  const padded = (length: number): number => Math.ceil(length / 4) * 4;
  const note = new Uint8Array(header.length + padded(name.length) + padded(desc.length));
  note.set(header);
  note.set(name, header.length);
  note.set(desc, header.length + padded(name.length));
  return note;
}

/** The ELF header and, for an extended count, section header 0 behind it. */
function headerPiece(arch: Image["arch"], count: number, extended: boolean, tableAt: number): Uint8Array {
  const piece = new Uint8Array(tableAt);
  const ehdr = {
    e_ident: {
      EI_MAG: ELFMAG,
      EI_CLASS: ELFCLASS64,
      EI_DATA: ELFDATA2LSB,
      EI_VERSION: EV_CURRENT,
      EI_OSABI: 0,
      EI_PAD: new Uint8Array(8),
    },
    e_type: ET_CORE,
    e_machine: arch ? machines[arch] : EM_NONE,
    e_version: EV_CURRENT,
    e_entry: 0n,
    e_phoff: BigInt(tableAt),
    e_shoff: extended ? BigInt(ehdrSize) : 0n,
    e_flags: 0,
    e_ehsize: ehdrSize,
    e_phentsize: phdrSize,
    e_phnum: extended ? PN_XNUM : count,
    e_shentsize: extended ? shdrSize : 0,
    e_shnum: extended ? 1 : 0,
    e_shstrndx: 0,
  };
  encodeInto(elf64Ehdr, ehdr, piece, 0, abi);
  if (extended) encodeInto(elf64Shdr, { ...nullSection, sh_info: count }, piece, ehdrSize, abi);
  return piece;
}

const nullSection = {
  sh_name: 0,
  sh_type: 0,
  sh_flags: 0n,
  sh_addr: 0n,
  sh_offset: 0n,
  sh_size: 0n,
  sh_link: 0,
  sh_info: 0,
  sh_addralign: 0n,
  sh_entsize: 0n,
};

const noteHeader = (at: number, length: number): Uint8Array =>
  encode(
    elf64Phdr,
    {
      p_type: PT_NOTE,
      p_flags: PF_R,
      p_offset: BigInt(at),
      p_vaddr: 0n,
      p_paddr: physAddr(0),
      p_filesz: BigInt(length),
      p_memsz: 0n,
      p_align: 4n,
    },
    abi,
  );

/** Program headers of memory. What is physical has no virtual address: p_vaddr is 0. */
function* tablePieces(loads: readonly CoreSegment[], dataAt: bigint): Generator<Uint8Array> {
  let offset = dataAt;
  for (let done = 0; done < loads.length; done += headersAtOnce) {
    const some = loads.slice(done, done + headersAtOnce);
    const piece = new Uint8Array(some.length * phdrSize);
    for (const [i, { pa, stored, size }] of some.entries()) {
      const phdr = {
        p_type: PT_LOAD,
        p_flags: PF_R | PF_W,
        p_offset: stored > 0n ? offset : 0n,
        p_vaddr: 0n,
        p_paddr: pa,
        p_filesz: stored,
        p_memsz: size,
        p_align: BigInt(unit),
      };
      encodeInto(elf64Phdr, phdr, piece, i * phdrSize, abi);
      offset = aligned(offset + stored);
    }
    yield piece;
  }
}
