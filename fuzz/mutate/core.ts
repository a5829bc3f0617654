/**
 * ELF cores as mutators take them apart and put them together again. Two fields of the header that no reader of cores looks
 * at say how a target is to open it: `e_entry` has the address of the hand-off record or device tree, 0 for none, and
 * `e_flags` the release that reads, as a row of the release table counted from 1, 0 for the one that decoding guesses.
 */
import { kernels } from "../../formats/kernels.js";
import {
  ELFCLASS64,
  ELFDATA2LSB,
  ELFMAG,
  ET_CORE,
  EV_CURRENT,
  elf64Ehdr,
  elf64Phdr,
  PF_R,
  PF_W,
  PT_LOAD,
} from "../../src/image/elf-layout.js";
import type { Image } from "../../src/image/image.js";
import { openSource } from "../../src/image/open.js";
import { type Abi, decode, encodeInto, sizeOf } from "../../src/layout/index.js";
import { bytesSource, type PhysAddr, physAddr } from "../../src/memory/index.js";

/** How a core asks to be read. */
export interface Reading {
  /** `e_machine` */
  readonly machine: number;
  readonly handoff: bigint;
  /** Row of the release table, from 1; 0 for none. */
  readonly row: number;
}

/** A core in pieces: pages of 4 KiB by number, which are not to be written to, but replaced. */
export interface Core extends Reading {
  readonly frames: ReadonlyMap<number, Uint8Array>;
}

/** Size of a frame in bytes, whatever the pages of the machine. */
export const frameSize = 4096;
/** Cores of more frames are not taken apart: these are no seeds of ours. */
const mostFrames = 8192;

const abi: Abi = { byteOrder: "little", pageSize: frameSize };
const headSize = sizeOf(elf64Ehdr, abi);
const entrySize = sizeOf(elf64Phdr, abi);
/** Trailing zeros that are worth a segment of their own. */
const worthCutting = entrySize;

/** What the header asks for; undefined if the bytes are no core. */
export function readingOf(data: Uint8Array): Reading | undefined {
  if (data.length < headSize) return undefined;
  const { e_machine: machine, e_entry: handoff, e_flags: row } = decode(elf64Ehdr, data, 0, abi);
  return { machine, handoff, row };
}

/** The release that a core asks to be read as. */
export const releaseAsked = ({ row }: Reading): string | undefined =>
  row === 0 ? undefined : kernels[(row - 1) % kernels.length]!.release;

/** Takes a core apart; undefined if that is too damaged, or too large. */
export function readCore(data: Uint8Array): Core | undefined {
  const reading = readingOf(data);
  let image: Image;
  try {
    image = openSource(bytesSource(data));
  } catch {
    return undefined;
  }
  if (!reading || image.kind !== "elf") return undefined;
  const frames = framesOf(image);
  return frames && { ...reading, frames };
}

/** The frames that an image has a part of, with zeros where it has none; undefined if they are too many. */
export function framesOf({ memory }: Pick<Image, "memory">): Map<number, Uint8Array> | undefined {
  const frames = new Map<number, Uint8Array>();
  for (const { pa, size, zeros } of memory.ranges) {
    const end = pa + size;
    if (size > BigInt(mostFrames * frameSize)) return undefined;
    for (let at: bigint = pa; at < end; ) {
      const number = Number(at / BigInt(frameSize));
      const into = Number(at % BigInt(frameSize));
      const count = Math.min(frameSize - into, Number(end - at));
      let frame = frames.get(number);
      if (!frame) frames.set(number, (frame = new Uint8Array(frameSize)));
      if (!zeros) frame.set(memory.read(at as PhysAddr, count), into);
      at += BigInt(count);
    }
    if (frames.size > mostFrames) return undefined;
  }
  return frames;
}

interface Segment {
  readonly pa: PhysAddr;
  readonly parts: Uint8Array[];
  /** Bytes in memory; those behind what is stored are zeros. */
  size: number;
  stored: number;
}

/** A core as bytes. Small: zeros at the end of a frame are not in the file. */
export function writeCore(core: Core): Uint8Array {
  const segments: Segment[] = [];
  for (const number of [...core.frames.keys()].sort((a, b) => a - b)) {
    const bytes = core.frames.get(number)!;
    const used = usedLength(bytes);
    const pa = physAddr(BigInt(number) * BigInt(frameSize));
    const last = segments.at(-1);
    const tail = last ? last.size - last.stored : 0;
    if (last && last.pa + BigInt(last.size) === pa && (tail < worthCutting || used === 0)) {
      last.size += frameSize;
      if (used === 0) continue;
      last.parts.push(new Uint8Array(tail), bytes.subarray(0, used));
      last.stored += tail + used;
    } else segments.push({ pa, parts: [bytes.subarray(0, used)], size: frameSize, stored: used });
  }
  const dataAt = headSize + segments.length * entrySize;
  const file = new Uint8Array(segments.reduce((sum, { stored }) => sum + stored, dataAt));
  encodeInto(elf64Ehdr, headerOf(core, segments.length), file, 0, abi);
  let at = dataAt;
  for (const [i, { pa, parts, size, stored }] of segments.entries()) {
    const header = {
      p_type: PT_LOAD,
      p_flags: PF_R | PF_W,
      p_offset: BigInt(at),
      p_vaddr: 0n,
      p_paddr: pa,
      p_filesz: BigInt(stored),
      p_memsz: BigInt(size),
      p_align: 1n,
    };
    encodeInto(elf64Phdr, header, file, headSize + i * entrySize, abi);
    for (const part of parts) {
      file.set(part, at);
      at += part.length;
    }
  }
  return file;
}

function usedLength(bytes: Uint8Array): number {
  let used = bytes.length;
  while (used > 0 && bytes[used - 1] === 0) used--;
  return used;
}

const headerOf = ({ machine, handoff, row }: Reading, segments: number) => ({
  e_ident: {
    EI_MAG: ELFMAG,
    EI_CLASS: ELFCLASS64,
    EI_DATA: ELFDATA2LSB,
    EI_VERSION: EV_CURRENT,
    EI_OSABI: 0,
    EI_PAD: new Uint8Array(8),
  },
  e_type: ET_CORE,
  e_machine: machine,
  e_version: EV_CURRENT,
  e_entry: handoff,
  e_phoff: BigInt(headSize),
  e_shoff: 0n,
  e_flags: row,
  e_ehsize: headSize,
  e_phentsize: entrySize,
  e_phnum: segments,
  e_shentsize: 0,
  e_shnum: 0,
  e_shstrndx: 0,
});
