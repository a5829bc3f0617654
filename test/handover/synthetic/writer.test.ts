import { describe, expect, it } from "vitest";
import { examples } from "../../formats/fdt/examples.js";
import { dump } from "./ram.js";
import { formOf } from "./releases.js";
import { packedTree, sequentialTree } from "./trees.js";
import { luoTree, memblockTree, metadataBlob, rootBlob, rootTree, setupData } from "./writer.js";

/** The writer itself is measured against dumps of bytes that kernels wrote. */
describe("the test writer makes the bytes that kernels make", () => {
  it("root of 7.2 and 7.3 with one LUO subtree", () => {
    const tree = rootTree(formOf("7.3"), 0x100a52000n, [{ name: "LUO", pa: 0x103e44000n, size: 32 }]);
    expect(rootBlob(formOf("7.3"), tree)).toEqual(examples.khoV4Root);
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
    expect(rootBlob(formOf("6.18"), tree)).toEqual(examples.khoV1SequentialRoot);
  });

  it("root of 6.19 and 7.0 with one LUO subtree, and before there is any", () => {
    const tree = rootTree(formOf("6.19"), 0x104570000n, [{ name: "LUO", pa: 0x103e44000n, size: 236 }]);
    expect(rootBlob(formOf("6.19"), tree)).toEqual(examples.khoV1EditedRoot);
    expect(rootBlob(formOf("6.19"), rootTree(formOf("6.19"), 0n, [])).length).toBe(152);
  });

  it("LUO's tree of 7.1, and its length in 6.19", () => {
    expect(sequentialTree(luoTree(1n, 0x103e50000n, 0x103e61000n))).toEqual(examples.luoV1Tree);
    expect(sequentialTree(luoTree(1n, 0x103e50000n)).length).toBe(236);
  });

  it("memblock's tree with one region", () => {
    expect(sequentialTree(memblockTree([{ name: "trace", start: 0x12000000n, size: 0x200000n }]))).toEqual(
      examples.memblockTree,
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
