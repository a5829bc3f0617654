import { type Abi, decode, sizeOf, textFromBytes, type ValueOf, view } from "../layout/index.js";
import { endOfMemory, fileOffset, physAddr } from "../memory/address.js";
import type { Memory } from "../memory/memory.js";
import { type Overlap, type Segment, segmentedMemory } from "../memory/segments.js";
import type { ByteSource } from "../memory/source.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import {
  ELFCLASS32,
  ELFCLASS64,
  ELFDATA2LSB,
  ELFDATA2MSB,
  EM_AARCH64,
  EM_X86_64,
  ET_CORE,
  EV_CURRENT,
  elf64Ehdr,
  elf64Nhdr,
  elf64Phdr,
  elf64Shdr,
  elfIdent,
  PN_XNUM,
  PT_LOAD,
  PT_NOTE,
  unknownPaddr,
} from "./elf-layout.js";
import { type FindingLog, findingLog } from "./findings.js";
import type { Image } from "./image.js";
import { parseVmcoreInfo, type VmcoreInfo, vmcoreInfoName } from "./vmcoreinfo.js";

/** Limits on what an ELF core can make the reader do. */
export interface ElfOptions {
  /** How many program headers are looked at; 2^20 unless given. More end in a `limit-exceeded` finding. */
  readonly maxSegments?: number;
}

/** Default of {@link ElfOptions.maxSegments}: sixteen times what fits without PN_XNUM. */
export const defaultMaxSegments = 1 << 20;

/** How much of the program header table is read at once, in bytes. */
const chunkBytes = 256 * 1024;
/** Bounds on the notes of all PT_NOTE segments together. A CPU has a few hundred bytes of notes. */
const maxNoteBytes = 64 * 1024 * 1024;
const maxNotes = 1 << 16;
/** The kernel's VMCOREINFO is at most a page. */
const maxVmcoreInfo = 64 * 1024;

/** File offsets are numbers, exact below this. */
const maxOffset = BigInt(Number.MAX_SAFE_INTEGER);

type Ehdr = ValueOf<typeof elf64Ehdr>;
type Phdr = Readonly<ValueOf<typeof elf64Phdr>>;

/** None of the ELF structures has a member that depends on the page size, but an ABI always names one. */
const abiOf = (byteOrder: Abi["byteOrder"]): Abi => ({ byteOrder, pageSize: 4096 });

/**
 * An ELF64 core of either byte order: /proc/vmcore, QEMU's dump-guest-memory, `makedumpfile -E`. Only headers and
 * notes are read here; memory is read from `source` when it is asked for.
 *
 * PT_LOAD segments may come in any order and may overlap (the first in the file wins, `segment-overlap`). Where
 * `p_filesz` is less than `p_memsz` the rest is zeros. Bytes that a segment promises and the file does not hold are
 * absent, not zeros (`elf-truncated`).
 * @throws KhoError `elf-truncated` or `elf-malformed` if the ELF header itself cannot be used;
 * `unsupported-container` if it is not an ELF64 core; `io`
 */
export function elfImage(source: ByteSource, options: ElfOptions = {}): Image {
  const { ehdr, abi } = readEhdr(source);
  const log = findingLog();
  const segments: Segment[] = [];
  const info: { value: VmcoreInfo } = { value: {} };
  const budget = { bytes: maxNoteBytes, notes: maxNotes };
  const loads = { count: 0, atZero: 0 };
  for (const phdr of programHeaders(source, ehdr, abi, options.maxSegments ?? defaultMaxSegments, log)) {
    const type = phdr.p_type;
    if (type === PT_LOAD) {
      loads.count++;
      if (phdr.p_paddr === 0n) loads.atZero++;
      addSegment(source, phdr, segments, log);
    } else if (type === PT_NOTE) info.value = { ...readNotes(source, phdr, abi, budget, log), ...info.value };
  }
  if (loads.count === 0) log.add("elf-malformed", "the core has no PT_LOAD segment: it holds no memory");
  if (loads.count > 1 && loads.atZero === loads.count)
    log.add(
      "unsupported-container",
      "every segment has physical address 0: a core of a process, not of a kernel",
      {
        severity: "warning",
      },
    );
  const { memory, overlaps } = segmentedMemory(segments);
  const alike = sameBytes(segments, memory);
  for (const overlap of overlaps) {
    const { pa, size } = overlap;
    // The kernel's own cores hold its text twice: in a segment of its own and among the memory it lies in.
    const harmless = alike(overlap);
    log.add(
      "segment-overlap",
      harmless
        ? `two or more segments hold the same ${hex(size)} bytes at ${hex(pa)}`
        : `two or more segments hold ${hex(size)} bytes at ${hex(pa)}, not known to be the same; the first is used`,
      { severity: harmless ? "info" : "warning", pa, length: Number(size) },
    );
  }
  const arch = archOf(ehdr, abi);
  return {
    kind: "elf",
    memory,
    byteOrder: abi.byteOrder,
    ...(arch && { arch }),
    ...info.value,
    findings: log.all(),
  };
}

