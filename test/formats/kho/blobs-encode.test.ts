/** Blobs of subtrees, from the specification's own dumps. */
import { describe, expect, it } from "vitest";
import { encodeKexecMetadata, kexecMetadataSize } from "../../../formats/kho/metadata-encode.js";
import { khoTestList, khoTestTree } from "../../../formats/kho/test-module-encode.js";
import { encodeReserveMem } from "../../../formats/memblock/encode.js";
import { physAddr } from "../../../src/memory/index.js";
import { dump } from "../../handover/synthetic/ram.js";
import { node, sequentialTree, text, u32 } from "../../handover/synthetic/trees.js";
import { failure } from "../../layout/support.js";
import { memblockTree } from "../fdt/examples.js";
import { targetOf } from "../target.js";
import { abiOf } from "./support.js";

describe("kexec-metadata", () => {
  it("has 73 bytes, the last number unaligned", () => {
    const target = targetOf();
    encodeKexecMetadata(target, physAddr(0x1000), { version: 1, previousRelease: "7.3.4", kexecCount: 2 });
    const bytes = new Uint8Array(73);
    bytes.set(dump("0000  01 00 00 00 37 2e 33 2e 34 00 00 00 00 00 00 00"));
    bytes.set(dump("0000  02 00 00 00"), 0x45);
    expect(target.at(0x1000, 73)).toEqual(bytes);
    expect(kexecMetadataSize(target.abi)).toBe(73);
    expect(target.left).toEqual(["page-tail 0x1049 4023"]);
  });
});

describe("memblock", () => {
  it("one region", () => {
    const target = targetOf();
    const region = { name: "trace", start: physAddr(0x12000000), size: 0x200000n };
    expect(encodeReserveMem(target, physAddr(0x1000), [region])).toBe(210);
    expect(target.at(0x1000, 210)).toEqual(memblockTree);
    expect(target.left).toEqual(["fdt-slack 0x10d2 3886"]);
  });
  it("more regions than a page holds", () => {
    const regions = Array.from({ length: 100 }, (_, i) => ({ name: `r${i}`, start: physAddr(0), size: 1n }));
    expect(failure(() => encodeReserveMem(targetOf(), physAddr(0x1000), regions)).code).toBe("value-range");
  });
});

describe("the test module", () => {
  it("lists a folio as its address with its order in the low bits", () => {
    const folios = { pfn: Float64Array.of(0x100a51, 0x100a40), order: Uint8Array.of(0, 6) };
    expect(khoTestList(folios, abiOf(4096))).toEqual(
      dump("0000  00 10 a5 00 01 00 00 00 06 00 a4 00 01 00 00 00"),
    );
    const bad = { pfn: Float64Array.of(0x100a51), order: Uint8Array.of(1) };
    expect(failure(() => khoTestList(bad, abiOf(4096)))).toMatchObject({
      code: "value-range",
      path: "folios[0]",
    });
  });
  it("has a tree of two nodes", () => {
    const info = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const test = { magic: 0x4b484f21, nrFolios: 1, csum: 0xdeadbeef };
    expect(khoTestTree(test, info, abiOf(4096))).toEqual(
      sequentialTree(
        node(
          "",
          [
            ["compatible", text("kho-test-v1")],
            ["magic", u32(0x4b484f21)],
          ],
          [
            node("data", [
              ["nr_folios", u32(1)],
              ["folios_info", info],
              ["csum", u32(0xdeadbeef)],
            ]),
          ],
        ),
      ),
    );
  });
});
