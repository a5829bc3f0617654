import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkFdt, readFdt, toDts } from "../../../formats/fdt/index.js";
import { isKhoError } from "../../../src/report/error.js";
import { examples, khoV4Root } from "./examples.js";
import { plain } from "./plain.js";
import { blobOf, type Tree, token, writeTree } from "./write.js";

const hasDtc = spawnSync("dtc", ["--version"]).status === 0;
const hasFdtget = spawnSync("fdtget", ["--version"]).status === 0;

/** Runs dtc; `-f` because what it asks of content beyond the format is not at issue. */
function dtc(from: "dts" | "dtb", to: "dts" | "dtb", input: string | Uint8Array, flags: string[] = []) {
  const run = spawnSync("dtc", ["-q", "-f", "-I", from, "-O", to, ...flags], { input, maxBuffer: 2 ** 26 });
  return { ok: run.status === 0, output: new Uint8Array(run.stdout), errors: run.stderr.toString() };
}

/** What dtc makes of a text that it must take. */
function compile(text: string): Uint8Array {
  const { ok, output, errors } = dtc("dts", "dtb", text);
  expect({ ok, errors }).toMatchObject({ ok: true });
  return output;
}

/** The tree and reservations that dtc makes of our text. */
function compiled(blob: Uint8Array) {
  const { text, unrepresentable } = toDts(readFdt(blob));
  expect(unrepresentable).toEqual([]);
  const fdt = readFdt(compile(text));
  return { root: plain(fdt.root), reservations: fdt.reservations };
}

const value = (...bytes: number[]) => Uint8Array.from(bytes);
const ascii = (text: string) => new TextEncoder().encode(text);
const tree = (properties: Tree["properties"], children: Tree[] = [], name = ""): Tree => ({
  name,
  properties,
  children,
});

test("the text of a kho-v4 root", () => {
  expect(toDts(readFdt(khoV4Root))).toEqual({
    text: `/dts-v1/;

/ {
	compatible = "kho-v4";
	preserved-memory-map = <0x0020a500 0x01000000>;

	LUO {
		blob-size = <0x20000000 0x00000000>;
		preserved-data = <0x0040e403 0x01000000>;
	};
};
`,
    unrepresentable: [],
  });
});

test("kinds of values", () => {
  const properties: Tree["properties"] = [
    ["empty", value()],
    ["zero", value(0)],
    ["zeros", value(0, 0, 0, 0)],
    ["byte", value(0x61)],
    ["unterminated", ascii("abc")],
    ["text", ascii('a "b" \\ c\n\t\r\0')],
    ["list", ascii("a\0bc\0")],
    ["gap", ascii("a\0\0")],
    ["control", ascii("\u001b\0")],
    ["utf8", ascii("\u00e9\0")],
    ["cell", value(0xff, 0, 0, 1)],
  ];
  const { text } = toDts(readFdt(writeTree(tree(properties))));
  expect(text.split("\n").slice(3, -2)).toEqual([
    "\tempty;",
    "\tzero = [00];",
    "\tzeros = <0x00000000>;",
    "\tbyte = [61];",
    "\tunterminated = [61 62 63];",
    '\ttext = "a \\"b\\" \\\\ c\\n\\t\\r";',
    '\tlist = "a", "bc";',
    "\tgap = [61 00 00];",
    "\tcontrol = [1b 00];",
    "\tutf8 = [c3 a9 00];",
    "\tcell = <0xff000001>;",
  ]);
});

test("reservations and the boot CPU", () => {
  const reservations = [{ address: 0x1000n, size: 2n ** 64n - 1n }];
  const blob = writeTree(tree([]), { reservations, header: { boot_cpuid_phys: 7 } });
  expect(toDts(readFdt(blob)).text).toBe(
    "/dts-v1/;\n/memreserve/ 0x1000 0xffffffffffffffff;\n/* boot_cpuid_phys: dtc -b 7 */\n\n/ {\n};\n",
  );
});

