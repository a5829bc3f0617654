import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { elfCore } from "../../src/image/elf-write.js";
import { openImage } from "../../src/image/node.js";
import { newFile, writeImage } from "../../src/image/write.js";
import { KhoError } from "../../src/report/error.js";
import { pattern } from "./elfwriter.js";
import { rejected, thrown } from "./expect.js";
import { tempFolders } from "./temp.js";

const folder = tempFolders();
const pieces = Array.from({ length: 50 }, (_, i) => pattern(1000 + i, i));
const whole = Buffer.concat(pieces);

describe("writing pieces to a file", () => {
  test("gives the file, for its owner alone, and nothing beside it", async () => {
    const path = join(folder(), "out.bin");
    expect(await writeImage(path, pieces)).toBe(whole.length);
    expect(readFileSync(path).equals(whole)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(path, ".."))).toEqual(["out.bin"]);
  });

  test("compresses by the name: gzip without name and time, the same bytes however the pieces are cut", async () => {
    const [path, again] = [join(folder(), "out.gz"), join(folder(), "other.gz")];
    const size = await writeImage(path, pieces);
    await writeImage(again, [whole.subarray(0, 7), new Uint8Array(0), whole.subarray(7)]);
    const packed = readFileSync(path);
    expect(size).toBe(packed.length);
    expect(packed.equals(readFileSync(again))).toBe(true);
    expect(gunzipSync(packed).equals(whole)).toBe(true);
    // RFC 1952: magic, method 8, no flags, no time, slowest algorithm.
    expect([...packed.subarray(0, 9)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2]);
    expect(execFileSync("gzip", ["-dc", path]).equals(whole)).toBe(true);
  });

  test("a core that is written can be opened", async () => {
    const { memory } = openImage(pattern(1 << 16), { base: 0x100000n });
    const path = join(folder(), "core.elf.gz");
    await writeImage(path, elfCore(memory, { ranges: memory.ranges, arch: "x86_64" }));
    const image = openImage(path);
    expect(image.kind).toBe("elf");
    expect(image.memory.ranges).toMatchObject([{ pa: 0x100000n, size: 0x10000n }]);
  });

  test("replaces a file only if asked to, and nothing else ever", async () => {
    const path = join(folder(), "out.bin");
    writeFileSync(path, "precious");
    expect((await rejected(write(path), "usage")).message).toContain("exists");
    expect(readFileSync(path, "utf8")).toBe("precious");
    await writeImage(path, pieces, { force: true });
    expect(readFileSync(path).equals(whole)).toBe(true);
    const other = join(folder(), "out.bin");
    mkdirSync(other);
    await rejected(write(other, true), "usage");
    const link = join(folder(), "link");
    symlinkSync(path, link);
    await rejected(write(link, true), "usage");
  });

  test("an unfinished file of an earlier run is replaced only if asked to", async () => {
    const path = join(folder(), "out.bin");
    writeFileSync(`${path}.partial`, "unfinished");
    await rejected(write(path), "usage");
    expect(existsSync(path)).toBe(false);
    await writeImage(path, pieces, { force: true });
    expect(readdirSync(join(path, ".."))).toEqual(["out.bin"]);
  });

  test.each([".bin", ".gz"])("leaves nothing behind where the pieces fail: %s", async (suffix) => {
    const path = join(folder(), `out${suffix}`);
    function* failing(): Generator<Uint8Array> {
      yield* pieces;
      throw new KhoError("memory-absent", "gone");
    }
    await rejected(writeImage(path, failing()), "memory-absent");
    expect(readdirSync(join(path, ".."))).toEqual([]);
  });

  test("says where it could not write", async () => {
    const path = join(folder(), "no/such/out.bin");
    expect((await rejected(write(path), "io")).message).toContain("out.bin.partial");
  });

  test("tells how far it is", async () => {
    const told: number[] = [];
    await writeImage(join(folder(), "out.bin"), pieces, { onProgress: (done) => told.push(done) });
    expect(told).toHaveLength(pieces.length);
    expect(told.at(-1)).toBe(whole.length);
  });
});

/** As a promise, also of what is thrown at once. */
const write = async (path: string, force = false): Promise<number> => writeImage(path, pieces, { force });

describe("a new file", () => {
  test("takes the name of another only if nobody took it in between", () => {
    const path = join(folder(), "out.bin");
    const file = newFile(path);
    file.data(0, pattern(10));
    writeFileSync(path, "somebody else's");
    thrown(() => file.finish(10), "usage");
    file.abandon();
    expect(readdirSync(join(path, ".."))).toEqual(["out.bin"]);
    expect(readFileSync(path, "utf8")).toBe("somebody else's");
  });

  test("reads as zeros where nothing was written, and stays when it is abandoned afterwards", () => {
    const path = join(folder(), "out.bin");
    const file = newFile(path);
    file.data(100, Uint8Array.of(1));
    file.finish(200);
    file.abandon();
    const wanted = Buffer.alloc(200);
    wanted[100] = 1;
    expect(readFileSync(path).equals(wanted)).toBe(true);
  });
});
