import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  cells,
  checkFdt,
  child,
  type Fdt,
  type FdtProblem,
  findNode,
  nativeU32,
  nativeU64,
  property,
  readFdt,
  stringList,
  stringValue,
} from "../../../formats/fdt/index.js";
import type { Abi } from "../../../src/layout/index.js";
import * as blobs from "./examples.js";
import { plain } from "./plain.js";
import { blobOf, token, writeTree } from "./write.js";

const abi: Abi = { byteOrder: "little", pageSize: 4096 };
const none = new Uint8Array(0);

const text = (fdt: Fdt, path: string, name: string) =>
  stringValue(property(findNode(fdt, path)!, name)!.value);
const number = (fdt: Fdt, path: string, name: string) =>
  nativeU64(property(findNode(fdt, path)!, name)!.value, abi);
const names = (fdt: Fdt, path: string) => {
  const node = findNode(fdt, path)!;
  return {
    properties: node.properties.map(({ name }) => name),
    nodes: node.children.map(({ name }) => name),
  };
};

describe("what kernels write", () => {
  test("kho-v4 root", () => {
    const fdt = readFdt(blobs.khoV4Root);
    expect(fdt.header).toEqual({
      magic: 0xd00dfeed,
      totalsize: 221,
      off_dt_struct: 0x38,
      off_dt_strings: 0xa4,
      off_mem_rsvmap: 0x28,
      version: 17,
      last_comp_version: 16,
      boot_cpuid_phys: 0,
      size_dt_strings: 0x39,
      size_dt_struct: 0x6c,
    });
    expect(fdt.complete).toBe(true);
    expect(fdt.reservations).toEqual([]);
    expect(names(fdt, "/")).toEqual({ properties: ["compatible", "preserved-memory-map"], nodes: ["LUO"] });
    expect(names(fdt, "/LUO")).toEqual({ properties: ["blob-size", "preserved-data"], nodes: [] });
    expect(text(fdt, "/", "compatible")).toBe("kho-v4");
    expect(number(fdt, "/", "preserved-memory-map")).toBe(0x100a52000n);
    expect(number(fdt, "/LUO", "blob-size")).toBe(32n);
    expect(number(fdt, "/LUO", "preserved-data")).toBe(0x103e44000n);
    const luo = child(fdt.root, "LUO")!;
    expect([fdt.root.offset, luo.offset]).toEqual([0x38, 0x68]);
    const size = property(luo, "blob-size")!;
    expect([size.offset, size.nameOffset, size.valueOffset, size.length]).toEqual([0x70, 0x2f, 0x7c, 8]);
    expect(size.value.buffer).toBe(blobs.khoV4Root.buffer);
    expect(size.value.byteOffset).toBe(0x7c);
  });

  test("kho-v1 root, sequential and edited", () => {
    const sequential = readFdt(blobs.khoV1SequentialRoot);
    expect(text(sequential, "/", "compatible")).toBe("kho-v1");
    expect(number(sequential, "/", "preserved-memory-map")).toBe(0x104570000n);
    expect(number(sequential, "/memblock", "fdt")).toBe(0x10456c000n);
    const edited = readFdt(blobs.khoV1EditedRoot);
    expect(text(edited, "/", "compatible")).toBe("kho-v1");
    expect(number(edited, "/", "preserved-memory-map")).toBe(0x104570000n);
    expect(number(edited, "/LUO", "fdt")).toBe(0x103e44000n);
  });

  test("memblock", () => {
    const fdt = readFdt(blobs.memblockTree);
    expect(text(fdt, "/", "compatible")).toBe("memblock-v1");
    expect(text(fdt, "/trace", "compatible")).toBe("reserve-mem-v1");
    expect(number(fdt, "/trace", "start")).toBe(0x12000000n);
    expect(number(fdt, "/trace", "size")).toBe(0x200000n);
  });

  test("luo-v1", () => {
    const fdt = readFdt(blobs.luoV1Tree);
    expect(names(fdt, "/")).toEqual({
      properties: ["compatible", "liveupdate-number"],
      nodes: ["luo-session", "luo-flb"],
    });
    expect(number(fdt, "/", "liveupdate-number")).toBe(1n);
    expect(text(fdt, "/luo-session", "compatible")).toBe("luo-session-v2");
    expect(number(fdt, "/luo-session", "luo-session-header")).toBe(0x103e50000n);
    expect(text(fdt, "/luo-flb", "compatible")).toBe("luo-flb-v1");
    expect(number(fdt, "/luo-flb", "luo-flb-header")).toBe(0x103e61000n);
  });

  test.each(Object.entries(blobs.examples))("%s is valid anywhere in memory", (_, blob) => {
    expect(checkFdt(blob)).toEqual([]);
    for (const shift of [1, 2, 3, 7]) {
      const page = new Uint8Array(4096 + shift).fill(0xa5);
      page.set(blob, shift);
      const moved = readFdt(page.subarray(shift));
      expect(plain(moved.root)).toEqual(plain(readFdt(blob).root));
      expect(checkFdt(page.subarray(shift))).toEqual([]);
    }
  });
});

