import { describe, expect, test } from "vitest";
import { chart } from "../../bench/chart.js";
import { sharesOf } from "../../bench/hot.js";
import { jsonOf, rowsOf } from "../../bench/json.js";
import { markdownTable, withBlock } from "../../bench/markdown.js";
import type { Measured } from "../../bench/measure.js";
import type { Row } from "../../bench/ratios.js";
import { paintFor, ratioText, tableHead, tableLines, timeText, verdictText } from "../../bench/table.js";

const rows: readonly Row[] = [
  { name: "read a tree: readFdt", against: "libfdt", ratio: 0.5, spread: [0.4, 0.75], goal: 0.6 },
  { name: "read a tree: readFdt", against: 'C <"one" & all>', ratio: 30, spread: [20, 40], goal: null },
  { name: "walk: decodeMappings", against: "C -O2", ratio: 3, spread: [2.5, 16], goal: 2 },
];

describe("JSON", () => {
  test("has the five members, and comes back as it was", () => {
    const text = jsonOf(rows);
    expect(JSON.parse(text)[0]).toEqual({
      name: "read a tree: readFdt",
      against: "libfdt",
      ratio: 0.5,
      spread: [0.4, 0.75],
      goal: 0.6,
    });
    expect(rowsOf(text)).toEqual(rows);
  });

  test("has four digits that count", () => {
    const [row] = rowsOf(jsonOf([{ ...rows[0]!, ratio: 1 / 3, spread: [0.123456, 98765.4] }]));
    expect(row).toMatchObject({ ratio: 0.3333, spread: [0.1235, 98770] });
  });

  test.each(["{}", "[1]", '[{"name":"a"}]', '[{"name":"a","against":"b","ratio":1,"spread":[1],"goal":1}]'])(
    "is refused if it is %s",
    (text) => {
      expect(() => rowsOf(text)).toThrow("npm run bench -- --json FILE");
    },
  );
});

describe("texts", () => {
  test.each([
    [0.0123, "0.012"],
    [0.25, "0.25"],
    [1, "1.00"],
    [9.949, "9.95"],
    [12.34, "12.3"],
    [123.4, "123"],
  ])("ratio %d is %s", (ratio, text) => {
    expect(ratioText(ratio)).toBe(text);
  });

  test.each([
    [12.3e-6, "12.3 us"],
    [0.0123, "12.30 ms"],
    [1.5, "1.50 s"],
  ])("%d seconds are %s", (seconds, text) => {
    expect(timeText(seconds)).toBe(text);
  });

  test.each([
    [2, 2, "met"],
    [3, 2, "missed by 50 %"],
    [2.001, 2, "missed by 1 %"],
    [9, null, ""],
  ])("ratio %d with goal %s: %s", (ratio, goal, text) => {
    expect(verdictText({ ratio, goal })).toBe(text);
  });
});

describe("the table on a terminal", () => {
  const row: Measured = {
    ...rows[2]!,
    quartiles: [2.75, 4],
    floor: 6,
    seconds: { ours: 0.003, peer: 0.001 },
    rounds: 9,
  };

  test("has its columns below each other", () => {
    const plain = paintFor(false, undefined);
    const [, head] = tableHead("walk", plain).split("\n");
    const [name, line] = tableLines("decodeMappings", row, true, plain).split("\n");
    expect(name).toBe("  decodeMappings");
    expect(line).toContain("2.50 .. 2.75 .. 4.00 .. 16.0");
    const endOf = (text: string, word: string): number => text.indexOf(word) + word.length;
    expect(endOf(line!, "3.00 ms")).toBe(endOf(head!, "our time"));
    expect(endOf(line!, "1.00 ms")).toBe(endOf(head!, "its time"));
    expect(line!.indexOf("2.00 missed by 50 %")).toBe(head!.indexOf("goal"));
  });

  test("names our way once", () => {
    expect(tableLines("decodeMappings", row, false, paintFor(false, undefined))).not.toContain(
      "decodeMappings",
    );
  });

  test("is coloured on a terminal alone, and not with NO_COLOR", () => {
    const code = "\x1b[";
    expect(tableLines("ours", row, true, paintFor(true, undefined))).toContain(`${code}31m`);
    expect(tableLines("ours", row, true, paintFor(true, "1"))).not.toContain(code);
    expect(tableLines("ours", row, true, paintFor(false, undefined))).not.toContain(code);
  });
});

