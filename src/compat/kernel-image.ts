/** What a kernel image says of the handovers that it writes and takes. */
import { findKernel, type Kernel } from "../../formats/kernels.js";
import {
  LIVEUPDATE_FEATURES_SECTION,
  LIVEUPDATE_VERSIONS_SECTION,
  type LiveupdateFeature,
  readLiveupdateFeatures,
  readLiveupdateVersions,
} from "../../formats/proposed/versions-section.js";
import { looksLikeBtf, readBtf } from "../btf/read.js";
import type { Btf } from "../btf/types.js";
import { isBzImage, payloadCompression, readBzImage } from "../image/bzimage.js";
import { decompress } from "../image/decompress.js";
import { type ElfSections, elfSections } from "../image/elf-sections.js";
import type { Image } from "../image/image.js";
import { sniff, sniffLength } from "../image/sniff.js";
import { type ByteSource, bytesSource, fileOffset } from "../memory/index.js";
import { isKhoError, KhoError } from "../report/error.js";
import type { AbiDifference } from "./abi/compare.js";
import { agreementWith, differencesOf, identify } from "./abi/identify.js";
import { type AbiSource, abiOfBtf, abiOfRelease } from "./abi/source.js";

/** A kernel as far as it can be known from its release, its image, or its types alone. */
export interface KernelImage {
  readonly kind: "release" | "btf" | "vmlinux" | "bzImage";
  /** As `uname -r` has it; absent where nothing says it. */
  readonly release?: string;
  /** The formats of that release, or of the one whose structures it has; absent if there is none. */
  readonly kernel?: Kernel;
  /** How release and formats are known, as a sentence. */
  readonly evidence: string;
  /** True if the release was worked out from the structures and could be another one. */
  readonly guessed: boolean;
  readonly arch?: Image["arch"];
  /** The structures of the kernel itself; absent where the image has no types. */
  readonly abi?: AbiSource;
  /** Its types, absent likewise. */
  readonly btf?: Btf;
  /** What its own structures have otherwise than ours of {@link kernel}. */
  readonly differences: readonly AbiDifference[];
  /** What `.liveupdate_versions` lists, where a kernel has it. Proposed, in no release. */
  readonly versions?: readonly string[];
  /** What `.liveupdate_features` lists, likewise. */
  readonly features?: readonly LiveupdateFeature[];
}

/** Bounds of what an image may unpack to; 512 MiB unless given. */
export interface KernelImageOptions {
  readonly maxDecompressed?: number;
}

/** A release that is known by its name alone: `kernel` is what `kernelOf` gives for it. */
export const kernelImageOf = (kernel: Kernel, release: string): KernelImage => ({
  kind: "release",
  release,
  kernel,
  evidence: "named",
  guessed: false,
  differences: [],
});

/** The structures of an image where it has types, else ours of its release. */
export const abiOf = ({ abi, kernel }: KernelImage, pageSize = 4096): AbiSource | undefined =>
  abi ?? (kernel && abiOfRelease(kernel, pageSize));

/** As {@link readKernelSource}, of bytes in memory. */
export const readKernelImage = (bytes: Uint8Array, options: KernelImageOptions = {}): KernelImage =>
  readKernelSource(bytesSource(bytes), options);

/**
 * Reads vmlinux, raw BTF as /sys/kernel/btf/vmlinux has it, or a bzImage, each as it is or compressed with gzip or zstd.
 * @throws KhoError `kernel-image-unknown` for anything else; those of the ELF and BTF readers and of the decompression
 */
export function readKernelSource(source: ByteSource, options: KernelImageOptions = {}): KernelImage {
  const first = source.read(fileOffset(0), sniffLength);
  const kind = sniff(first);
  if (kind === "gzip" || kind === "zstd") return readPlain(decompress(source, kind, options), options);
  return readPlain(source, options);
}

function readPlain(source: ByteSource, options: KernelImageOptions): KernelImage {
  const first = source.read(fileOffset(0), sniffLength);
  const kind = sniff(first);
  if (kind === "elf") return fromVmlinux(elfSections(source), "vmlinux", {});
  if (looksLikeBtf(first)) return fromBtf(readBtf(source.read(fileOffset(0), source.size)), "btf", {});
  const head = source.read(fileOffset(0), maxBzImage);
  if (isBzImage(head)) return fromBzImage(head, options);
  throw new KhoError("kernel-image-unknown", "the file is none that a kernel comes in", {
    expected:
      "vmlinux, BTF as /sys/kernel/btf/vmlinux, or a bzImage; as it is or compressed with gzip or zstd",
    actual: kind === "unknown" ? "an unknown format" : kind,
  });
}

/** A bzImage with every driver built in has 50 MiB. */
const maxBzImage = 256 << 20;
/** Bytes of read-only data that are searched for the banner, which is near the beginning of it. */
const maxBanner = 64 << 20;

