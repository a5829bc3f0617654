import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { checkFdt, type Fdt, type FdtNode, readFdt } from "../../../formats/fdt/index.js";
import { examples } from "./examples.js";

const hasFdtdump = spawnSync("fdtdump", ["--version"]).status === 0;
const folder = new URL("../../../fixtures/", import.meta.url).pathname;

/** The worked examples, and every tree that debugfs showed whole. */
const blobs: [string, Uint8Array][] = [
  ...Object.entries(examples),
  ...(readdirSync(folder, { recursive: true }) as string[])
    .filter((name) => name.endsWith(".dtb"))
    .map((name): [string, Uint8Array] => [name, readFileSync(folder + name)])
    .filter(([, bytes]) => checkFdt(bytes).length === 0),
];

/** What the dump says: the header's numbers by name, then a line for each node, property and end of a node. */
function dumped(bytes: Uint8Array): { header: Map<string, number>; lines: string[] } {
  const { stdout } = spawnSync("fdtdump", ["-"], { input: bytes });
  const text = stdout.toString();
  const header = new Map(
    [...text.matchAll(/^\/\/ (\w+):\s+(0x[0-9a-f]+|\d+)/gm)].map(([, name, value]) => [name!, Number(value)]),
  );
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("//") && line !== "/dts-v1/;");
  return { header, lines };
}

/** The same lines, of what we read. */
function linesOf(node: FdtNode): string[] {
  return [
    `${node.name || "/"} {`,
    ...node.properties.map(({ name, value }) => `${name} = ${valueText(value)};`),
    ...node.children.flatMap(linesOf),
    "};",
  ];
}

/** As fdtdump tells text, cells and bytes apart; the trees at hand hold nothing that needs an escape. */
function valueText(value: Uint8Array): string {
  const text = Buffer.from(value).toString("latin1");
  if (/^[\x20-\x7e]+\0$/.test(text)) return `"${text.slice(0, -1)}"`;
  const hex = Buffer.from(value).toString("hex");
  if (value.length % 4 === 0)
    return `<${hex
      .match(/.{8}/g)!
      .map((cell) => `0x${cell}`)
      .join(" ")}>`;
  return `[${hex.match(/../g)!.join(" ")}]`;
}

describe.skipIf(!hasFdtdump).each(blobs)("fdtdump of %s", (_, bytes) => {
  const { header, lines } = dumped(bytes);
  const fdt: Fdt = readFdt(bytes);

  test("has the same header", () => {
    expect(header.size).toBeGreaterThanOrEqual(10);
    for (const [name, value] of header) expect(fdt.header[name as keyof typeof fdt.header], name).toBe(value);
  });

  test("has the same nodes, properties and values in the same order", () => {
    expect(linesOf(fdt.root)).toEqual(lines);
  });
});
