import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { describe, expect, test } from "vitest";
import { openImage } from "../../src/image/node.js";
import { pattern, text } from "./elfwriter.js";
import { codesOf, thrown } from "./expect.js";
import { tempFolders } from "./temp.js";

const folder = tempFolders();

/** Writes files, by their path in the folder. */
function tree(files: Record<string, Uint8Array | string>, name = "kho"): string {
  const root = folder(name);
  for (const [path, content] of Object.entries(files)) {
    const parts = path.split("/");
    mkdirSync(join(root, ...parts.slice(0, -1)), { recursive: true });
    writeFileSync(join(root, ...parts), content);
  }
  return root;
}

const fdt = pattern(300);
const both = {
  "in/fdt": fdt,
  "in/sub_fdts/b": text("B"),
  "in/sub_fdts/a": text("A"),
  "in/sub_fdts/Z": text("Z"),
  "out/fdt": pattern(20),
  "out/sub_fdts/LUO": text("out"),
  "out/scratch_phys": "0x1000000\n0x880000000\n",
  "out/scratch_len": "0x400000\n0x8000000\n",
};

describe("a copied folder", () => {
  test("the half that was received, with the names sorted by bytes", () => {
    const image = openImage(tree(both));
    expect(image).toMatchObject({ kind: "debugfs", findings: [] });
    expect(image.memory.ranges).toEqual([]);
    expect(image.debugfs).toMatchObject({ side: "in", fdt });
    expect([...image.debugfs!.blobs]).toEqual([
      ["Z", text("Z")],
      ["a", text("A")],
      ["b", text("B")],
    ]);
    expect(image.debugfs!.scratch).toEqual([
      { pa: 0x1000000n, size: 0x400000n },
      { pa: 0x880000000n, size: 0x8000000n },
    ]);
  });

  test("the other half if it is asked for, or the only one with a tree", () => {
    const asked = openImage(tree(both), { side: "out" }).debugfs!;
    expect([asked.side, asked.fdt, [...asked.blobs.keys()]]).toEqual(["out", pattern(20), ["LUO"]]);
    const { "in/fdt": _, ...noTree } = both;
    expect(openImage(tree(noTree)).debugfs!.side).toBe("out");
    thrown(() => openImage(tree({ "out/fdt": fdt }), { side: "in" }), "not-a-handover");
  });

  test("one half alone, by its name or by its files", () => {
    const side = (root: string) => openImage(root).debugfs!.side;
    expect(side(tree({ fdt }, "in"))).toBe("in");
    expect(side(tree({ fdt }, "out"))).toBe("out");
    expect(side(tree({ fdt }, "other"))).toBe("in");
    expect(side(tree({ fdt, scratch_phys: "", scratch_len: "" }, "other"))).toBe("out");
    expect(openImage(tree({ "sub_fdts/x": text("x") }, "in")).debugfs!.blobs.size).toBe(1);
  });

  test("without a tree", () => {
    const image = openImage(tree({ "out/sub_fdts/LUO": text("x") }));
    expect(codesOf(image.findings)).toEqual(["truncated-capture"]);
    expect(image.debugfs).not.toHaveProperty("fdt");
  });

  test("reached through a symbolic link of the user's own", () => {
    const link = join(folder(), "link");
    symlinkSync(tree(both), link);
    expect(openImage(link).debugfs!.blobs.size).toBe(3);
  });

  test.skipIf(process.platform !== "linux")("names that are not UTF-8", () => {
    const root = tree(both);
    writeFileSync(Buffer.concat([Buffer.from(join(root, "in", "sub_fdts") + sep), Buffer.of(0xff)]), "?");
    expect([...openImage(root).debugfs!.blobs.keys()].at(-1)).toBe("\udcff");
  });
});

describe("scratch areas", () => {
  const scratch = (phys: string | undefined, len: string | undefined) => {
    const image = openImage(
      tree({
        "out/fdt": fdt,
        ...(phys !== undefined && { "out/scratch_phys": phys }),
        ...(len !== undefined && { "out/scratch_len": len }),
      }),
    );
    return [codesOf(image.findings), image.debugfs!.scratch.map(({ pa }) => pa)];
  };

  test("what is malformed is reported and left out", () => {
    const bad = "scratch-malformed";
    expect(scratch(undefined, undefined)).toEqual([[], []]);
    expect(scratch("0x1000\n", undefined)).toEqual([[bad], []]);
    expect(scratch(undefined, "0x1000\n")).toEqual([[bad], []]);
    expect(scratch("0x1000\n0x2000\n", "0x10\n")).toEqual([[bad], [0x1000n]]);
    expect(scratch("0x1000\nabc\n0x3000\n", "0x10\n0x10\n0x10\n")).toEqual([[bad], [0x1000n, 0x3000n]]);
    for (const [phys, len] of [
      ["4096", "0x10"],
      ["0x1000 ", "0x10"],
      ["0x1000", "-0x10"],
      ["0x11112222333344445", "0x10"],
      ["0xffffffffffffffff", "0x2"],
      ["\x1b[2J", "0x10"],
    ] as const)
      expect(scratch(phys, len)).toEqual([[bad], []]);
    // An explicit size of 0 on the command line gives an empty area, which keeps its place among the others.
    expect(scratch("0x0\n0x2000\n", "0x0\n0x10\n")).toEqual([[], [0n, 0x2000n]]);
    expect(scratch("0xffffffffffffffff", "0x1")).toEqual([[], [0xffffffffffffffffn]]);
  });

  test("more of them than there can be", () => {
    const [found, areas] = scratch("0x1000\n".repeat(5000), "0x10\n".repeat(5000));
    expect([found, areas!.length]).toEqual([["limit-exceeded"], 4096]);
    expect(scratch("0x1000\n".repeat(50_000), "0x10\n")[0]).toEqual(["limit-exceeded", "scratch-malformed"]);
  });
});

