import { describe, expect, it } from "vitest";
import { blocksFor, encodeBlocks } from "../../../formats/kho/blocks-encode.js";
import {
  encodeFileArea,
  encodeFlbPage,
  encodeLuoRoot,
  encodeSessionArea,
  fileAreaCapacity,
  flbCapacity,
  sessionAreaCapacity,
} from "../../../formats/luo/encode.js";
import { luoFileSer, luoSessionSer } from "../../../formats/luo/layout.js";
import { physAddr } from "../../../src/memory/index.js";
import { dump } from "../../handover/synthetic/ram.js";
import { node, sequentialTree, text, u64 } from "../../handover/synthetic/trees.js";
import { failure } from "../../layout/support.js";
import { luoV1Tree } from "../fdt/examples.js";
import { abiOf } from "../kho/support.js";
import { pas, targetOf } from "../target.js";

const at = physAddr(0x103e44000);
const session = (name: string, files = 0n, count = 0n) => ({
  name,
  file_set_ser: { files: physAddr(files), count },
});
const file = { compatible: "memfd-v2", data: 0x105a3c000n, token: 0xabcd1234n };

describe("the root", () => {
  const numbers = { liveupdateNumber: 1n, sessions: physAddr(0x103e50000) };

  it("luo-v5 is a structure", () => {
    const target = targetOf();
    const root = { compatible: "luo-v5", ...numbers, flbs: physAddr(0x103e51000) };
    expect(encodeLuoRoot(target, at, "raw", root)).toBe(32);
    expect(target.at(0x103e44000, 32)).toEqual(
      dump(`
0000  6c 75 6f 2d 76 35 00 00  01 00 00 00 00 00 00 00
0010  00 00 e5 03 01 00 00 00  00 10 e5 03 01 00 00 00`),
    );
    expect(target.left).toEqual(["page-tail 0x103e44020 4064"]);
  });

  it("luo-v1 of 7.0 and 7.1 is a tree", () => {
    const target = targetOf("7.1");
    const root = { compatible: "luo-v1", ...numbers, flbs: physAddr(0x103e61000) };
    expect(encodeLuoRoot(target, at, "fdt", root)).toBe(311);
    expect(target.at(0x103e44000, 311)).toEqual(luoV1Tree);
    expect(target.left).toEqual(["fdt-slack 0x103e44137 3785"]);
  });

  it("luo-v1 of 6.19 has no node for FLBs", () => {
    expect(encodeLuoRoot(targetOf("6.19"), at, "fdt", { compatible: "luo-v1", ...numbers })).toBe(236);
  });

  it("trees of development kernels lead to a structure without a version", () => {
    const target = targetOf("7.1");
    const root = { compatible: "luo-v2", ...numbers, headerPa: physAddr(0x5000) };
    const tree = sequentialTree(
      node("", [
        ["compatible", text("luo-v2")],
        ["luo-abi-header", u64(0x5000n)],
      ]),
    );
    expect(encodeLuoRoot(target, at, "fdt", root)).toBe(tree.length);
    expect(target.at(0x103e44000, tree.length)).toEqual(tree);
    expect(target.at(0x5000, 24)).toEqual(
      dump(`
0000  01 00 00 00 00 00 00 00 00 00 e5 03 01 00 00 00
0010  00 00 00 00 00 00 00 00`),
    );
    expect(target.left[0]).toBe("page-tail 0x5018 4072");
  });

  it.each([
    ["fdt", "luo-v5", "compatible"],
    ["raw", "luo-v1", "compatible"],
    ["raw", "constructor", "compatible"],
    ["fdt", "luo-v3", "luo-abi-header"],
  ] as const)("there is no %s of version %s, or not without more", (container, compatible, path) => {
    expect(failure(() => encodeLuoRoot(targetOf(), at, container, { compatible, ...numbers }))).toMatchObject(
      { code: "value-range", path },
    );
  });
});