/** Every blob of the fixtures, whole or cut: debugfs gives `out/fdt` the length that it had at boot. */
const fixtures = new URL("../../../fixtures/", import.meta.url);
const captured = (existsSync(fixtures) ? readdirSync(fixtures) : []).flatMap((name) => {
  const folder = new URL(`${name}/fdt/`, fixtures);
  const files = existsSync(folder) ? readdirSync(folder) : [];
  return files
    .filter((file) => file.endsWith(".dtb"))
    .map((file) => ({ name: `${name}/${file}`, url: new URL(file, folder) }));
});

describe("captures of real kernels", () => {
  for (const { name, url } of captured)
    test(name, () => {
      const blob = new Uint8Array(readFileSync(url));
      const problems: FdtProblem[] = [];
      const fdt = readFdt(blob, { lenient: true, report: (problem) => problems.push(problem) });
      if (fdt.header.totalsize <= blob.length) {
        expect(problems).toEqual([]);
        expect(checkFdt(blob)).toEqual([]);
        expect(plain(readFdt(blob).root)).toEqual(plain(fdt.root));
      } else {
        expect(problems.map(({ code }) => code)).toEqual(["fdt-truncated"]);
        expect(fdt.complete).toBe(false);
        expect(() => readFdt(blob)).toThrow(expect.objectContaining({ code: "fdt-truncated" }));
      }
      expect(fdt.root.properties.length).toBeGreaterThan(0);
    });
});

describe("a cut capture", () => {
  const cut = (length: number) => {
    const problems: FdtProblem[] = [];
    const report = (problem: FdtProblem) => problems.push(problem);
    return { fdt: readFdt(blobs.khoV4Root.subarray(0, length), { lenient: true, report }), problems };
  };

  test("in the strings: the names that are left, and the values of the others", () => {
    const { fdt, problems } = cut(0xc0);
    expect(problems).toEqual([
      {
        severity: "error",
        code: "fdt-truncated",
        offset: 0xc0,
        length: 221 - 0xc0,
        message: "the blob has 221 bytes, 192 are there (offset 0xc0)",
        expected: "221 bytes",
        actual: "192 bytes",
      },
    ]);
    expect(names(fdt, "/")).toEqual({ properties: ["", "preserved-memory-map"], nodes: ["LUO"] });
    expect(names(fdt, "/LUO")).toEqual({ properties: ["", ""], nodes: [] });
    const [compatible] = fdt.root.properties;
    expect(compatible?.nameOffset).toBe(0x15);
    expect(stringValue(compatible!.value)).toBe("kho-v4");
  });

  test("in the structure: the properties and nodes that are whole", () => {
    const { fdt, problems } = cut(0x80);
    expect(problems.map(({ code }) => code)).toEqual(["fdt-truncated"]);
    expect(fdt.root.properties.length).toBe(2);
    expect(fdt.root.children.map(({ name, properties }) => [name, properties.length])).toEqual([["LUO", 0]]);
  });

  test("at every length: one report, or an error where there is no header", () => {
    for (let length = 0; length < blobs.khoV4Root.length; length++) {
      if (length < 40)
        expect(() => cut(length)).toThrow(
          expect.objectContaining({ name: "KhoError", code: "fdt-truncated" }),
        );
      else expect(cut(length).problems.map(({ code }) => code)).toEqual(["fdt-truncated"]);
    }
  });
});

describe("versions", () => {
  const patched = (at: number, value: number, blob = blobs.khoV4Root) => {
    const copy = blob.slice();
    new DataView(copy.buffer).setUint32(at, value);
    return copy;
  };
  const version = 20;
  const lastCompatible = 24;
  const sizeOfStructure = 36;

  test("16 has no size_dt_struct", () => {
    const old = patched(sizeOfStructure, 0xffffffff, patched(version, 16));
    expect(checkFdt(old)).toEqual([]);
    const fdt = readFdt(old);
    expect(fdt.header.size_dt_struct).toBe(221 - 0x38);
    expect(plain(fdt.root)).toEqual(plain(readFdt(blobs.khoV4Root).root));
  });

  test("a later version that is compatible with 17", () => {
    expect(checkFdt(patched(version, 18))).toEqual([]);
    expect(checkFdt(patched(version, 0xffffffff))).toEqual([]);
  });

  test.each([
    [version, 1],
    [version, 0],
    [version, 15],
    [lastCompatible, 18],
    [lastCompatible, 0xffffffff],
  ])("refused: %i set to %i", (at, value) => {
    const bad = patched(at, value);
    expect(checkFdt(bad)[0]).toMatchObject({ code: "fdt-bad-version", offset: at === 20 ? 20 : 24 });
    expect(() => readFdt(bad)).toThrow(expect.objectContaining({ code: "fdt-bad-version" }));
  });

  test("refused: compatible with more than itself", () => {
    expect(checkFdt(patched(lastCompatible, 17, patched(version, 16)))).toMatchObject([
      { code: "fdt-bad-version", offset: lastCompatible, expected: "at most 16", actual: "17" },
    ]);
  });

  test("one that cannot be read says so, and a lenient reading takes it for 17", () => {
    const found: string[] = [];
    const report = ({ message }: FdtProblem) => found.push(message);
    const fdt = readFdt(patched(lastCompatible, 3, patched(version, 3)), { lenient: true, report });
    expect(found).toEqual(["version 3 has another structure block, which is not supported (offset 0x14)"]);
    expect(text(fdt, "/", "compatible")).toBe("kho-v4");
  });
});

