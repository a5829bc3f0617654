import { describe, expect, test } from "vitest";
import {
  buildSequential,
  checkFdt,
  type FdtProblem,
  type FdtReadOptions,
  readFdt,
  toDts,
} from "../../../formats/fdt/index.js";
import type { FdtHeader } from "../../../formats/fdt/layout.js";
import { isKhoError } from "../../../src/report/error.js";
import { examples, khoV4Root } from "./examples.js";
import { blobOf, token } from "./write.js";

/** Reads in every way. Nothing but a KhoError may come out; what strict reading and the check say must agree. */
function survives(blob: Uint8Array, limits: FdtReadOptions = {}): FdtProblem[] {
  const problems = checkFdt(blob, limits);
  const first = problems.find(({ severity }) => severity === "error");
  let refused: unknown;
  try {
    readFdt(blob, limits);
  } catch (error) {
    refused = error;
  }
  if (first) {
    expect(isKhoError(refused, first.code)).toBe(true);
    expect((refused as Error).message).toBe(first.message);
  } else expect(refused).toBeUndefined();
  try {
    const fdt = readFdt(blob, { ...limits, lenient: true });
    expect(fdt.complete).toBe(first === undefined);
    toDts(fdt, { annotate: (path) => path });
  } catch (error) {
    expect(isKhoError(error)).toBe(true);
    expect(["fdt-bad-magic", "fdt-truncated", "limit-exceeded"]).toContain((error as { code: string }).code);
  }
  return problems;
}

const errors = (problems: FdtProblem[]) => problems.map(({ code, message }) => `${code}: ${message}`);

describe.each(Object.entries(examples))("%s", (_, blob) => {
  test("with every byte changed", () => {
    for (let at = 0; at < blob.length; at++)
      for (const value of [0, 1, 2, 3, 4, 9, 0x7f, 0x80, 0xff, blob[at]! ^ 1, blob[at]! ^ 0x20]) {
        const changed = blob.slice();
        changed[at] = value;
        survives(changed);
      }
  });

  test("cut at every length", () => {
    for (let length = 0; length < blob.length; length++) {
      const [first] = survives(blob.subarray(0, length));
      expect(first?.code).toBe("fdt-truncated");
    }
  });

  test("with every word huge, or pointing at itself", () => {
    for (let at = 0; at + 4 <= blob.length; at += 4)
      for (const value of [at, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff]) {
        const changed = blob.slice();
        new DataView(changed.buffer).setUint32(at, value);
        survives(changed);
      }
  });
});

describe("header", () => {
  const structure = [...token.begin(""), ...token.end, ...token.finish];
  const header = (changes: Partial<FdtHeader>) =>
    errors(survives(blobOf(structure, [], { header: changes })));

  test("offsets and sizes", () => {
    expect(header({})).toEqual([]);
    expect(header({ totalsize: 39 })[0]).toBe("fdt-bad-layout: totalsize 39 is impossible (offset 0x4)");
    expect(header({ totalsize: 2 ** 31 })[0]).toBe(
      "fdt-bad-layout: totalsize 2147483648 is impossible (offset 0x4)",
    );
    expect(header({ totalsize: 2 ** 31 - 1 })[0]).toMatch(/^fdt-truncated: the blob has 2147483647 bytes/);
    expect(header({ off_mem_rsvmap: 44 })[0]).toMatch(
      "off_mem_rsvmap is not aligned to 8 bytes (offset 0x10)",
    );
    expect(header({ off_mem_rsvmap: 32 })[0]).toMatch("off_mem_rsvmap, 0x20 to 0x48, leaves the blob");
    expect(header({ off_dt_struct: 58 })[0]).toMatch("off_dt_struct is not aligned to 4 bytes (offset 0x8)");
    expect(header({ off_dt_struct: 0 })[0]).toMatch("off_dt_struct, 0x0 to 0x10, leaves the blob");
    expect(header({ off_dt_strings: 0xffffffff })[0]).toMatch(
      "off_dt_strings, 0xffffffff to 0xffffffff, leaves",
    );
    expect(header({ size_dt_strings: 1 })[0]).toMatch("off_dt_strings, 0x48 to 0x49, leaves the blob");
    expect(header({ size_dt_struct: 0xffffffff })[0]).toMatch("off_dt_struct, 0x38 to 0x100000037, leaves");
    expect(header({ size_dt_struct: 12 })[0]).toMatch("a token leaves the structure block");
  });

  test("a lenient reading uses what is right", () => {
    const fdt = readFdt(blobOf(structure, [], { header: { size_dt_struct: 2 ** 31, totalsize: 3 } }), {
      lenient: true,
    });
    expect(fdt.root).toMatchObject({ name: "", offset: 0x38, children: [] });
  });

  test("a reservation block without an end", () => {
    const blob = blobOf(structure, [], { header: { off_mem_rsvmap: 64 } });
    expect(errors(survives(blob))).toEqual([
      "fdt-bad-structure: the memory reservation block has no end (offset 0x40)",
    ]);
  });

  test("magic", () => {
    expect(survives(Uint8Array.of(0xd0, 0x0d, 0xfe, 0xee))).toMatchObject([
      { code: "fdt-bad-magic", expected: "d0 0d fe ed", actual: "d0 0d fe ee" },
    ]);
    expect(survives(khoV4Root.slice().reverse())[0]?.code).toBe("fdt-bad-magic");
    expect(survives(new Uint8Array(0))[0]?.code).toBe("fdt-truncated");
  });
});