describe("the chart", () => {
  const svg = chart("Goals", rows);
  /** Attribute `name` of the elements of a class, in order. */
  const numbers = (pattern: RegExp): number[] => [...svg.matchAll(pattern)].map((match) => Number(match[1]));

  test("has a title, and what is in names is no markup", () => {
    expect(svg).toContain("<title>Goals</title>");
    expect(svg).toContain("C &lt;&quot;one&quot; &amp; all&gt;");
    expect(svg).toContain("prefers-color-scheme: dark");
  });

  test("says whether a goal is met", () => {
    expect([...svg.matchAll(/<rect class="(\w+)" x/g)].map((match) => match[1])).toEqual([
      "met",
      "plain",
      "missed",
    ]);
  });

  test("draws a bar from 1, on a logarithmic scale", () => {
    const one = numbers(/class="one" d="M([\d.]+)/g)[0]!;
    const from = numbers(/<rect class="(?:met|plain|missed)" x="([\d.]+)"/g);
    const length = numbers(/<rect class="(?:met|plain|missed)"[^>]* width="([\d.]+)"/g);
    expect(from[0]! + length[0]!).toBeCloseTo(one, 0);
    expect(from[1]).toBe(one);
    expect(from[2]).toBe(one);
    expect(length[1]! / length[2]!).toBeCloseTo(Math.log(30) / Math.log(3), 1);
    expect(length[2]! / length[0]!).toBeCloseTo(Math.log(3) / Math.log(2), 1);
  });

  test("has each head once", () => {
    expect(svg.match(/class="subject"/g)).toHaveLength(2);
  });
});

describe("Markdown", () => {
  test("is a table of columns of equal width", () => {
    const lines = markdownTable(rows).split("\n");
    expect(lines).toHaveLength(5);
    expect(new Set(lines.map(({ length }) => length)).size).toBe(1);
    expect(lines[2]).toMatch(
      /^\| read a tree \| `readFdt` +\| libfdt +\| +0\.50 \| 0\.40 \.\. 0\.75 +\| <= 0\.60, met +\|$/,
    );
    expect(lines[4]).toContain("<= 2.00, missed by 50 %");
  });

  test("replaces what is between its markers, again and again", () => {
    const text = "before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n";
    const once = withBlock(text, "new");
    expect(once).toBe("before\n<!-- bench -->\n\nnew\n\n<!-- /bench -->\nafter\n");
    expect(withBlock(once, "new")).toBe(once);
    expect(() => withBlock("no markers", "new")).toThrow("has no block");
    expect(() => withBlock(text + text, "new")).toThrow("has no block");
  });
});

test("a profile is shares of functions, those of the same name and file together", () => {
  const node = (functionName: string, url: string, hitCount: number) => ({
    id: 0,
    hitCount,
    callFrame: { functionName, url, scriptId: "", lineNumber: 0, columnNumber: 0 },
  });
  const file = new URL("../../formats/fdt/read.ts", import.meta.url).href;
  const nodes = [
    node("readFdt", file, 30),
    node("readFdt", `${file}?again`, 30),
    node("", file, 20),
    node("(garbage collector)", "", 20),
    node("(idle)", "", 900),
    node("never", file, 0),
  ];
  expect(sharesOf({ nodes }, 2)).toEqual([
    { where: "readFdt (formats/fdt/read.ts)", share: 0.6 },
    { where: "anonymous (formats/fdt/read.ts)", share: 0.2 },
  ]);
});