describe("names that the syntax cannot express", () => {
  const hostile = [
    "a b",
    "a;};/*",
    "*/ x",
    '"',
    "\n",
    "\u001b[2J",
    "a/b",
    "",
    "é",
    "\\a",
    "a:",
    "&a",
    `${"x".repeat(99)}{`,
  ];
  const safe = ["__proto__", "constructor", "#size-cells", "0", "a,b.c_d+e*f#g?h-i", "*", "x".repeat(999)];

  test.each(hostile)("%j", (name) => {
    const blob = writeTree(tree([[name, value(1)]], [tree([["lost", value(2)]], [], name)]));
    const { text, unrepresentable } = toDts(readFdt(blob));
    expect(unrepresentable.length).toBe(2);
    const inner = text.split("\n").slice(3, -2);
    expect(inner.filter((line) => line !== "").every((line) => /^\t\/\* .* \*\/$/.test(line))).toBe(true);
    expect(inner.join("").match(/\*\//g)?.length).toBe(2);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be left
    expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f]/);
    expect(text).not.toContain("lost");
  });

  test.skipIf(!hasDtc)("what is left compiles", () => {
    const children = hostile.map((name) => tree([["lost", value(2)]], [], name));
    const properties = hostile.map((name): [string, Uint8Array] => [name, value(1)]);
    const blob = writeTree(tree([...properties, ["kept", value(3)]], [...children, tree([], [], "kept")]));
    const output = compile(toDts(readFdt(blob)).text);
    expect(plain(readFdt(output).root)).toEqual(tree([["kept", value(3)]], [tree([], [], "kept")]));
  });

  test.skipIf(!hasDtc).each(safe)("but %j can be", (name) => {
    const blob = writeTree(tree([[name, value(1)]], [tree([], [], name)]));
    expect(compiled(blob).root).toEqual(plain(readFdt(blob).root));
  });

  test("of a root node", () => {
    const fdt = readFdt(blobOf([...token.begin("*/r"), ...token.end, ...token.finish], []), {
      lenient: true,
    });
    const { text, unrepresentable } = toDts(fdt);
    expect(unrepresentable).toEqual(['name "*/r" of the root node']);
    expect(text).toBe('/dts-v1/;\n\n/* not representable: name "*\\/r" of the root node */\n/ {\n};\n');
  });
});

describe("annotation", () => {
  test("stands behind its property", () => {
    const seen: string[] = [];
    const { text } = toDts(readFdt(khoV4Root), {
      annotate: (path, { name, length }) => {
        seen.push(`${path}:${name}`);
        return name === "compatible" ? undefined : `${length} bytes`;
      },
    });
    expect(seen).toEqual(["/:compatible", "/:preserved-memory-map", "/LUO:blob-size", "/LUO:preserved-data"]);
    expect(text).toContain('\tcompatible = "kho-v4";\n');
    expect(text).toContain("\t\tblob-size = <0x20000000 0x00000000>; /* 8 bytes */\n");
  });

  test.skipIf(!hasDtc)("does not break out of its comment", () => {
    for (const note of ["*/ };", "/* */", "**/", "*", "/", "\n};\n", "\u001b[2J", "\\*/", "\u2028*\u200b/"]) {
      const { text } = toDts(readFdt(khoV4Root), { annotate: () => note });
      expect(plain(readFdt(compile(text)).root)).toEqual(plain(readFdt(khoV4Root).root));
    }
  });
});

/** Trees within dtc's syntax. `name` and phandles mean something to dtc and are left out. */
const nameOf = fc
  .string({ unit: fc.constantFrom(..."abcXYZ019,._+*#?-"), minLength: 1, maxLength: 12 })
  .filter((name) => !["name", "phandle"].includes(name));
const anyValue = fc.oneof(
  fc.uint8Array({ maxLength: 24 }),
  fc
    .array(fc.string({ maxLength: 9 }), { maxLength: 3 })
    .map((list) => ascii(list.map((text) => `${text}\0`).join(""))),
);
const propertiesOf = (name: fc.Arbitrary<string>): fc.Arbitrary<Tree["properties"]> =>
  fc.uniqueArray(fc.tuple(name, anyValue as fc.Arbitrary<Uint8Array>), {
    maxLength: 4,
    selector: ([text]) => text,
  });
const nodeOf = (name: fc.Arbitrary<string>, levels: number): fc.Arbitrary<Tree> =>
  fc.record({
    name,
    properties: propertiesOf(nameOf),
    children:
      levels === 0
        ? fc.constant<Tree[]>([])
        : fc.uniqueArray(nodeOf(nameOf, levels - 1), { maxLength: 3, selector: (inner) => inner.name }),
  });
const trees = nodeOf(fc.constant(""), 3);
const reservations = fc.array(
  fc.record({ address: fc.bigInt(0n, 2n ** 64n - 1n), size: fc.bigInt(1n, 2n ** 64n - 1n) }),
  { maxLength: 3 },
);

