import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { blobSource, openImage as openInBrowser } from "../../src/image/browser.js";
import { openImage } from "../../src/image/node.js";
import { isRefused, refusal, sniff, sniffLength } from "../../src/image/sniff.js";
import { fileOffset } from "../../src/memory/address.js";
import { elfCore, pattern, text } from "./elfwriter.js";
import { bytesAt, codesOf, thrown } from "./expect.js";

const hexBytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const samples = [
  ["elf", hexBytes("7f454c46")],
  ["kdump", text("KDUMP   ")],
  ["kdump", text("DISKDUMP")],
  ["flattened", text("makedumpfile")],
  ["lime", hexBytes("454d694c")],
  ["avml", hexBytes("41564d4c")],
  ["fdt", hexBytes("d00dfeed")],
  ["firecracker", hexBytes("0000648684191007")],
  ["firecracker", hexBytes("0000aaaa84191007")],
  ["qevm", hexBytes("5145564d")],
  ["gzip", hexBytes("1f8b")],
  ["zstd", hexBytes("28b52ffd")],
  ["xz", hexBytes("fd377a585a00")],
  ["unknown", text("KDUMP")],
  ["unknown", new Uint8Array(0)],
] as const;

test("files are recognised by their first bytes, and not by fewer", () => {
  for (const [kind, magic] of samples) {
    expect(sniff(magic)).toBe(kind);
    expect(magic.length).toBeLessThanOrEqual(sniffLength);
    const longer = new Uint8Array(64).fill(0xaa);
    longer.set(magic);
    expect(sniff(longer)).toBe(kind);
    expect(sniff(magic.subarray(0, magic.length - 1))).toBe("unknown");
  }
});

test("what cannot be read is refused with one sentence of advice", () => {
  for (const [kind, magic] of samples) {
    if (!isRefused(kind)) continue;
    expect(refusal(kind).message).toMatch(/^the file is .+: .+/);
    const file = new Uint8Array(4096);
    file.set(magic);
    const error = thrown(() => openInBrowser(file), "unsupported-container");
    expect(error.message).toBe(refusal(kind).message);
    expect(openInBrowser(file, { raw: true }).kind).toBe("raw");
  }
});

describe("what has no signature", () => {
  test("is raw memory from 0 on, and said to be a guess", () => {
    const image = openImage(pattern(64));
    expect(image.kind).toBe("raw");
    expect(image.findings).toMatchObject([{ severity: "info", code: "container-guessed" }]);
    expect(bytesAt(image.memory, 0x10n, 4)).toEqual([...pattern(64).subarray(16, 20)]);
    expect(thrown(() => image.memory.read(0x3fn as never, 2), "memory-absent").pa).toBe(0x40n);
  });

  test("is raw memory from the base on, without a finding", () => {
    const image = openImage(pattern(64), { base: 0x1_0000_0000n });
    expect(image.findings).toEqual([]);
    expect(bytesAt(image.memory, 0x1_0000_003fn, 1)).toEqual([pattern(64)[63]]);
    expect(image.memory.has(0n as never, 1)).toBe(false);
  });

  test("does not fit below 0 or beyond 2^64", () => {
    for (const base of [-1n, (1n << 64n) - 63n, 1n << 64n])
      thrown(() => openImage(pattern(64), { base }), "usage");
    const { memory } = openImage(pattern(64), { base: (1n << 64n) - 64n });
    expect(memory.has(((1n << 64n) - 64n) as never, 64)).toBe(true);
  });

  test("an empty file is nothing", () => {
    thrown(() => openImage(new Uint8Array(0)), "unsupported-container");
    thrown(() => openImage(new ArrayBuffer(0), { raw: true }), "unsupported-container");
  });
});

describe("a flattened tree", () => {
  const tree = new Uint8Array(128);
  tree.set([0xd0, 0x0d, 0xfe, 0xed]);

  test("is a blob if it is of a tree's size", () => {
    const image = openImage(tree);
    expect(image).toMatchObject({ kind: "fdt", findings: [] });
    expect(image.blob).toEqual(tree);
    expect(image.memory.ranges).toEqual([]);
  });

  test("is memory if it is too large, or the caller says so", () => {
    const large = new Uint8Array(2 * 1024 * 1024 + 1);
    large.set(tree);
    expect(openImage(large).kind).toBe("raw");
    expect(openImage(large.subarray(1 - 1, large.length - 1)).kind).toBe("fdt");
    expect(openImage(tree, { raw: true }).kind).toBe("raw");
    expect(openImage(tree, { base: 0x1000n }).memory.ranges).toMatchObject([{ pa: 0x1000n, size: 128n }]);
  });
});

test("a base contradicts a core", () => {
  const core = elfCore({ segments: [{ paddr: 0n, data: pattern(16) }] });
  thrown(() => openImage(core, { base: 0n }), "usage");
  expect(openImage(core, { base: 0n, raw: true }).memory.ranges).toMatchObject([
    { size: BigInt(core.length) },
  ]);
  expect(openImage(Buffer.from(core)).kind).toBe("elf");
});

describe("in a browser", () => {
  const scope = globalThis as { FileReaderSync?: unknown };

  test("a Blob needs a worker", () => {
    thrown(() => blobSource(new Blob(["kho"])), "usage");
  });

  test("a Blob is read through windows", () => {
    const bytes = pattern(700_000);
    const slices = new WeakMap<object, ArrayBuffer>();
    let reads = 0;
    scope.FileReaderSync = class {
      readAsArrayBuffer(part: object): ArrayBuffer {
        reads++;
        const found = slices.get(part);
        if (!found) throw new DOMException("gone", "NotReadableError");
        return found;
      }
    };
    try {
      const blob = {
        size: bytes.length,
        slice: (from: number, to: number) => {
          const part = {};
          if (from < 524_288) slices.set(part, bytes.slice(from, to).buffer);
          return part;
        },
      };
      const source = blobSource(blob as unknown as Blob);
      for (const at of [0, 5, 262_140, 300_000])
        expect(source.read(fileOffset(at), 10)).toEqual(bytes.subarray(at, at + 10));
      expect(reads).toBe(2);
      thrown(() => source.read(fileOffset(600_000), 1), "io");
      const image = openInBrowser(source, { base: 0x1000n });
      expect(bytesAt(image.memory, 0x1007n, 2)).toEqual([...bytes.subarray(7, 9)]);
    } finally {
      delete scope.FileReaderSync;
    }
  });

  test("the code for browsers finds the same in the same bytes", () => {
    const core = elfCore({ segments: [{ paddr: 0n, data: pattern(16) }] });
    expect(codesOf(openInBrowser(core.slice().buffer).findings)).toEqual(codesOf(openImage(core).findings));
  });
});

test("the code for browsers needs neither Node nor another package", () => {
  const folder = new URL("../../src/", import.meta.url);
  const seen = new Set<string>();
  const visit = (url: URL): void => {
    if (seen.has(url.href)) return;
    seen.add(url.href);
    for (const [, path] of readFileSync(url, "utf8").matchAll(/ from "([^"]+)";/g)) {
      expect(path).toMatch(/^\.\.?\//);
      visit(new URL(path!.replace(/\.js$/, ".ts"), url));
    }
  };
  visit(new URL("image/browser.ts", folder));
  expect(seen.size).toBeGreaterThan(10);
});
