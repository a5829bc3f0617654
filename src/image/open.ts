import { fileOffset } from "../memory/address.js";
import { segmentedMemory } from "../memory/segments.js";
import type { ByteSource } from "../memory/source.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import { type ElfOptions, elfImage } from "./elf.js";
import type { Image } from "./image.js";
import { rawImage } from "./raw.js";
import { isRefused, refusal, sniff, sniffLength } from "./sniff.js";

/** How to open a file whose bytes are at hand. */
export interface SourceOptions extends ElfOptions {
  /** Physical address in bytes of the first byte of raw memory; 0 unless given. Says that the file is raw memory. */
  readonly base?: bigint;
  /** True to read the bytes as raw memory whatever they begin with. */
  readonly raw?: boolean;
}

/** A larger file that begins with a tree is memory that happens to begin with one: the kernel's trees are of pages. */
const maxFdtFile = 2 * 1024 * 1024;

/**
 * Opens uncompressed bytes by what they begin with: an ELF64 core, one flattened tree, or raw memory. Bytes without
 * a signature are raw memory; if the caller did not say so, a finding tells that it is a guess.
 * @throws KhoError `unsupported-container` with advice, for formats that are recognised but not read, compressed ones
 * among them; `usage` if a base address is given for a core, which knows its addresses; those of {@link elfImage}
 */
export function openSource(source: ByteSource, options: SourceOptions = {}): Image {
  const { base, raw = false } = options;
  if (source.size === 0) throw new KhoError("unsupported-container", "the file is empty: copy it again");
  if (raw) return rawImage(source, base);
  const kind = sniff(source.read(fileOffset(0), sniffLength));
  if (isRefused(kind)) throw refusal(kind);
  if (kind === "elf") {
    if (base === undefined) return elfImage(source, options);
    throw new KhoError(
      "usage",
      "an ELF file says itself where its memory was: leave out the base, or ask for raw",
      {
        actual: `base ${hex(base)}`,
      },
    );
  }
  if (base !== undefined) return rawImage(source, base);
  if (kind === "fdt" && source.size <= maxFdtFile) return fdtImage(source);
  const image = rawImage(source);
  const message = "the file has no signature that is known; it is taken for raw memory from address 0 on";
  const finding = {
    severity: "info",
    code: "container-guessed",
    pa: 0n,
    length: 0,
    path: "",
    message,
  } as const;
  return { ...image, findings: [finding] };
}

function fdtImage(source: ByteSource): Image {
  const blob = source.read(fileOffset(0), source.size);
  return { kind: "fdt", memory: segmentedMemory([]).memory, findings: [], blob };
}
