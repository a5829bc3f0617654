import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, openSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chunkSource } from "../../src/image/chunks.js";
import { fileSource } from "../../src/image/file.js";
import { openImage } from "../../src/image/node.js";
import { fileOffset } from "../../src/memory/address.js";
import { elfCore, pattern } from "./elfwriter.js";
import { bytesAt, thrown } from "./expect.js";
import { tempFolders } from "./temp.js";

const folder = tempFolders();
const put = (bytes: Uint8Array, name = "file"): string => {
  const path = join(folder(), name);
  writeFileSync(path, bytes);
  return path;
};

describe("windows over a file", () => {
  test("agree with the bytes, wherever reads begin and end", () => {
    const bytes = pattern(1000);
    const source = fileSource(put(bytes), { windowSize: 64, windows: 3 });
    const reads = fc.array(fc.tuple(fc.nat(1100), fc.nat(300)), { maxLength: 30 });
    fc.assert(
      fc.property(reads, (list) => {
        for (const [at, length] of list)
          expect([...source.read(fileOffset(at), length)]).toEqual([...bytes.subarray(at, at + length)]);
      }),
    );
    source.close();
  });

  test("a view stays as it is when its window is dropped", () => {
    const bytes = pattern(4096);
    const source = fileSource(put(bytes), { windowSize: 64, windows: 2 });
    const views = Array.from({ length: 64 }, (_, i) => source.read(fileOffset(i * 64), 64));
    for (const [i, view] of views.entries()) expect(view).toEqual(bytes.subarray(i * 64, i * 64 + 64));
    source.close();
  });

  test("a file that becomes shorter ends earlier", () => {
    const path = put(pattern(1000));
    const source = fileSource(path, { windowSize: 64 });
    truncateSync(path, 100);
    expect(source.read(fileOffset(90), 300)).toEqual(pattern(1000).subarray(90, 100));
    expect(source.read(fileOffset(96), 40)).toEqual(pattern(1000).subarray(96, 100));
    expect(source.read(fileOffset(640), 10).length).toBe(0);
    source.close();
  });

  test("cannot be read after it was closed, except what is at hand", () => {
    const source = fileSource(put(pattern(1000)), { windowSize: 64 });
    source.read(fileOffset(0), 1);
    source.close();
    source.close();
    expect(source.read(fileOffset(1), 1).length).toBe(1);
    thrown(() => source.read(fileOffset(500), 1), "io");
  });
});

test("pieces that are not joined agree with the joined bytes", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 9 })), fc.nat(60), fc.nat(60), (chunks, at, length) => {
      const joined = chunks.flatMap((chunk) => [...chunk]);
      const source = chunkSource(chunks);
      expect(source.size).toBe(joined.length);
      expect([...source.read(fileOffset(at), length)]).toEqual(joined.slice(at, at + length));
    }),
  );
});

describe("a path that cannot be opened", () => {
  test("that does not exist, is below a file, or is no kho folder", () => {
    const path = put(pattern(4));
    expect(thrown(() => openImage(join(folder(), "none")), "io")).toMatchObject({ actual: "ENOENT" });
    expect(thrown(() => openImage(join(path, "x")), "io")).toMatchObject({ actual: "ENOTDIR" });
    thrown(() => openImage(folder()), "not-a-handover");
    thrown(() => fileSource(folder()), "io");
    thrown(() => openImage("a\0b"), "io");
  });

  test("is shown escaped", () => {
    expect(thrown(() => openImage(join(folder(), "a\x1b[31m")), "io").message).toContain("\\x1b[31m");
  });

  test.skipIf(process.platform === "win32")("a pipe is refused without waiting for it", () => {
    const path = join(folder(), "pipe");
    execFileSync("mkfifo", [path]);
    expect(thrown(() => openImage(path), "usage").message).toContain("standard input");
  });
});

test("a core in a sparse file of more than 4 GiB", () => {
  const path = join(folder(), "large.elf");
  const gib = 1024n ** 3n;
  const at = 5n * gib;
  const header = elfCore({
    segments: [
      { paddr: 0n, offset: 4096n, filesz: at - 4096n },
      { paddr: 0x100_0000_0000n, offset: at, filesz: 0x3000n },
    ],
  });
  const fd = openSync(path, "w");
  ftruncateSync(fd, Number(at + 0x2800n));
  writeSync(fd, header, 0, header.length, 0);
  writeSync(fd, pattern(64), 0, 64, Number(at - 32n));
  writeSync(fd, pattern(16, 9), 0, 16, Number(at + 0x27f0n));
  closeSync(fd);
  const image = openImage(path);
  expect(image.findings).toMatchObject([{ code: "elf-truncated", pa: 0x100_0000_2800n, length: 0x800 }]);
  expect(bytesAt(image.memory, at - 4096n - 32n, 32)).toEqual([...pattern(64).subarray(0, 32)]);
  expect(bytesAt(image.memory, 0x100_0000_0000n, 33)).toEqual([...pattern(64).subarray(32), 0]);
  expect(bytesAt(image.memory, 0x100_0000_27f0n, 16)).toEqual([...pattern(16, 9)]);
  const across = thrown(() => image.memory.read(0x100_0000_27ffn as never, 2), "memory-absent");
  expect(across.pa).toBe(0x100_0000_2800n);
  // Longer than a window, across several of them.
  expect(image.memory.read((at - 4096n - 600_000n) as never, 600_000).at(-1)).toBe(pattern(64)[31]);
  image.close?.();
  thrown(() => image.memory.read(0x1000_0000n as never, 1), "io");
});

test("an image that is read as a whole does not keep its file open", () => {
  const tree = new Uint8Array(64);
  tree.set([0xd0, 0x0d, 0xfe, 0xed]);
  expect(openImage(put(tree))).not.toHaveProperty("close");
});