/** What is known besides the types. */
type Known = Pick<KernelImage, "release" | "arch" | "versions" | "features">;

/** What the image around it says, `outside`, goes before what is in it. */
function fromVmlinux(elf: ElfSections, kind: "vmlinux" | "bzImage", outside: Known): KernelImage {
  const versions = elf.contentOf(LIVEUPDATE_VERSIONS_SECTION);
  const features = elf.contentOf(LIVEUPDATE_FEATURES_SECTION);
  const release = outside.release ?? bannerRelease(elf.contentOf(".rodata")?.subarray(0, maxBanner));
  const known: Known = {
    ...(release !== undefined && { release }),
    ...(elf.arch && { arch: elf.arch }),
    ...outside,
    ...(versions && { versions: readLiveupdateVersions(versions, elf.byteOrder) }),
    ...(features && { features: readLiveupdateFeatures(features, elf.byteOrder) }),
  };
  const types = elf.contentOf(".BTF");
  if (types) return fromBtf(readBtf(types), kind, known);
  if (release === undefined && !versions && !features)
    throw new KhoError("kernel-image-unknown", "the ELF file is no kernel: no version, no types", {
      expected: "vmlinux, with `Linux version` in .rodata or a section .BTF",
    });
  return withoutTypes(kind, known, "the image has no types to compare: it was built without BTF");
}

/** `linux_banner` of init/version.c begins with these words, then the release and a space. */
function bannerRelease(rodata: Uint8Array | undefined): string | undefined {
  if (!rodata) return undefined;
  const banner = "Linux version ";
  const text = new TextDecoder("latin1");
  const overlap = 256;
  const step = 1 << 20;
  for (let at = 0; at < rodata.length; at += step) {
    const match = new RegExp(`${banner}(\\d[\\x21-\\x7e]{0,63}) `).exec(
      text.decode(rodata.subarray(at, at + step + overlap)),
    );
    if (match) return match[1];
  }
  return undefined;
}

function fromBzImage(image: Uint8Array, options: KernelImageOptions): KernelImage {
  const { version, payload } = readBzImage(image);
  const release = version?.split(" ")[0];
  const known: Known = { ...(release && { release }), arch: "x86_64" };
  const compression = payload && payloadCompression(payload);
  const why = (reason: string): KernelImage => {
    if (release) return withoutTypes("bzImage", known, `its types were not read: ${reason}`);
    throw new KhoError("kernel-image-unknown", `the bzImage does not say its version, and ${reason}`);
  };
  if (!payload || compression === undefined) return why("its payload is of no known compression");
  if (compression !== "gzip" && compression !== "zstd" && compression !== "none")
    return why(`its payload is compressed with ${compression}; scripts/extract-vmlinux unpacks it`);
  try {
    return fromVmlinux(elfSections(payloadOf(payload, compression, options)), "bzImage", known);
  } catch (error) {
    if (!isKhoError(error)) throw error;
    return why(error.message);
  }
}

/** The build appends the size of the content, 4 bytes, to every payload whose format does not end in it: all but gzip. */
function payloadOf(
  payload: Uint8Array,
  compression: "gzip" | "zstd" | "none",
  options: KernelImageOptions,
): ByteSource {
  if (compression === "none") return bytesSource(payload);
  const data = compression === "gzip" ? payload : payload.subarray(0, payload.length - 4);
  return decompress(bytesSource(data), compression, options);
}

function withoutTypes(kind: KernelImage["kind"], known: Known, note: string): KernelImage {
  const kernel = known.release === undefined ? undefined : findKernel(known.release);
  const named = known.release === undefined ? "nothing says its release" : `it calls itself ${known.release}`;
  return {
    kind,
    ...known,
    ...(kernel && { kernel }),
    evidence: `${named}; ${note}`,
    guessed: false,
    differences: [],
  };
}

function fromBtf(btf: Btf, kind: KernelImage["kind"], known: Known): KernelImage {
  const abi = abiOfBtf(btf);
  const named = known.release === undefined ? undefined : findKernel(known.release);
  if (named) {
    const differences = differencesOf(agreementWith(named, abi), abi);
    const agree =
      differences.length === 0 ? "its structures are those of" : "its structures are not all those of";
    const evidence = `it calls itself ${known.release}; ${agree} ${named.release}`;
    return { kind, ...known, kernel: named, evidence, guessed: false, abi, btf, differences };
  }
  const { kernel, evidence } = identify(abi);
  return {
    kind,
    ...known,
    ...(kernel && { kernel }),
    evidence: known.release === undefined ? evidence : `it calls itself ${known.release}; ${evidence}`,
    guessed: true,
    abi,
    btf,
    differences: kernel ? differencesOf(agreementWith(kernel, abi), abi) : [],
  };
}