describe("a hostile folder", () => {
  test("links that lead out are not followed, links inside are", () => {
    const root = tree(both);
    const outside = tree({ secret: "secret", "sub_fdts/secret": "secret" });
    const link = (target: string, name: string) => symlinkSync(target, join(root, "in", "sub_fdts", name));
    link(join(outside, "secret"), "absolute");
    link(relative(join(root, "in", "sub_fdts"), join(outside, "secret")), "relative");
    link("absolute", "twice");
    link("loop", "loop");
    link("nowhere", "nowhere");
    link("../../out/fdt", "inside");
    const { debugfs, findings } = openImage(root);
    expect([...debugfs!.blobs.keys()]).toEqual(["Z", "a", "b", "inside"]);
    expect(debugfs!.blobs.get("inside")).toEqual(pattern(20));
    expect(codesOf(findings)).toEqual(Array(5).fill("symlink-refused"));
  });

  test("a sibling whose name begins like the folder's is outside", () => {
    const root = tree(both);
    mkdirSync(`${root}-other`);
    writeFileSync(join(`${root}-other`, "secret"), "secret");
    symlinkSync(join(`${root}-other`, "secret"), join(root, "in", "sub_fdts", "x"));
    expect(codesOf(openImage(root).findings)).toEqual(["symlink-refused"]);
  });

  test("folders that are links", () => {
    const outside = tree(both);
    const root = folder("kho");
    symlinkSync(join(outside, "in"), join(root, "in"));
    thrown(() => openImage(root), "not-a-handover");
    writeFileSync(join(root, "fdt"), fdt);
    symlinkSync(join(outside, "in", "sub_fdts"), join(root, "sub_fdts"));
    const image = openImage(root);
    expect([image.debugfs!.blobs.size, codesOf(image.findings)]).toEqual([
      0,
      ["symlink-refused", "symlink-refused"],
    ]);
    const inner = tree({ "real/fdt": fdt });
    symlinkSync("real", join(inner, "out"));
    expect(openImage(inner).debugfs).toMatchObject({ side: "out", fdt });
  });

  test("the tree itself as a link", () => {
    const root = tree({ "in/sub_fdts/a": "A" });
    symlinkSync(join(tree({ secret: "secret" }), "secret"), join(root, "in", "fdt"));
    const { debugfs, findings } = openImage(root);
    expect([debugfs!.fdt, codesOf(findings)]).toEqual([undefined, ["symlink-refused"]]);
  });

  test.skipIf(process.platform === "win32")("what is no regular file is not opened", () => {
    const root = tree(both);
    mkdirSync(join(root, "in", "sub_fdts", "folder"));
    execFileSync("mkfifo", [join(root, "in", "sub_fdts", "pipe")]);
    const { debugfs, findings } = openImage(root);
    expect([debugfs!.blobs.size, codesOf(findings)]).toEqual([3, ["io", "io"]]);
    expect(codesOf(openImage(tree({ "in/fdt": fdt, "in/sub_fdts": "a file" })).findings)).toEqual(["io"]);
  });

  test("files that are too large, and too many", () => {
    const root = tree(both);
    const large = join(root, "in", "sub_fdts", "large");
    writeFileSync(large, "");
    truncateSync(large, 16 * 1024 * 1024 + 1);
    expect(codesOf(openImage(root).findings)).toEqual(["limit-exceeded"]);
    truncateSync(large, 16 * 1024 * 1024);
    expect(openImage(root).debugfs!.blobs.get("large")!.length).toBe(16 * 1024 * 1024);
    const many = tree({ "in/fdt": fdt });
    mkdirSync(join(many, "in", "sub_fdts"));
    for (let i = 0; i < 4100; i++) writeFileSync(join(many, "in", "sub_fdts", String(i)), "");
    const image = openImage(many);
    expect([image.debugfs!.blobs.size, codesOf(image.findings)]).toEqual([4096, ["limit-exceeded"]]);
  });
});