/** Bytes of overlaps that are compared, all together, and how many overlaps. */
const maxCompared = 128 << 20;
const maxOverlaps = 64;

/** Tells whether all segments agree about an overlap, as far as {@link maxCompared} goes. */
function sameBytes(segments: readonly Segment[], memory: Memory): (overlap: Overlap) => boolean {
  let left = maxCompared;
  let overlaps = 0;
  const step = 1 << 20;
  return ({ pa, size }) => {
    if (++overlaps > maxOverlaps) return false;
    for (const segment of segments) {
      const from = max(segment.pa, pa);
      const until = min(segment.pa + segment.size, pa + size);
      for (let at: bigint = from; at < until; at += BigInt(step)) {
        const length = Number(min(BigInt(step), until - at));
        const stored = segment.source?.read(fileOffset(segment.at + Number(at - segment.pa)), length);
        left -= length;
        if (!stored || stored.length < length || left < 0) return false;
        const used = memory.read(physAddr(at), length);
        if (stored.some((byte, i) => byte !== used[i])) return false;
      }
    }
    return true;
  };
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const max = (a: bigint, b: bigint): bigint => (a < b ? b : a);

/** x86-64 exists in little-endian only, so a big-endian header with its number names no machine. */
function archOf({ e_machine }: Ehdr, { byteOrder }: Abi): Image["arch"] {
  if (e_machine === EM_X86_64 && byteOrder === "little") return "x86_64";
  return e_machine === EM_AARCH64 ? "aarch64" : undefined;
}

/** The ELF header, checked to be that of an ELF64 core. */
function readEhdr(source: ByteSource): { ehdr: Ehdr; abi: Abi } {
  const first = source.read(fileOffset(0), sizeOf(elf64Ehdr, abiOf("little")));
  const tooShort = (): KhoError =>
    new KhoError("elf-truncated", `the file ends in the ELF header, after ${first.length} bytes`, {
      length: first.length,
      expected: `${sizeOf(elf64Ehdr, abiOf("little"))} bytes`,
      actual: `${first.length} bytes`,
    });
  if (first.length < sizeOf(elfIdent, abiOf("little"))) throw tooShort();
  const ident = decode(elfIdent, first, 0, abiOf("little"));
  if (ident.EI_CLASS === ELFCLASS32)
    throw new KhoError(
      "unsupported-container",
      "the file is a 32-bit ELF: capture the memory as an ELF64 core, as every kernel with KHO is 64-bit",
      { expected: "ELFCLASS64", actual: "ELFCLASS32" },
    );
  if (ident.EI_CLASS !== ELFCLASS64) throw malformed("EI_CLASS", "1 or 2", ident.EI_CLASS);
  if (ident.EI_DATA !== ELFDATA2LSB && ident.EI_DATA !== ELFDATA2MSB)
    throw malformed("EI_DATA", "1 or 2", ident.EI_DATA);
  if (ident.EI_VERSION !== EV_CURRENT) throw malformed("EI_VERSION", "1", ident.EI_VERSION);
  const abi = abiOf(ident.EI_DATA === ELFDATA2MSB ? "big" : "little");
  if (first.length < sizeOf(elf64Ehdr, abi)) throw tooShort();
  const ehdr = decode(elf64Ehdr, first, 0, abi);
  if (ehdr.e_type !== ET_CORE)
    throw new KhoError(
      "unsupported-container",
      "the file is an ELF object or program, not a core: name the capture of the memory, not the kernel image",
      { expected: "e_type 4 (ET_CORE)", actual: `e_type ${ehdr.e_type}` },
    );
  return { ehdr, abi };
}

const malformed = (field: string, expected: string, actual: number | bigint): KhoError =>
  new KhoError("elf-malformed", `${field} of the ELF header is ${actual}`, {
    expected,
    actual: String(actual),
  });

/** Every program header that the file holds, at most `limit`, read in chunks. */
function* programHeaders(
  source: ByteSource,
  ehdr: Ehdr,
  abi: Abi,
  limit: number,
  log: FindingLog,
): Generator<Phdr> {
  const promised = headerCount(source, ehdr, abi, log);
  if (promised === 0) return;
  const size = sizeOf(elf64Phdr, abi);
  const stride = ehdr.e_phentsize;
  if (stride < size) throw malformed("e_phentsize", `at least ${size}`, stride);
  if (ehdr.e_phoff > maxOffset) throw malformed("e_phoff", "below 2^53", ehdr.e_phoff);
  const start = Number(ehdr.e_phoff);
  // The last entry needs the structure only, not the whole stride.
  const room = source.size - start;
  const held = room < size ? 0 : Math.floor((room - size) / stride) + 1;
  if (promised > held)
    log.add("elf-truncated", `the file ends after ${held} of ${promised} program headers`, {
      expected: `${promised} program headers`,
      actual: `${held}`,
    });
  const wanted = Math.min(promised, held);
  if (wanted > limit)
    log.add("limit-exceeded", `only ${limit} of ${wanted} program headers are read; raise maxSegments`, {
      expected: `at most ${limit}`,
      actual: `${wanted}`,
    });
  const count = Math.min(wanted, limit);
  const perChunk = Math.max(1, Math.floor(chunkBytes / stride));
  for (let done = 0; done < count; ) {
    const next = Math.min(perChunk, count - done);
    const chunk = source.read(fileOffset(start + done * stride), (next - 1) * stride + size);
    for (let i = 0; i < next; i++) {
      // A file that has shrunk since it was opened.
      if (i * stride + size > chunk.length) {
        log.add("elf-truncated", "the file became shorter while its program headers were read");
        return;
      }
      yield view(elf64Phdr, chunk, i * stride, abi);
    }
    done += next;
  }
}

/** How many program headers the file says it has. */
function headerCount(source: ByteSource, ehdr: Ehdr, abi: Abi, log: FindingLog): number {
  if (ehdr.e_phnum !== PN_XNUM) return ehdr.e_phnum;
  const size = sizeOf(elf64Shdr, abi);
  if (ehdr.e_shoff > 0n && ehdr.e_shoff <= maxOffset) {
    const header = source.read(fileOffset(Number(ehdr.e_shoff)), size);
    if (header.length === size) return decode(elf64Shdr, header, 0, abi).sh_info;
  }
  log.add(
    "elf-malformed",
    `e_phnum refers to section header 0, which is not in the file; ${PN_XNUM} program headers are assumed`,
    { expected: "a section header at e_shoff", actual: hex(ehdr.e_shoff) },
  );
  return PN_XNUM;
}

/** Turns a PT_LOAD into the pieces of memory that it really holds. */
function addSegment(source: ByteSource, phdr: Phdr, segments: Segment[], log: FindingLog): void {
  const { p_paddr: pa, p_offset: offset } = phdr;
  let { p_filesz: inFile, p_memsz: inMemory } = phdr;
  if (inFile === 0n && inMemory === 0n) return;
  if (pa === unknownPaddr) {
    log.add(
      "memory-absent",
      `a segment of ${hex(inMemory)} bytes is left out: its physical address is not known`,
      {
        severity: "info",
      },
    );
    return;
  }
  const at = { pa, length: Number(inMemory) };
  if (inFile > inMemory) {
    log.add("elf-malformed", `the segment at ${hex(pa)} has more bytes in the file than in memory`, {
      ...at,
      expected: `p_filesz of at most ${hex(inMemory)}`,
      actual: hex(inFile),
    });
    inFile = inMemory;
  }
  if (pa + inMemory > endOfMemory) {
    log.add("elf-malformed", `the segment at ${hex(pa)} of ${hex(inMemory)} bytes goes beyond 2^64`, at);
    inMemory = endOfMemory - pa;
    if (inFile > inMemory) inFile = inMemory;
  }
  if (inFile > 0n) {
    const size = held(source, offset, inFile);
    if (offset > maxOffset)
      log.add("elf-malformed", `the segment at ${hex(pa)} is at a file offset of 2^53 or more`, {
        ...at,
        actual: hex(offset),
      });
    else if (size < inFile)
      log.add(
        "elf-truncated",
        `the file holds ${hex(size)} of ${hex(inFile)} bytes of the segment at ${hex(pa)}`,
        {
          pa: pa + size,
          length: Number(inFile - size),
          expected: `a file of ${hex(offset + inFile)} bytes`,
          actual: hex(source.size),
        },
      );
    if (size > 0n) segments.push({ pa, size, source, at: Number(offset) });
  }
  if (inMemory > inFile) segments.push({ pa: physAddr(pa + inFile), size: inMemory - inFile, at: 0 });
}

/** How many of `size` bytes at `offset` the file holds. */
function held(source: ByteSource, offset: bigint, size: bigint): bigint {
  const rest = BigInt(source.size) - offset;
  return rest <= 0n ? 0n : rest < size ? rest : size;
}

const padded = (length: number): number => Math.ceil(length / 4) * 4;

/** Walks one PT_NOTE segment for VMCOREINFO. `budget` is shared by all of them. */
function readNotes(
  source: ByteSource,
  phdr: Phdr,
  abi: Abi,
  budget: { bytes: number; notes: number },
  log: FindingLog,
): VmcoreInfo {
  const { p_offset: offset, p_filesz: size } = phdr;
  const available = offset > maxOffset ? 0n : held(source, offset, size);
  if (available < size)
    log.add("elf-truncated", `the file holds ${hex(available)} of ${hex(size)} bytes of notes`, {
      severity: "warning",
    });
  const length = Math.min(Number(available), budget.bytes);
  budget.bytes -= length;
  const header = sizeOf(elf64Nhdr, abi);
  const end = Number(offset) + length;
  for (let at = Number(offset); at + header <= end; ) {
    if (budget.notes-- <= 0) {
      log.add("limit-exceeded", `only ${maxNotes} notes are read`, { severity: "warning" });
      return {};
    }
    const bytes = source.read(fileOffset(at), header);
    if (bytes.length < header) return {};
    const { n_namesz, n_descsz } = decode(elf64Nhdr, bytes, 0, abi);
    const nameAt = at + header;
    const descAt = nameAt + padded(n_namesz);
    const next = descAt + padded(n_descsz);
    if (descAt + n_descsz > end) {
      log.add("elf-malformed", `a note at file offset ${hex(at)} goes beyond its segment`, {
        severity: "warning",
        length: header + padded(n_namesz) + n_descsz,
      });
      return {};
    }
    // The name is counted with its NUL.
    if (n_namesz === vmcoreInfoName.length + 1) {
      const name = source.read(fileOffset(nameAt), vmcoreInfoName.length);
      if (textFromBytes(name) === vmcoreInfoName) {
        if (n_descsz > maxVmcoreInfo)
          log.add("limit-exceeded", `only ${maxVmcoreInfo} of ${n_descsz} bytes of VMCOREINFO are read`, {
            severity: "warning",
          });
        return parseVmcoreInfo(source.read(fileOffset(descAt), Math.min(n_descsz, maxVmcoreInfo)), log);
      }
    }
    at = next;
  }
  if (length < Number(available))
    log.add("limit-exceeded", `only ${maxNoteBytes} bytes of notes are read`, { severity: "warning" });
  return {};
}
