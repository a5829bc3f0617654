import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decompress, decompressStream } from "../../src/image/decompress.js";
import { openImage } from "../../src/image/node.js";
import type { Compression } from "../../src/image/sniff.js";
import { fileOffset } from "../../src/memory/address.js";
import { type ByteSource, bytesSource } from "../../src/memory/source.js";
import { elfCore, pattern, text } from "./elfwriter.js";
import { bytesAt, rejected, tame, thrown } from "./expect.js";
import { tempFolders } from "./temp.js";

const folder = tempFolders();
const concat = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const gz = (bytes: Uint8Array): Uint8Array => new Uint8Array(gzipSync(bytes));
const all = (source: ByteSource): Uint8Array => source.read(fileOffset(0), source.size);
const undo = (bytes: Uint8Array, kind: Compression, maxDecompressed?: number): Uint8Array =>
  all(decompress(bytesSource(bytes), kind, maxDecompressed === undefined ? {} : { maxDecompressed }));
async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const bytesOf = (...values: (number | Uint8Array)[]): Uint8Array =>
  concat(...values.map((value) => (typeof value === "number" ? Uint8Array.of(value) : value)));

/** Frames by hand, from RFC 8878: magic, descriptor, window or size, blocks, checksum. */
const zstdMagic = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd);
const blockHeader = (last: boolean, type: number, size: number): Uint8Array => {
  const header = (last ? 1 : 0) | (type << 1) | (size << 3);
  return Uint8Array.of(header & 0xff, (header >> 8) & 0xff, header >> 16);
};
const rawBlock = (bytes: Uint8Array, last = true): Uint8Array =>
  concat(blockHeader(last, 0, bytes.length), bytes);
const runBlock = (byte: number, count: number, last = true): Uint8Array =>
  bytesOf(blockHeader(last, 1, count), byte);
/** A single segment of up to 255 bytes. */
const smallFrame = (size: number, ...blocks: Uint8Array[]): Uint8Array =>
  bytesOf(zstdMagic, 0x20, size, ...blocks);
/** A frame of unknown size with the window descriptor given. */
const streamFrame = (window: number, ...blocks: Uint8Array[]): Uint8Array =>
  bytesOf(zstdMagic, 0x00, window, ...blocks);

/** "handed over " twenty times, then a full stop: one compressed block and a checksum, as the zstd program writes it. */
const handed = text(`${"handed over ".repeat(20)}.`);
const handedZst = new Uint8Array(
  Buffer.from("28b52ffd0468a500006868616e646564206f766572202e0100e1532509ab7deba9", "hex"),
);

const core = elfCore({ segments: [{ paddr: 0x1000n, data: pattern(5000) }] });

describe("gzip", () => {
  test("around a core, as bytes and as a file", () => {
    const path = join(folder(), "core.elf.gz");
    writeFileSync(path, gz(core));
    for (const input of [path, gz(core), bytesSource(gz(core))]) {
      const image = openImage(input);
      expect(image).toMatchObject({ kind: "elf", findings: [] });
      expect(image).not.toHaveProperty("close");
      expect(bytesAt(image.memory, 0x1000n, 5000)).toEqual([...pattern(5000)]);
    }
  });

  test("several members, and zeros behind the last", () => {
    const members = concat(gz(core.subarray(0, 100)), gz(core.subarray(100)));
    expect(undo(members, "gzip")).toEqual(core);
    expect(undo(concat(members, new Uint8Array(512)), "gzip")).toEqual(core);
  });

  test("the limit stops a bomb, and is exact", () => {
    const bomb = gz(new Uint8Array(4 << 20));
    const error = thrown(() => undo(bomb, "gzip", (4 << 20) - 1), "decompression-limit");
    expect(error.message).toContain("4194303");
    expect(error.message).toContain("maxDecompressed");
    expect(undo(bomb, "gzip", 4 << 20).length).toBe(4 << 20);
    thrown(() => openImage(bomb, { maxDecompressed: 1000 }), "decompression-limit");
    thrown(() => openImage(gz(pattern(1 << 20)), { maxDecompressed: 1 }), "decompression-limit");
  });

  test("damage, an early end and something else behind it", () => {
    const whole = gz(core);
    const crc = whole.slice();
    crc[crc.length - 8]! ^= 1;
    thrown(() => undo(crc, "gzip"), "decompression-failed");
    thrown(() => undo(concat(whole, text("junk")), "gzip"), "decompression-failed");
    for (let length = 0; length < whole.length; length += 7)
      thrown(() => undo(whole.subarray(0, length), "gzip"), "decompression-failed");
  });

  test("twice, or around another compression, is refused", () => {
    thrown(() => openImage(gz(gz(core))), "unsupported-container");
    thrown(() => openImage(gz(handedZst)), "unsupported-container");
    thrown(() => openImage(gz(Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0))), "unsupported-container");
    thrown(() => openImage(smallFrame(20, rawBlock(gz(new Uint8Array(0))))), "unsupported-container");
  });

  test("around raw memory", () => {
    const image = openImage(gz(pattern(100)), { base: 0x8000n });
    expect(bytesAt(image.memory, 0x8000n, 100)).toEqual([...pattern(100)]);
    expect(openImage(gz(core), { raw: true }).kind).toBe("raw");
  });
});