test("reservations end at size 0", () => {
  const reservations = [
    { address: 0xffff_ffff_ffff_f000n, size: 0x1000n },
    { address: 1n, size: 2n ** 64n - 1n },
  ];
  const blob = writeTree({ name: "", properties: [], children: [] }, { reservations });
  expect(readFdt(blob).reservations).toEqual(reservations);
  expect(checkFdt(blob)).toEqual([]);
});

test("names are lossless and are nothing but data", () => {
  const strings = [0xff, 0x61, 0];
  const structure = [
    ...token.begin(""),
    ...token.property(0, [1]),
    ...token.begin("__proto__"),
    ...token.end,
    ...token.begin("constructor"),
    ...token.end,
    ...token.end,
    ...token.finish,
  ];
  const { root } = readFdt(blobOf(structure, strings));
  expect(root.properties[0]!.name).toBe("\udcffa");
  expect(root.children.map(({ name }) => name)).toEqual(["__proto__", "constructor"]);
  expect(child(root, "toString")).toBeUndefined();
  expect(property(root, "__proto__")).toBeUndefined();
  expect(Object.hasOwn(Object.prototype, "offset")).toBe(false);
});

test("nodes are found as the kernel finds them", () => {
  const leaf = (name: string, value: number) => ({
    name,
    properties: [["n", Uint8Array.of(value)] as [string, Uint8Array]],
    children: [],
  });
  const top = { name: "a@1", properties: [], children: [leaf("b@2", 1), leaf("b", 2), leaf("bb", 3)] };
  const fdt = readFdt(writeTree({ name: "", properties: [], children: [top] }));
  const found = (path: string) => findNode(fdt, path)?.properties[0]?.value[0];
  expect(found("/a/b")).toBe(1);
  expect(found("/a/b@2")).toBe(1);
  expect(found("//a@1///bb/")).toBe(3);
  expect(found("/a/b@")).toBeUndefined();
  expect(found("/c/b")).toBeUndefined();
  expect(findNode(fdt, "/")).toBe(fdt.root);
  expect(findNode(fdt, "a")).toBeUndefined();
  expect(findNode(fdt, "")).toBeUndefined();
});

test("values", () => {
  const bytes = (...list: number[]) => Uint8Array.from(list);
  expect(stringValue(bytes(0x61, 0, 0x62))).toBe("a");
  expect(stringValue(bytes(0x61))).toBeUndefined();
  expect(stringValue(none)).toBeUndefined();
  expect(stringList(bytes(0x61, 0, 0, 0x62, 0))).toEqual(["a", "", "b"]);
  expect(stringList(bytes(0x61, 0, 0x62))).toBeUndefined();
  expect(stringList(none)).toEqual([]);
  expect(nativeU32(bytes(1, 2, 3, 4), abi)).toBe(0x04030201);
  expect(nativeU32(bytes(1, 2, 3, 4), { ...abi, byteOrder: "big" })).toBe(0x01020304);
  expect(nativeU32(bytes(1, 2, 3, 4, 5), abi)).toBeUndefined();
  expect(nativeU64(bytes(1, 0, 0, 0, 0, 0, 0, 0x80), abi)).toBe(0x8000000000000001n);
  expect(nativeU64(bytes(1, 0, 0, 0), abi)).toBeUndefined();
  const reg = bytes(0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0);
  expect(cells(reg, 1)).toEqual([1n, 2n, 0xffffffffn, 0n]);
  expect(cells(reg, 2)).toEqual([0x100000002n, 0xffffffff00000000n]);
  expect(cells(reg, 3)).toBeUndefined();
  expect(cells(reg, 0)).toBeUndefined();
  expect(cells(reg, Number.NaN)).toBeUndefined();
  expect(cells(none, 2)).toEqual([]);
});
