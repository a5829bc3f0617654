import { describe, expect, it } from "vitest";
import { dump } from "./ram.js";
import { formOf } from "./releases.js";
import { packedTree, sequentialTree } from "./trees.js";
import { luoTree, memblockTree, metadataBlob, rootBlob, rootTree, setupData } from "./writer.js";

/** The writer itself is measured against dumps of bytes that kernels wrote. */
describe("the test writer makes the bytes that kernels make", () => {
  it("root of 7.2 and 7.3 with one LUO subtree", () => {
    const tree = rootTree(formOf("7.3"), 0x100a52000n, [{ name: "LUO", pa: 0x103e44000n, size: 32 }]);
    expect(rootBlob(formOf("7.3"), tree)).toEqual(
      dump(`
0000  d0 0d fe ed 00 00 00 dd 00 00 00 38 00 00 00 a4
0010  00 00 00 28 00 00 00 11 00 00 00 10 00 00 00 00
0020  00 00 00 39 00 00 00 6c 00 00 00 00 00 00 00 00
0030  00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00
0040  00 00 00 03 00 00 00 07 00 00 00 15 6b 68 6f 2d
0050  76 34 00 00 00 00 00 03 00 00 00 08 00 00 00 00
0060  00 20 a5 00 01 00 00 00 00 00 00 01 4c 55 4f 00
0070  00 00 00 03 00 00 00 08 00 00 00 2f 20 00 00 00
0080  00 00 00 00 00 00 00 03 00 00 00 08 00 00 00 20
0090  00 40 e4 03 01 00 00 00 00 00 00 02 00 00 00 02
00a0  00 00 00 09 70 72 65 73 65 72 76 65 64 2d 6d 65
00b0  6d 6f 72 79 2d 6d 61 70 00 63 6f 6d 70 61 74 69
00c0  62 6c 65 00 70 72 65 73 65 72 76 65 64 2d 64 61
00d0  74 61 00 62 6c 6f 62 2d 73 69 7a 65 00`),
    );
  });

  it("the same with kexec-metadata, which was added first and comes last", () => {
    const tree = rootTree(formOf("7.3"), 0x100a52000n, [
      { name: "kexec-metadata", pa: 0x101c20000n, size: 73 },
      { name: "LUO", pa: 0x103e44000n, size: 32 },
    ]);
    expect(tree.children.map(({ name }) => name)).toEqual(["LUO", "kexec-metadata"]);
    expect(rootBlob(formOf("7.3"), tree).length).toBe(285);
  });

  it("root of 6.16 to 6.18 with one memblock subtree", () => {
    const tree = rootTree(formOf("6.18"), 0x104570000n, [{ name: "memblock", pa: 0x10456c000n, size: 210 }]);
    expect(rootBlob(formOf("6.18"), tree)).toEqual(
      dump(`
0000  d0 0d fe ed 00 00 00 c4 00 00 00 40 00 00 00 a0
0010  00 00 00 30 00 00 00 11 00 00 00 10 00 00 00 00
0020  00 00 00 24 00 00 00 60 00 00 00 00 00 00 00 00
0030  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
0040  00 00 00 01 00 00 00 00 00 00 00 03 00 00 00 07
0050  00 00 00 19 6b 68 6f 2d 76 31 00 00 00 00 00 03
0060  00 00 00 08 00 00 00 04 00 00 57 04 01 00 00 00
0070  00 00 00 01 6d 65 6d 62 6c 6f 63 6b 00 00 00 00
0080  00 00 00 03 00 00 00 08 00 00 00 00 00 c0 56 04
0090  01 00 00 00 00 00 00 02 00 00 00 02 00 00 00 09
00a0  66 64 74 00 70 72 65 73 65 72 76 65 64 2d 6d 65
00b0  6d 6f 72 79 2d 6d 61 70 00 63 6f 6d 70 61 74 69
00c0  62 6c 65 00`),
    );
  });

  it("root of 6.19 and 7.0 with one LUO subtree, and before there is any", () => {
    const tree = rootTree(formOf("6.19"), 0x104570000n, [{ name: "LUO", pa: 0x103e44000n, size: 236 }]);
    expect(rootBlob(formOf("6.19"), tree)).toEqual(
      dump(`
0000  d0 0d fe ed 00 00 00 b4 00 00 00 38 00 00 00 90
0010  00 00 00 28 00 00 00 11 00 00 00 10 00 00 00 00
0020  00 00 00 24 00 00 00 58 00 00 00 00 00 00 00 00
0030  00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00
0040  00 00 00 03 00 00 00 07 00 00 00 15 6b 68 6f 2d
0050  76 31 00 00 00 00 00 03 00 00 00 08 00 00 00 00
0060  00 00 57 04 01 00 00 00 00 00 00 01 4c 55 4f 00
0070  00 00 00 03 00 00 00 08 00 00 00 20 00 40 e4 03
0080  01 00 00 00 00 00 00 02 00 00 00 02 00 00 00 09
0090  70 72 65 73 65 72 76 65 64 2d 6d 65 6d 6f 72 79
00a0  2d 6d 61 70 00 63 6f 6d 70 61 74 69 62 6c 65 00
00b0  66 64 74 00`),
    );
    expect(rootBlob(formOf("6.19"), rootTree(formOf("6.19"), 0n, [])).length).toBe(152);
  });

  it("LUO's tree of 7.1, and its length in 6.19", () => {
    expect(sequentialTree(luoTree(1n, 0x103e50000n, 0x103e61000n))).toEqual(
      dump(`
0000  d0 0d fe ed 00 00 01 37 00 00 00 40 00 00 00 f8
0010  00 00 00 30 00 00 00 11 00 00 00 10 00 00 00 00
0020  00 00 00 3f 00 00 00 b8 00 00 00 00 00 00 00 00
0030  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
0040  00 00 00 01 00 00 00 00 00 00 00 03 00 00 00 07
0050  00 00 00 34 6c 75 6f 2d 76 31 00 00 00 00 00 03
0060  00 00 00 08 00 00 00 22 01 00 00 00 00 00 00 00
0070  00 00 00 01 6c 75 6f 2d 73 65 73 73 69 6f 6e 00
0080  00 00 00 03 00 00 00 0f 00 00 00 34 6c 75 6f 2d
0090  73 65 73 73 69 6f 6e 2d 76 32 00 00 00 00 00 03
00a0  00 00 00 08 00 00 00 0f 00 00 e5 03 01 00 00 00
00b0  00 00 00 02 00 00 00 01 6c 75 6f 2d 66 6c 62 00
00c0  00 00 00 03 00 00 00 0b 00 00 00 34 6c 75 6f 2d
00d0  66 6c 62 2d 76 31 00 00 00 00 00 03 00 00 00 08
00e0  00 00 00 00 00 10 e6 03 01 00 00 00 00 00 00 02
00f0  00 00 00 02 00 00 00 09 6c 75 6f 2d 66 6c 62 2d
0100  68 65 61 64 65 72 00 6c 75 6f 2d 73 65 73 73 69
0110  6f 6e 2d 68 65 61 64 65 72 00 6c 69 76 65 75 70
0120  64 61 74 65 2d 6e 75 6d 62 65 72 00 63 6f 6d 70
0130  61 74 69 62 6c 65 00`),
    );
    expect(sequentialTree(luoTree(1n, 0x103e50000n)).length).toBe(236);
  });

  it("memblock's tree with one region", () => {
    expect(sequentialTree(memblockTree([{ name: "trace", start: 0x12000000n, size: 0x200000n }]))).toEqual(
      dump(`
0000  d0 0d fe ed 00 00 00 d2 00 00 00 40 00 00 00 bc
0010  00 00 00 30 00 00 00 11 00 00 00 10 00 00 00 00
0020  00 00 00 16 00 00 00 7c 00 00 00 00 00 00 00 00
0030  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
0040  00 00 00 01 00 00 00 00 00 00 00 03 00 00 00 0c
0050  00 00 00 0b 6d 65 6d 62 6c 6f 63 6b 2d 76 31 00
0060  00 00 00 01 74 72 61 63 65 00 00 00 00 00 00 03
0070  00 00 00 0f 00 00 00 0b 72 65 73 65 72 76 65 2d
0080  6d 65 6d 2d 76 31 00 00 00 00 00 03 00 00 00 08
0090  00 00 00 05 00 00 00 12 00 00 00 00 00 00 00 03
00a0  00 00 00 08 00 00 00 00 00 00 20 00 00 00 00 00
00b0  00 00 00 02 00 00 00 02 00 00 00 09 73 69 7a 65
00c0  00 73 74 61 72 74 00 63 6f 6d 70 61 74 69 62 6c
00d0  65 00`),
    );
  });

  it("the x86 record and the metadata", () => {
    expect(setupData(0x100a51000n, 4096n, 0x7fe0000n, 48n)).toEqual(
      dump(`
0000  00 00 00 00 00 00 00 00  0a 00 00 00 20 00 00 00
0010  00 10 a5 00 01 00 00 00  00 10 00 00 00 00 00 00
0020  00 00 fe 07 00 00 00 00  30 00 00 00 00 00 00 00`),
    );
    const metadata = metadataBlob("7.3.4", 2);
    expect(metadata.subarray(0, 16)).toEqual(dump("0000  01 00 00 00 37 2e 33 2e 34 00 00 00 00 00 00 00"));
    expect(metadata.subarray(0x40)).toEqual(dump("0000  00 00 00 00 00 02 00 00 00"));
  });

  it("trees that are empty", () => {
    for (const blob of [sequentialTree, packedTree].map((make) =>
      make({ name: "", properties: [], children: [] }),
    ))
      expect(new DataView(blob.buffer).getUint32(4)).toBe(blob.length);
  });
});
