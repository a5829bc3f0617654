import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  buildSequential,
  checkFdt,
  nativeU32Property,
  nativeU64Property,
  readFdt,
  stringProperty,
  type TreeSource,
} from "../../../formats/fdt/index.js";
import { decodeHandover, openImage } from "../../../src/index.js";
import { fixtures } from "../../conformance/truth.js";
import { alikeNames, alikeTrees, values } from "./arbitrary.js";
import { captures } from "./captures.js";
import { khoV1SequentialRoot, luoV1Tree, memblockTree } from "./examples.js";
import { plain } from "./plain.js";
import { token } from "./write.js";

const hasDtc = spawnSync("dtc", ["--version"]).status === 0;

const abi = { byteOrder: "little", pageSize: 4096 } as const;
const text = stringProperty;
const u64 = (value: bigint) => nativeU64Property(value, abi);
const node = (
  name: string,
  properties: TreeSource["properties"],
  children: TreeSource[] = [],
): TreeSource => ({ name, properties, children });

describe("byte for byte what the specification shows", () => {
  test("memblock", () => {
    const region = node("trace", [
      ["compatible", text("reserve-mem-v1")],
      ["start", u64(0x12000000n)],
      ["size", u64(0x200000n)],
    ]);
    expect(buildSequential(node("", [["compatible", text("memblock-v1")]], [region]))).toEqual(memblockTree);
  });

  test("luo-v1", () => {
    const root: TreeSource["properties"] = [
      ["compatible", text("luo-v1")],
      ["liveupdate-number", u64(1n)],
    ];
    const sessions = node("luo-session", [
      ["compatible", text("luo-session-v2")],
      ["luo-session-header", u64(0x103e50000n)],
    ]);
    const flbs = node("luo-flb", [
      ["compatible", text("luo-flb-v1")],
      ["luo-flb-header", u64(0x103e61000n)],
    ]);
    expect(buildSequential(node("", root, [sessions, flbs]))).toEqual(luoV1Tree);
    // In 6.19 there is no second node.
    expect(buildSequential(node("", root, [sessions])).length).toBe(236);
  });

  test("a root of 6.18", () => {
    const root: TreeSource["properties"] = [
      ["compatible", text("kho-v1")],
      ["preserved-memory-map", u64(0x104570000n)],
    ];
    const memblock = node("memblock", [["fdt", u64(0x10456c000n)]]);
    expect(buildSequential(node("", root, [memblock]))).toEqual(khoV1SequentialRoot);
  });

  test("an empty tree: header, padding, end of the reservations, three tokens", () => {
    const blob = buildSequential(node("", []));
    expect(blob.length).toBe(0x40 + 16);
    expect(blob.subarray(40, 0x40).every((byte) => byte === 0)).toBe(true);
    expect([...blob.subarray(0x40)]).toEqual([...token.begin(""), ...token.end, ...token.finish]);
  });
});

describe("what kernels wrote is written again", () => {
  const sequential = captures.filter(({ mode }) => mode === "sequential");
  test.each(sequential)("$name", ({ blob }) => {
    const fdt = readFdt(blob);
    expect(buildSequential(plain(fdt.root))).toEqual(blob.subarray(0, fdt.header.totalsize));
  });

  test("there are such trees: roots, of memblock, of LUO, and of the test module", () => {
    for (const kind of ["fdt", "memblock", "LUO", "kho_test"])
      expect(sequential.filter(({ name }) => name.endsWith(`-${kind}.dtb`)).length).toBeGreaterThan(0);
  });

  test.each(fixtures)("trees that the root names, in memory: $name", ({ core }) => {
    const { handover } = decodeHandover(openImage(core));
    const trees = handover.subtrees.filter(({ kind }) => kind === "fdt").map(({ blob }) => blob!);
    for (const blob of trees) {
      const fdt = readFdt(blob);
      expect(buildSequential(plain(fdt.root))).toEqual(blob.subarray(0, fdt.header.totalsize));
    }
  });
});

describe("the strings block grows downwards", () => {
  const offsets = (...names: string[]) => {
    const fdt = readFdt(
      buildSequential(
        node(
          "",
          names.map((name) => [name, new Uint8Array(0)] as const),
        ),
      ),
    );
    const { off_dt_strings, size_dt_strings } = fdt.header;
    const strings = fdt.bytes.subarray(off_dt_strings, off_dt_strings + size_dt_strings);
    return [
      String.fromCharCode(...strings),
      ...fdt.root.properties.map(({ name, nameOffset }) => `${name}@${nameOffset}`),
    ];
  };

  test("new names in front", () =>
    expect(offsets("a", "bc", "a")).toEqual(["bc\0a\0", "a@3", "bc@0", "a@3"]));
  test("tails of longer names are shared", () =>
    expect(offsets("abc", "bc", "c")).toEqual(["abc\0", "abc@0", "bc@1", "c@2"]));
  test("but not with what comes later, except by what comes after that", () =>
    expect(offsets("bc", "abc", "bc")).toEqual(["abc\0bc\0", "bc@4", "abc@0", "bc@1"]));
  test("a head is not shared", () => expect(offsets("abc", "ab")).toEqual(["ab\0abc\0", "abc@3", "ab@0"]));
  test("the empty name is the end of the first", () =>
    expect(offsets("ab", "")).toEqual(["ab\0", "ab@0", "@2"]));
});

