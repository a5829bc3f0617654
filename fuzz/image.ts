/** Containers: what a file is, what memory it holds, compressed or not, and the core that is written of it. */
import { gzipSync } from "node:zlib";
import { fail } from "../src/fuzz/finding.js";
import type { Random } from "../src/fuzz/random.js";
import { decompress } from "../src/image/decompress.js";
import { elf64Ehdr, elf64Nhdr, elf64Phdr } from "../src/image/elf-layout.js";
import { elfCoreBytes } from "../src/image/elf-write.js";
import type { Image } from "../src/image/image.js";
import { openSource } from "../src/image/open.js";
import { sniff } from "../src/image/sniff.js";
import { type Abi, decode, sizeOf } from "../src/layout/index.js";
import {
  bytesSource,
  endOfMemory,
  type Memory,
  type MemoryRange,
  physAddr,
  sparseMemory,
} from "../src/memory/index.js";
import { mutateBytes } from "./mutate/bytes.js";
import { mutateField } from "./mutate/fields.js";
import { firstDifference } from "./oracles/equal.js";
import { guarded, reading } from "./oracles/errors.js";
import type { Seed } from "./seeds/seed.js";

export const about = "containers: ELF cores, raw memory, single trees, gzip, zstd";

const abi: Abi = { byteOrder: "little", pageSize: 4096 };

export function* seeds(): Generator<Seed> {
  const memory = sparseMemory();
  memory.write(
    physAddr(0x1000n),
    Uint8Array.from({ length: 700 }, (_, i) => i),
  );
  memory.write(
    physAddr(0x5000n),
    Uint8Array.from({ length: 5000 }, (_, i) => i * 7),
  );
  memory.cover(physAddr(0x100000n), 12288);
  const { ranges } = memory;
  const core = elfCoreBytes(memory, { ranges, arch: "x86_64", pageSize: 4096, release: "7.3.4" });
  const few = elfCoreBytes(memory, { ranges: ranges.slice(0, 1), arch: "aarch64", zeros: "omit" });
  yield { name: "core", data: core };
  yield { name: "core-omit", data: few };
  yield { name: "raw", data: memory.read(physAddr(0x5000n), 4096).slice() };
  yield { name: "gzip", data: new Uint8Array(gzipSync(few)) };
  yield { name: "gzip-stored", data: new Uint8Array(gzipSync(few.subarray(0, 300), { level: 0 })) };
  for (const [name, data] of zstdFrames(few)) yield { name, data };
}

/** Frames by hand: a raw block, a run, a checksum; and one that the zstd program compressed. */
function zstdFrames(content: Uint8Array): [string, Uint8Array][] {
  const magic = [0x28, 0xb5, 0x2f, 0xfd];
  const header = (type: number, size: number, last = 1): number[] => {
    const word = last | (type << 1) | (size << 3);
    return [word & 0xff, (word >> 8) & 0xff, word >> 16];
  };
  const some = content.subarray(0, 120);
  const compressed = "28b52ffd0468a500006868616e646564206f766572202e0100e1532509ab7deba9";
  return [
    ["zstd-raw", Uint8Array.of(...magic, 0x20, some.length, ...header(0, some.length), ...some)],
    ["zstd-run", Uint8Array.of(...magic, 0x20, 200, ...header(1, 200), 0x7f)],
    // Of unknown size: two runs, nearly as much as is allowed.
    ["zstd-runs", Uint8Array.of(...magic, 0, 0x58, ...header(1, 70_000, 0), 1, ...header(1, 70_000), 2)],
    ["zstd-block", Uint8Array.from(compressed.match(/../g)!, (byte) => Number.parseInt(byte, 16))],
  ];
}

