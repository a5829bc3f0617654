import type { Memory, MemoryRange } from "../memory/memory.js";
import type { Finding } from "../report/finding.js";

/** A file, or a folder of files, that holds physical memory or pieces of a handover. */
export interface Image {
  /** `elf`: ELF64 core; `raw`: bytes from a base address on; `fdt`: one flattened tree; `debugfs`: a copied kho folder. */
  readonly kind: "elf" | "raw" | "fdt" | "debugfs";
  /** What it holds by physical address. Empty for `fdt` and `debugfs`, which do not say where their bytes were. */
  readonly memory: Memory;
  /** Machine that the container names; absent where it names none. */
  readonly arch?: "x86_64" | "aarch64";
  /** From the container: the ELF header. Absent where it says nothing. */
  readonly byteOrder?: "little" | "big";
  /** From VMCOREINFO, in bytes. */
  readonly pageSize?: number;
  /** From VMCOREINFO, `7.3.4`: the kernel that was running when the memory was dumped. */
  readonly release?: string;
  /** What is wrong with the container itself. */
  readonly findings: readonly Finding[];
  /** The single blob of an `fdt` image. */
  readonly blob?: Uint8Array;
  /** The files of a `debugfs` image. */
  readonly debugfs?: DebugfsFiles;
  /** Closes the file beneath, for an image that reads from an open one. Memory cannot be read any more. */
  readonly close?: () => void;
}

/** A copied `/sys/kernel/debug/kho` folder, or its `in` or `out` half. */
export interface DebugfsFiles {
  /** Which half was read: `in` is what this kernel received and complete, `out` what it is about to hand over. */
  readonly side: "in" | "out";
  /** The root tree as the file has it; `out/fdt` of 6.19 and later usually ends early. */
  readonly fdt?: Uint8Array;
  /** `sub_fdts/*` by name, in the order of the names. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  /** `out/scratch_phys` with `out/scratch_len`, where copied. */
  readonly scratch: readonly MemoryRange[];
}