describe("structure block", () => {
  const { begin, end, finish, property, raw } = token;
  const problems = (tokens: number[][], strings = [0x61, 0], limits: FdtReadOptions = {}) =>
    errors(survives(blobOf(tokens.flat(), strings, {}), limits));

  test.each<[string, number[][], string[]]>([
    ["empty", [], ["a token leaves the structure block (offset 0x38)"]],
    ["end only", [finish], ["there is no root node (offset 0x38)"]],
    ["no end", [begin(""), end], ["a token leaves the structure block (offset 0x44)"]],
    ["open node", [begin(""), begin("b"), end, finish], ['the block ends inside of node "" (offset 0x4c)']],
    ["end before begin", [end, finish], ["a node ends that has not begun (offset 0x38)"]],
    [
      "two roots",
      [begin(""), end, begin("x"), end, finish],
      ['there is a second root node, "x" (offset 0x44)'],
    ],
    ["named root", [begin("r"), end, finish], ["the root node has a name (offset 0x38)"]],
    ["unknown token", [begin(""), raw(5), end, finish], ["0x5 is no token (offset 0x40)"]],
    [
      "property before the root",
      [property(0, [1]), begin(""), end, finish],
      ["a property is outside of the root node (offset 0x38)"],
    ],
    [
      "property behind the root",
      [begin(""), end, property(0, [1]), finish],
      ["a property is outside of the root node (offset 0x44)"],
    ],
    [
      "property behind a subnode",
      [begin(""), begin("b"), end, property(0, [1]), end, finish],
      ["a property comes behind a subnode (offset 0x4c)"],
    ],
    [
      "name outside of the strings block",
      [begin(""), property(2, []), end, finish],
      ["no property name at 2 of the strings block (offset 0x40)"],
    ],
    [
      "value that leaves the block",
      [begin(""), property(0, [], 0xffffffff), end, finish],
      ["a property's value leaves the structure block (offset 0x40)"],
    ],
    [
      "node name without an end",
      [begin(""), [0, 0, 0, 1, 0x61, 0x61]],
      ["a node's name leaves the structure block (offset 0x40)"],
    ],
  ])("%s", (_, tokens, expected) => {
    expect(problems(tokens).map((line) => line.replace(/^[a-z-]+: /, ""))).toEqual(expected);
  });

  test("a property name without an end", () => {
    expect(problems([begin(""), property(0, []), end, finish], [0x61])).toEqual([
      "fdt-bad-string: the property name at 0 has no end (offset 0x40)",
    ]);
  });

  test("FDT_NOP anywhere", () => {
    const nop = raw(4);
    const tokens = [nop, begin(""), nop, property(0, [1]), nop, begin("b"), nop, end, end, nop, finish];
    expect(problems(tokens)).toEqual([]);
    expect(problems([...tokens, raw(0xbad)])).toEqual([]);
  });

  test("duplicates are warnings", () => {
    const tokens = [
      begin(""),
      property(0, [1]),
      property(2, [2]),
      begin("b"),
      end,
      begin("b"),
      end,
      end,
      finish,
    ];
    const found = checkFdt(blobOf(tokens.flat(), [0x61, 0, 0x61, 0]));
    expect(found.map(({ severity, message }) => [severity, message])).toEqual([
      ["warning", 'a second property "a" (offset 0x50)'],
      ["warning", 'a second node "b" (offset 0x6c)'],
    ]);
    survives(blobOf(tokens.flat(), [0x61, 0, 0x61, 0]));
  });

  test("names that come again, in lists of every length", () => {
    // Seven names over and over, and every eighth one its own.
    for (let length = 0; length <= 40; length++) {
      const names = Array.from({ length }, (_, i) => (i % 8 === 7 ? `x${i}` : `a${(i * 3) % 7}`));
      const properties = names.map((name) => [name, new Uint8Array(0)] as const);
      const children = names.map((name) => ({ name, properties: [], children: [] }));
      const found = checkFdt(buildSequential({ name: "", properties, children }));
      const again = names.filter((name, i) => names.indexOf(name) < i);
      const saying = (kind: string) => again.map((name) => `a second ${kind} "${name}"`);
      expect(found.map(({ message }) => message.replace(/ \(offset .*/, ""))).toEqual([
        ...saying("property"),
        ...saying("node"),
      ]);
    }
  });

  test("control characters of names are escaped in messages", () => {
    const [line] = problems([begin(""), begin("\u001b[2J\n"), finish]);
    expect(line).toBe('fdt-bad-structure: the block ends inside of node "\\x1b[2J\\x0a" (offset 0x4c)');
  });
});

describe("limits", () => {
  const nested = (depth: number): Uint8Array => {
    const names = Array.from({ length: depth }, (_, i) => token.begin(i === 0 ? "" : "n")).flat();
    const ends = Array.from({ length: depth }, () => token.end).flat();
    return blobOf([...names, ...ends, ...token.finish], []);
  };

  test("nesting", () => {
    expect(survives(nested(64))).toEqual([]);
    expect(survives(nested(65)).map(({ code }) => code)).toEqual(["limit-exceeded"]);
    expect(survives(nested(65), { maxDepth: 65 })).toEqual([]);
    expect(survives(nested(100_000)).map(({ code }) => code)).toEqual(["limit-exceeded"]);
    expect(survives(nested(100_000), { maxDepth: 100_000 })).toEqual([]);
  });

  test("nodes and properties", () => {
    const many = blobOf(
      [
        ...token.begin(""),
        ...Array.from({ length: 9 }, () => token.property(0, [])).flat(),
        ...token.end,
        ...token.finish,
      ],
      [0],
    );
    expect(survives(many, { maxNodes: 10 })).toEqual([]);
    const [problem] = survives(many, { maxNodes: 9 });
    expect(problem).toMatchObject({ code: "limit-exceeded", offset: 0x38 + 8 + 8 * 12, length: 12 });
    const lenient = readFdt(many, { lenient: true, maxNodes: 9 });
    expect(lenient.root.properties.length).toBe(8);
  });

  test("reservations", () => {
    const reservations = Array.from({ length: 5 }, (_, i) => ({ address: BigInt(i), size: 1n }));
    const structure = [...token.begin(""), ...token.end, ...token.finish];
    const blob = blobOf(structure, [], { reservations });
    expect(survives(blob, { maxNodes: 5 })).toEqual([]);
    expect(survives(blob, { maxNodes: 4 }).map(({ code }) => code)).toEqual(["limit-exceeded"]);
  });

  test("names that share one long tail", () => {
    const length = 400_000;
    const properties = Array.from({ length: 20_000 }, (_, i) => token.property(i, [])).flat();
    const strings = new Uint8Array(length).fill(0x61);
    strings[length - 1] = 0;
    const blob = blobOf([...token.begin(""), ...properties, ...token.end, ...token.finish], strings);
    expect(checkFdt(blob).map(({ code }) => code)).toEqual(["limit-exceeded"]);
    expect(() => readFdt(blob)).toThrow(expect.objectContaining({ code: "limit-exceeded" }));
    expect(readFdt(blob, { lenient: true }).complete).toBe(false);
  });

  test("one long name for everything", () => {
    const properties = Array.from({ length: 20_000 }, () => token.property(0, [])).flat();
    const strings = new Uint8Array(400_000).fill(0x61);
    strings[strings.length - 1] = 0;
    const blob = blobOf([...token.begin(""), ...properties, ...token.end, ...token.finish], strings);
    const fdt = readFdt(blob);
    expect(fdt.root.properties.length).toBe(20_000);
    expect(() => toDts(fdt)).toThrow(expect.objectContaining({ code: "limit-exceeded" }));
    expect(() => toDts(fdt, { maxCharacters: 1000 })).toThrow(
      expect.objectContaining({ code: "limit-exceeded" }),
    );
  });
});