export function mutate(data: Uint8Array, random: Random): Uint8Array {
  if (sniff(data) !== "elf" || data.length < sizeOf(elf64Ehdr, abi) || random.chance(3))
    return mutateBytes(data, random);
  const changed = data.slice();
  const { e_phoff: table, e_phnum: count } = decode(elf64Ehdr, data, 0, abi);
  const addresses = [0n, 0x1000n, 0x5000n, BigInt(data.length), endOfMemory - 4096n];
  const hints = { abi, addresses, texts: [] };
  const at = Number(table) + sizeOf(elf64Phdr, abi) * random.below(Math.max(1, Math.min(count, 64)));
  const layouts = [elf64Phdr, elf64Phdr, elf64Phdr, elf64Nhdr] as const;
  const layout = random.pick(layouts);
  if (random.chance(4) || at + sizeOf(layout, abi) > data.length)
    mutateField(elf64Ehdr, changed, 0, hints, random);
  else mutateField(layout, changed, at, hints, random);
  return changed;
}

/** Content of compressed inputs. */
const maxDecompressed = 150_000;
/** Pieces of memory that are looked at. */
const mostRanges = 64;

export function fuzz(data: Uint8Array): void {
  const kind = sniff(data);
  let content = bytesSource(data);
  if (kind === "gzip" || kind === "zstd") {
    const unpacked = reading("decompress", () => decompress(content, kind, { maxDecompressed })).value;
    if (!unpacked) return;
    if (unpacked.size > maxDecompressed)
      fail("memory", `${unpacked.size} bytes come out, ${maxDecompressed} are allowed`);
    content = unpacked;
  }
  const { value: image } = reading("open", () => openSource(content));
  if (!image) return;
  checkRanges(image.memory);
  checkRead(image.memory);
  checkCore(image);
}

function checkRanges({ ranges }: Memory): void {
  let end = 0n;
  for (const { pa, size } of ranges) {
    if (pa < end || size <= 0n || pa + size > endOfMemory)
      fail("invariant", `a range of ${size} bytes at ${pa} follows ${end}`);
    end = pa + size;
  }
}

/** What is there can be read, whole and in parts, and what is not cannot. */
function checkRead(memory: Memory): void {
  for (const { pa, size } of memory.ranges.slice(0, mostRanges)) {
    const length = size < 64n ? Number(size) : 64;
    for (const at of [pa, pa + size - BigInt(length)]) {
      const from = physAddr(at);
      const { value: whole, error } = reading("read", () => memory.read(from, length));
      if (!whole) fail("over-read", `what is said to be there cannot be read: ${error.message}`);
      const half = length >> 1;
      const parts = [memory.read(from, half), memory.read(physAddr(from + BigInt(half)), length - half)];
      if (firstDifference(whole, Uint8Array.of(...parts[0]!, ...parts[1]!)) >= 0)
        fail("invariant", "parts of memory differ from all of it");
      if (!memory.has(from, length)) fail("invariant", "what can be read is said not to be there");
    }
    const behind = pa + size;
    const after = memory.ranges.some((range) => range.pa === behind);
    const beyond = reading("read behind", () => memory.read(physAddr(behind - 1n), 2));
    if (beyond.value && !after) fail("over-read", `a byte behind the range at ${pa} can be read`);
    if (beyond.error && beyond.error.code !== "memory-absent")
      fail("untyped-error", `absent memory is ${beyond.error.code}`);
  }
}

/** A core of the memory holds the same. */
function checkCore({ memory, arch }: Image): void {
  const ranges: MemoryRange[] = [];
  let total = 0n;
  for (const { pa, size } of memory.ranges) {
    if (ranges.length === mostRanges || (total += size) > 1n << 19n) break;
    // A core cannot say it of the last byte alone: that address stands for one that is not known.
    if (pa !== endOfMemory - 1n) ranges.push({ pa, size });
  }
  for (const zeros of ["store", "omit"] as const) {
    const core = guarded("write a core", () => elfCoreBytes(memory, { ranges, arch, zeros })).value;
    if (!core) fail("roundtrip", "a core cannot be written of what was read");
    const again = reading("open again", () => openSource(bytesSource(core))).value;
    if (!again) fail("roundtrip", "the core that was written cannot be opened");
    for (const { pa, size } of ranges) {
      const found = reading("read again", () => again.memory.read(pa, Number(size))).value;
      if (!found || firstDifference(found, memory.read(pa, Number(size))) >= 0)
        fail("roundtrip", `the memory at ${pa} differs in the core`);
    }
  }
}