test("any tree that is written is read back", () => {
  const anyName = fc.string({ unit: "binary", maxLength: 8 }).map((name) => name.replaceAll("\0", ""));
  const property = fc.tuple(anyName, fc.uint8Array({ maxLength: 9 }) as fc.Arbitrary<Uint8Array>);
  const leaf = fc.record({
    name: anyName,
    properties: fc.array(property, { maxLength: 5 }),
    children: fc.constant<Tree[]>([]),
  });
  fc.assert(
    fc.property(fc.array(leaf, { maxLength: 5 }), reservations, (children, reserved) => {
      const root = tree([], children);
      const blob = writeTree(root, { reservations: reserved });
      expect(checkFdt(blob).filter(({ severity }) => severity === "error")).toEqual([]);
      const fdt = readFdt(blob);
      expect(plain(fdt.root)).toEqual(root);
      expect(fdt.reservations).toEqual(reserved);
    }),
  );
});

describe.skipIf(!hasDtc)("with dtc", () => {
  test.each(Object.entries(examples))("%s round trip", (_, blob) => {
    expect(compiled(blob)).toEqual({ root: plain(readFdt(blob).root), reservations: [] });
  });

  test("random trees round trip", () => {
    fc.assert(
      fc.property(trees, reservations, (root, reserved) => {
        const blob = writeTree(root, { reservations: reserved });
        expect(compiled(blob)).toEqual({ root, reservations: reserved });
      }),
      { numRuns: 60 },
    );
  });

  test("dtc reads the random blobs as we do, in version 16 as well", () => {
    fc.assert(
      fc.property(trees, reservations, fc.constantFrom("16", "17"), (root, reserved, version) => {
        const blob = writeTree(root, { reservations: reserved });
        const { output } = dtc("dtb", "dtb", blob, ["-V", version]);
        expect(checkFdt(output)).toEqual([]);
        const fdt = readFdt(output);
        expect(fdt.header.version).toBe(Number(version));
        expect(plain(fdt.root)).toEqual(root);
        expect(fdt.reservations).toEqual(reserved);
      }),
      { numRuns: 60 },
    );
  });

  test("a blob of a version before 16 is refused", () => {
    const { output } = dtc("dtb", "dtb", khoV4Root, ["-V", "3"]);
    expect(checkFdt(output)[0]).toMatchObject({ code: "fdt-bad-version" });
  });

  // dtc is laxer than the check in several ways, so only one direction holds: what is valid here, dtc takes.
  test("dtc takes, and understands alike, every changed blob that is valid", () => {
    let valid = 0;
    for (const blob of Object.values(examples))
      for (let at = 0; at < blob.length; at += 5)
        for (const flip of [0x01, 0x04, 0x80]) {
          const changed = blob.slice();
          changed[at] = changed[at]! ^ flip;
          if (checkFdt(changed).length > 0) continue;
          const { ok, output } = dtc("dtb", "dtb", changed);
          expect({ at, flip, ok }).toEqual({ at, flip, ok: true });
          expect(plain(readFdt(output).root)).toEqual(plain(readFdt(changed).root));
          valid++;
        }
    expect(valid).toBeGreaterThan(100);
  });

  // The other direction, for faults that dtc does see: it dies on each of these.
  test("the check refuses what dtc refuses", () => {
    const { begin, end, finish, property, raw } = token;
    const blobs = [
      ...[0, 4, 39, 60, 100, 150, 200].map((length) => khoV4Root.subarray(0, length)),
      blobOf([...begin(""), ...raw(7), ...end, ...finish], []),
      blobOf([...begin(""), ...property(0, [], 0x1000), ...end, ...finish], [0x61, 0]),
      blobOf([...begin(""), ...end], []),
      blobOf([...begin("")], []),
      blobOf([...begin(""), ...property(0x1000, []), ...end, ...finish], [0x61, 0]),
    ];
    for (const blob of blobs) {
      expect(dtc("dtb", "dtb", blob).ok).toBe(false);
      expect(checkFdt(blob).some(({ severity }) => severity === "error")).toBe(true);
      try {
        readFdt(blob, { lenient: true });
      } catch (error) {
        expect(isKhoError(error)).toBe(true);
      }
    }
  });
});

test.skipIf(!hasDtc || !hasFdtget)("fdtget finds the properties that dtc made of our text", () => {
  const output = compile(toDts(readFdt(khoV4Root)).text);
  const get = (...args: string[]) =>
    spawnSync("fdtget", [...args.slice(0, -2), "-", ...args.slice(-2)], { input: output }).stdout.toString();
  expect(get("/", "compatible")).toBe("kho-v4\n");
  expect(get("-t", "x", "/LUO", "blob-size")).toBe("20000000 0\n");
});