test("names and places are those of a block that is searched from its start", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(alikeNames, fc.constant("")), { maxLength: 40 }), (names) => {
      let strings = "";
      const fromEnd = names.map((name) => {
        const at = strings.indexOf(`${name}\0`);
        if (at >= 0) return strings.length - at;
        strings = `${name}\0${strings}`;
        return strings.length;
      });
      const { bytes, header, root } = readFdt(
        buildSequential(
          node(
            "",
            names.map((name) => [name, new Uint8Array(0)] as const),
          ),
        ),
      );
      expect(String.fromCharCode(...bytes.subarray(header.off_dt_strings))).toBe(strings);
      expect(root.properties.map(({ nameOffset }) => nameOffset)).toEqual(
        fromEnd.map((place) => strings.length - place),
      );
    }),
    { numRuns: 500 },
  );
});

test("tokens are where they belong, whatever the size of what is before them", () => {
  // More room is made in front of every kind of token.
  for (const room of [1024, 2048, 4096])
    for (let size = room - 80; size <= room; size += 4) {
      const value = new Uint8Array(size).fill(0xee);
      const root = node("", [["a", value]], [node("b", [["c", value.subarray(0, 4)]]), node("\u00e9", [])]);
      expect(plain(readFdt(buildSequential(root)).root)).toEqual(root);
    }
});

test("a hundred thousand names are not each looked for in all others", () => {
  const names = Array.from({ length: 100_000 }, (_, i) => `name-${i}`);
  const root = node(
    "",
    [...names, ...names].map((name) => [name, new Uint8Array(0)] as const),
  );
  const read = readFdt(buildSequential(root)).root.properties;
  expect(read).toHaveLength(200_000);
  expect(read.every(({ name }, i) => name === names[i % names.length])).toBe(true);
});

test("names that cannot be stored are refused", () => {
  for (const name of ["a\0b", "\ud800"]) {
    const refused = expect.objectContaining({ code: "value-range" });
    expect(() => buildSequential(node("", [], [node(name, [])]))).toThrow(refused);
    expect(() => buildSequential(node("", [[name, new Uint8Array(0)]]))).toThrow(refused);
  }
  // Bytes that are not UTF-8 can.
  const blob = buildSequential(node("", [], [node("\udcff", [])]));
  expect(readFdt(blob).root.children[0]!.name).toBe("\udcff");
});

test("values in both byte orders", () => {
  const big = { ...abi, byteOrder: "big" } as const;
  expect([...nativeU64Property(0x8000000000000001n, abi)]).toEqual([1, 0, 0, 0, 0, 0, 0, 0x80]);
  expect([...nativeU64Property(0x8000000000000001n, big)]).toEqual([0x80, 0, 0, 0, 0, 0, 0, 1]);
  expect([...nativeU32Property(0xfffffffe, abi)]).toEqual([0xfe, 0xff, 0xff, 0xff]);
  expect([...nativeU32Property(2, big)]).toEqual([0, 0, 0, 2]);
  expect([...stringProperty("é")]).toEqual([0xc3, 0xa9, 0]);
  expect([...stringProperty("")]).toEqual([0]);
});

test("any tree that is built is read back", () => {
  const anyName = fc.string({ unit: "binary", maxLength: 8 }).map((name) => name.replaceAll("\0", ""));
  const leaf = fc.record({
    name: fc.oneof(anyName, alikeNames),
    properties: fc.array(fc.tuple(fc.oneof(anyName, alikeNames), values), { maxLength: 6 }),
    children: fc.constant<TreeSource[]>([]),
  });
  fc.assert(
    fc.property(fc.array(leaf, { maxLength: 6 }), (children) => {
      const root = node("", [], children);
      const blob = buildSequential(root);
      const fdt = readFdt(blob);
      expect(plain(fdt.root)).toEqual(root);
      expect(checkFdt(blob).filter(({ severity }) => severity === "error")).toEqual([]);
      const { header } = fdt;
      expect(header).toMatchObject({ totalsize: blob.length, off_mem_rsvmap: 0x30, off_dt_struct: 0x40 });
      expect(header.off_dt_struct + header.size_dt_struct).toBe(header.off_dt_strings);
      expect(header.off_dt_strings + header.size_dt_strings).toBe(blob.length);
    }),
  );
});

test.skipIf(!hasDtc)("dtc reads the trees that are built", () => {
  fc.assert(
    fc.property(alikeTrees, (root) => {
      const args = ["-q", "-f", "-I", "dtb", "-O", "dtb"];
      const { status, stdout } = spawnSync("dtc", args, { input: buildSequential(root) });
      expect(status).toBe(0);
      expect(plain(readFdt(new Uint8Array(stdout)).root)).toEqual(root);
    }),
    { numRuns: 60 },
  );
});