describe("zstd", () => {
  test("a compressed block with its checksum", () => {
    expect(undo(handedZst, "zstd")).toEqual(handed);
    expect(bytesAt(openImage(handedZst, { base: 0n }).memory, 0n, 6)).toEqual([...text("handed")]);
  });

  test("frames made by hand: raw blocks, runs, skippable and empty frames", () => {
    const skippable = bytesOf(0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, text("abc"));
    expect(undo(smallFrame(3, rawBlock(text("kho"))), "zstd")).toEqual(text("kho"));
    expect(undo(smallFrame(0, rawBlock(new Uint8Array(0))), "zstd").length).toBe(0);
    const two = concat(
      streamFrame(0x58, rawBlock(text("ab"), false), runBlock(0x63, 70_000, false), rawBlock(text("d"))),
      skippable,
      smallFrame(2, rawBlock(text("ef"))),
      skippable,
    );
    expect(undo(two, "zstd")).toEqual(text(`ab${"c".repeat(70_000)}def`));
  });

  test("sizes and checksums are compared", () => {
    const failed = (bytes: Uint8Array) => thrown(() => undo(bytes, "zstd"), "decompression-failed");
    failed(smallFrame(4, rawBlock(text("kho"))));
    failed(smallFrame(2, rawBlock(text("kho"))));
    const sum = handedZst.slice();
    sum[sum.length - 1]! ^= 1;
    expect(failed(sum).message).toContain("checksum");
    failed(concat(handedZst, text("junk")));
    failed(concat(handedZst, Uint8Array.of(0x28)));
    failed(bytesOf(zstdMagic, 0x23, 9, 9, 9, 9, 3, rawBlock(text("kho"))));
    failed(bytesOf(zstdMagic, 0x28, 3, rawBlock(text("kho"))));
    failed(streamFrame(0x58, bytesOf(blockHeader(true, 3, 0))));
    failed(streamFrame(0x00, runBlock(0x63, 1025)));
  });

  test("an early end at every length, and every byte damaged", () => {
    for (let length = 4; length < handedZst.length; length++)
      thrown(() => undo(handedZst.subarray(0, length), "zstd"), "decompression-failed");
    for (let at = 4; at < handedZst.length; at++)
      for (const mask of [1, 0x10, 0x80, 0xff]) {
        const copy = handedZst.slice();
        copy[at]! ^= mask;
        const content = tame(() => undo(copy, "zstd", 1 << 20));
        // The header's reserved and unused bits may be anything; with a checksum the content may not.
        if (content && (copy[4]! & 4) !== 0) expect(content).toEqual(handed);
      }
  });

  test("the limit is exact, and holds for what headers promise", () => {
    const limit = (bytes: Uint8Array, max: number) =>
      thrown(() => undo(bytes, "zstd", max), "decompression-limit");
    const run = streamFrame(0x58, runBlock(0, 0x20000, false), runBlock(0, 0x20000));
    expect(undo(run, "zstd", 0x40000).length).toBe(0x40000);
    limit(run, 0x3ffff);
    const promise = new Uint8Array(8);
    for (const size of [1n << 31n, 1n << 32n, (1n << 63n) + 5n]) {
      new DataView(promise.buffer).setBigUint64(0, size, true);
      limit(bytesOf(zstdMagic, 0xe0, promise, rawBlock(text("kho"))), 1 << 20);
    }
    // A window of 2 GiB, and one of 3.75 TiB.
    limit(streamFrame(0xa8, rawBlock(text("kho"))), 1 << 20);
    expect(limit(streamFrame(0xff, rawBlock(text("kho"))), 1 << 20).message).toContain("window");
  });

  test("a frame of empty blocks in a large window does not go on forever", () => {
    const blocks = Array.from({ length: 1000 }, () => rawBlock(new Uint8Array(0), false));
    thrown(() => undo(streamFrame(0x88, ...blocks), "zstd", 1 << 20), "decompression-limit");
  });

  test("a block with more sequences than it has room for is not begun", () => {
    // No literals, 0xffff + 0x7f00 sequences.
    const block = bytesOf(0x00, 0xff, 0xff, 0xff, 0x00, 0x01);
    const frame = streamFrame(0x58, concat(blockHeader(true, 2, block.length), block));
    expect(thrown(() => undo(frame, "zstd"), "decompression-failed").message).toContain("sequences");
    // 43690 sequences of 65539 bytes each, from no bits at all.
    const long = bytesOf(0x00, 0xff, 0xaa, 0x2b, 0x54, 0, 0, 52, 1);
    const lengths = streamFrame(0x58, concat(blockHeader(true, 2, long.length), long));
    expect(thrown(() => undo(lengths, "zstd"), "decompression-failed").message).toMatch(/early|room/);
  });

  const program = spawnSync("zstd", ["--version"]).status === 0;
  const zst = (bytes: Uint8Array, ...options: string[]): Uint8Array =>
    new Uint8Array(
      execFileSync("zstd", ["-q", "-c", ...options], { input: bytes, maxBuffer: 1 << 28, stdio: "pipe" }),
    );

  test.skipIf(!program)("what the zstd program writes, at every kind of size and level", () => {
    const mixed = concat(pattern(300_000), new Uint8Array(200_000), pattern(300_000), gz(pattern(70_000, 3)));
    for (const size of [0, 1, 3, 8, 31, 32, 33, 255, 256, 65_791, 65_792, 131_072, mixed.length])
      for (const options of [["-1"], ["-19"], ["-3", "--no-check"], ["-3", `--stream-size=${size}`]]) {
        const bytes = mixed.subarray(0, size);
        expect(Buffer.compare(undo(zst(bytes, ...options), "zstd"), bytes)).toBe(0);
      }
  });

  test.skipIf(!program)("a core in a file", () => {
    const path = join(folder(), "core.elf.zst");
    writeFileSync(path, zst(core));
    expect(bytesAt(openImage(path).memory, 0x1000n, 5000)).toEqual([...pattern(5000)]);
  });

  test.skipIf(!program)("damage is always noticed", () => {
    const whole = zst(concat(pattern(3000), core), "-19");
    const content = undo(whole, "zstd");
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const copy = whole.slice();
        copy[at]! ^= mask;
        const result = tame(() => undo(copy, "zstd", 1 << 20));
        if (result && (copy[4]! & 4) !== 0) expect(Buffer.compare(result, content)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a stream", () => {
  const members = concat(gz(core.subarray(0, 100)), gz(core.subarray(100)));
  const frames = concat(handedZst, handedZst);

  test("in pieces of any size, the kind given or recognised", async () => {
    for (const size of [1, 2, 7, 100, 1 << 20]) {
      for (const kind of ["gzip", "auto"] as const)
        expect(all(await decompressStream(pieces(members, size), kind))).toEqual(core);
      for (const kind of ["zstd", "auto"] as const)
        expect(all(await decompressStream(pieces(frames, size), kind))).toEqual(concat(handed, handed));
      expect(all(await decompressStream(pieces(core, size), "auto"))).toEqual(core);
    }
    expect((await decompressStream(pieces(new Uint8Array(0), 1), "auto")).size).toBe(0);
  });

  test("says how far it is", async () => {
    const calls: [number, number][] = [];
    await decompressStream(pieces(members, 50), "auto", { onProgress: (...call) => calls.push(call) });
    expect(calls.at(-1)).toEqual([members.length, core.length]);
  });

  test("the same limit and the same errors, and the source is let go", async () => {
    let closed = 0;
    const watched = async function* (bytes: Uint8Array, size = 64): AsyncGenerator<Uint8Array> {
      try {
        yield* pieces(bytes, size);
      } finally {
        closed++;
      }
    };
    const bomb = gz(new Uint8Array(4 << 20));
    const max = { maxDecompressed: 1 << 20 };
    const run = streamFrame(0x58, ...Array.from({ length: 99 }, () => runBlock(0, 0x20000, false)));
    await rejected(decompressStream(watched(bomb), "gzip", max), "decompression-limit");
    await rejected(decompressStream(watched(run), "zstd", max), "decompression-limit");
    await rejected(decompressStream(watched(pattern(2 << 20)), "auto", max), "decompression-limit");
    await rejected(decompressStream(watched(concat(members, text("junk"))), "auto"), "decompression-failed");
    await rejected(decompressStream(watched(members.subarray(0, 150)), "auto"), "decompression-failed");
    await rejected(decompressStream(watched(frames.subarray(0, 20)), "auto"), "decompression-failed");
    await rejected(decompressStream(watched(gz(gz(core))), "auto"), "unsupported-container");
    await rejected(
      decompressStream(watched(Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0)), "auto"),
      "unsupported-container",
    );
    expect(closed).toBe(8);
  });

  test("a stream that fails is an error of the machine, not of the data", async () => {
    for (const bytes of [members, frames, core]) {
      const broken = async function* (): AsyncGenerator<Uint8Array> {
        yield bytes.subarray(0, 30);
        throw new Error("pulled out");
      };
      const error = await rejected(decompressStream(broken(), "auto"), "io");
      expect(error.cause).toMatchObject({ message: "pulled out" });
    }
  });
});
