import { KhoError } from "../report/error.js";
import { ELFMAG } from "./elf-layout.js";

/** What the first bytes of a file look like. `unknown` is everything without a signature, raw memory among it. */
export type FileKind =
  | "elf"
  | "fdt"
  | "gzip"
  | "zstd"
  | "xz"
  | "kdump"
  | "flattened"
  | "lime"
  | "avml"
  | "firecracker"
  | "qevm"
  | "unknown";

/** The compressed forms that are undone on reading. */
export type Compression = "gzip" | "zstd";

/** How many bytes from the start {@link sniff} looks at, at most. */
export const sniffLength = 16;

const ascii = (text: string): number[] => [...text].map((character) => character.charCodeAt(0));

/** Signatures at offset 0. None is the beginning of another, so their order does not matter. */
const signatures: readonly (readonly [FileKind, readonly number[]])[] = [
  ["elf", [...ELFMAG]],
  ["kdump", ascii("KDUMP   ")],
  ["kdump", ascii("DISKDUMP")],
  ["flattened", ascii("makedumpfile")],
  ["lime", ascii("EMiL")],
  ["avml", ascii("AVML")],
  ["fdt", [0xd0, 0x0d, 0xfe, 0xed]],
  ["firecracker", [0x00, 0x00, 0x64, 0x86, 0x84, 0x19, 0x10, 0x07]],
  ["firecracker", [0x00, 0x00, 0xaa, 0xaa, 0x84, 0x19, 0x10, 0x07]],
  ["qevm", ascii("QEVM")],
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

/** Recognises a file by its first bytes; {@link sniffLength} of them are enough. Never throws. */
export function sniff(first: Uint8Array): FileKind {
  const found = signatures.find(([, magic]) => magic.every((byte, i) => first[i] === byte));
  return found ? found[0] : "unknown";
}

/** What each format that cannot be read is, and what to do about it. */
const refusals = {
  kdump: "a kdump-compressed dump: capture it again as an ELF core, with `makedumpfile -E`",
  flattened:
    "a flattened dump, as QEMU's kdump formats and `makedumpfile -F` are: take an ELF core instead, with QEMU's `dump-guest-memory` without -z, -l and -s, or `makedumpfile -E`",
  lime: "a LiME dump: capture it again with format=padded, which can be read as raw memory",
  avml: "a compressed AVML dump: convert it to a raw image with `avml-convert` first",
  firecracker: "the state file of a Firecracker snapshot: name the memory file beside it instead",
  qevm: "a QEMU migration stream: take an ELF core with QEMU's `dump-guest-memory` instead",
  xz: "xz-compressed: decompress it with `xz -d` first",
  gzip: 'gzip-compressed: decompress it first, in a browser with `new DecompressionStream("gzip")`',
  zstd: "zstd-compressed: decompress it with `zstd -d` first",
} as const satisfies Partial<Record<FileKind, string>>;

/** The kinds that {@link refusal} has advice for. */
export type RefusedKind = keyof typeof refusals;

/** True for the kinds that cannot be read as memory where nothing decompresses them. */
export const isRefused = (kind: FileKind): kind is RefusedKind => Object.hasOwn(refusals, kind);

/** The error for a file that is recognised and cannot be read, with one sentence of advice. */
export const refusal = (kind: RefusedKind): KhoError =>
  new KhoError("unsupported-container", `the file is ${refusals[kind]}`, { actual: kind });