describe("blocks of 7.2", () => {
  it("a session, and its file", () => {
    const target = targetOf();
    encodeBlocks(target, luoSessionSer, pas(0x103e50000), [session("vm-agent", 0x105b00000n, 1n)]);
    encodeBlocks(target, luoFileSer, pas(0x105b00000), [file]);
    expect(target.at(0x103e50000, 96)).toEqual(
      dump(`
0000  00 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
0010  76 6d 2d 61 67 65 6e 74  00 00 00 00 00 00 00 00
0050  00 00 b0 05 01 00 00 00  01 00 00 00 00 00 00 00`),
    );
    expect(target.at(0x105b00000, 80)).toEqual(
      dump(`
0000  00 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
0010  6d 65 6d 66 64 2d 76 32  00 00 00 00 00 00 00 00
0040  00 c0 a3 05 01 00 00 00  34 12 cd ab 00 00 00 00`),
    );
    expect(target.left).toEqual([
      "records-beyond-count 0x103e50060 4000",
      "records-beyond-count 0x105b00050 4016",
    ]);
  });

  it.each([
    [4096, 51, 63],
    [16384, 204, 255],
    [65536, 819, 1023],
  ])("pages of %i bytes hold %i sessions or %i files", (pageSize, sessions, files) => {
    const abi = abiOf(pageSize);
    for (const [record, most] of [
      [luoSessionSer, sessions],
      [luoFileSer, files],
    ] as const)
      expect([0, 1, most, most + 1, 2 * most].map((count) => blocksFor(record, count, abi))).toEqual([
        0, 1, 1, 2, 2,
      ]);
  });

  it("are linked, and full but the last", () => {
    const target = targetOf();
    const sessions = Array.from({ length: 53 }, (_, i) => session(`s${i}`));
    encodeBlocks(target, luoSessionSer, pas(0x9000, 0x5000), sessions);
    expect([...target.at(0x9000, 16)]).toEqual([0, 0x50, 0, 0, 0, 0, 0, 0, 51, 0, 0, 0, 0, 0, 0, 0]);
    expect([...target.at(0x5000, 16)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    expect([...target.at(0x5010, 4)]).toEqual([...new TextEncoder().encode("s51"), 0]);
  });

  it("are never empty, and not too many", () => {
    const wrong = (places: number, count: number) =>
      failure(() =>
        encodeBlocks(
          targetOf(),
          luoFileSer,
          Array.from({ length: places }, (_, i) => physAddr(0x1000 * (i + 1))),
          Array.from({ length: count }, () => file),
        ),
      );
    expect(wrong(1, 0).code).toBe("value-range");
    expect(wrong(2, 63).code).toBe("value-range");
    expect(wrong(10001, 63 * 10000 + 1)).toMatchObject({ code: "value-range", actual: "10001" });
  });

  it("name the record whose value does not fit", () => {
    const files = [file, { ...file, compatible: "x".repeat(49) }];
    expect(failure(() => encodeBlocks(targetOf(), luoFileSer, pas(0x1000), files))).toMatchObject({
      code: "value-range",
      path: "luo_file_ser[1].compatible",
    });
  });
});

describe("areas of 6.19 to 7.1", () => {
  it("sessions behind a count, in 16 pages", () => {
    const target = targetOf("7.1");
    encodeSessionArea(target, at, [session("a", 0x5000n, 3n), session("b")]);
    const bytes = new Uint8Array(168);
    bytes.set([2]);
    bytes.set([0x61], 8);
    bytes.set([0, 0x50], 72);
    bytes.set([3], 80);
    bytes.set([0x62], 88);
    expect(target.at(0x103e44000, 168)).toEqual(bytes);
    expect(target.left).toEqual([`records-beyond-count 0x103e440a8 ${65536 - 168}`]);
  });

  it("files without a count, in 2 pages", () => {
    const target = targetOf("7.1");
    encodeFileArea(target, at, [file]);
    expect(target.at(0x103e44000, 64)).toEqual(
      dump(`
0000  6d 65 6d 66 64 2d 76 32  00 00 00 00 00 00 00 00
0030  00 c0 a3 05 01 00 00 00  34 12 cd ab 00 00 00 00`),
    );
    expect(target.left).toEqual(["records-beyond-count 0x103e44040 8128"]);
  });

  it.each([
    [4096, 819, 128, 63],
    [16384, 3276, 512, 255],
    [65536, 13107, 2048, 1023],
  ])("with pages of %i bytes: %i sessions, %i files, %i FLBs", (pageSize, sessions, files, flbs) => {
    const target = targetOf("7.1", pageSize);
    expect([sessionAreaCapacity(target), fileAreaCapacity(target), flbCapacity(target)]).toEqual([
      sessions,
      files,
      flbs,
    ]);
    encodeFileArea(target, at, new Array(files).fill(file));
    expect(target.left).toEqual([]);
    const sink = targetOf("7.1", pageSize);
    const flb = { name: "flb", data: 0n, count: 1n };
    for (const call of [
      () => encodeSessionArea(sink, at, new Array(sessions + 1).fill(session("s"))),
      () => encodeFileArea(sink, at, new Array(files + 1).fill(file)),
      () => encodeFlbPage(sink, at, new Array(flbs + 1).fill(flb)),
    ])
      expect(failure(call).code).toBe("value-range");
    expect(sink.memory.ranges).toEqual([]);
  });
});

it("the FLB page", () => {
  const target = targetOf();
  encodeFlbPage(target, at, [
    { name: "liveupdate-test-flb-v0", data: 0xfeedf00dcafebee0n, count: 1n },
    { name: "liveupdate-test-flb-v1", data: 0xfeedf00dcafebee1n, count: 1n },
  ]);
  const bytes = new Uint8Array(0x90);
  bytes.set(dump("0000  01 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00"));
  bytes.set(new TextEncoder().encode("liveupdate-test-flb-v0"), 0x10);
  bytes.set(dump("0000  e0 be fe ca 0d f0 ed fe  01 00 00 00 00 00 00 00"), 0x40);
  bytes.set(new TextEncoder().encode("liveupdate-test-flb-v1"), 0x50);
  bytes.set(dump("0000  e1 be fe ca 0d f0 ed fe  01 00 00 00 00 00 00 00"), 0x80);
  expect(target.at(0x103e44000, 0x90)).toEqual(bytes);
  expect(target.left).toEqual(["records-beyond-count 0x103e44090 3952"]);
});
