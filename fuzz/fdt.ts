/** Flattened trees: read in both ways, checked, written, edited, and as source. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import {
  buildSequential,
  checkFdt,
  child,
  type Fdt,
  type FdtNode,
  type FdtProblem,
  type NodePath,
  openFdt,
  property,
  readFdt,
  type TreeSource,
  toDts,
} from "../formats/fdt/index.js";
import { fail } from "../src/fuzz/finding.js";
import type { Random } from "../src/fuzz/random.js";
import { bytesFromText } from "../src/layout/index.js";
import { mutateBytes } from "./mutate/bytes.js";
import { mutateTree } from "./mutate/tree.js";
import { differenceOf, firstDifference } from "./oracles/equal.js";
import { guarded, reading } from "./oracles/errors.js";
import type { Seed } from "./seeds/seed.js";

export const about = "flattened trees: strict and lenient, built, edited, as source";

const fixtures = new URL("../fixtures/", import.meta.url).pathname;

export function* seeds(): Generator<Seed> {
  const seen = new Set<string>();
  for (const folder of readdirSync(fixtures).sort()) {
    const trees = `${fixtures}${folder}/fdt`;
    if (!existsSync(trees)) continue;
    for (const file of readdirSync(trees).sort()) {
      const data = new Uint8Array(readFileSync(`${trees}/${file}`));
      const key = data.join();
      if (!file.endsWith(".dtb") || seen.has(key)) continue;
      seen.add(key);
      yield { name: `${folder}-${file}`, data };
    }
  }
  const value = Uint8Array.of(1, 2, 3);
  const deep = Array.from({ length: 6 }).reduce<TreeSource>(
    (child, _, i) => ({
      name: i === 5 ? "" : `n@${i}`,
      properties: [["a", value]],
      children: [child, child],
    }),
    { name: "leaf", properties: [["texts", bytesFromText("one\0two\0")]], children: [] },
  );
  yield { name: "deep", data: buildSequential(deep) };
}

export function mutate(data: Uint8Array, random: Random): Uint8Array {
  if (random.chance(4)) return mutateBytes(data, random);
  const hints = {
    abi: { byteOrder: "little", pageSize: 4096 },
    addresses: [0n, 0x1000n],
    texts: [],
  } as const;
  return mutateTree(data, hints, random);
}

/** What lenient reading gives up at. */
const hopeless = ["fdt-bad-magic", "fdt-truncated", "limit-exceeded"];
/** Trees of more nodes are not written again. */
const mostNodes = 2000;

export function fuzz(data: Uint8Array): void {
  const problems = reading("check", () => checkFdt(data)).value;
  if (!problems) fail("superset", "the check itself throws");
  const strict = reading("strict", () => readFdt(data));
  const first = problems.find(({ severity }: FdtProblem) => severity === "error");
  if (first?.code !== strict.error?.code || first?.message !== strict.error?.message)
    fail("superset", `the check says ${first?.message}, strict reading ${strict.error?.message}`);
  const lenient = reading("lenient", () => readFdt(data, { lenient: true }));
  if (lenient.error) {
    if (!hopeless.includes(lenient.error.code))
      fail("superset", `lenient reading throws ${lenient.error.code}`);
    return;
  }
  checkSource(lenient.value);
  if (lenient.value.complete !== (strict.value !== undefined))
    fail("superset", "complete says otherwise than strict reading");
  if (!strict.value) return;
  const difference = differenceOf(sourceOf(strict.value.root), sourceOf(lenient.value.root));
  if (difference !== undefined) fail("superset", `strict and lenient reading differ: ${difference}`);
  if (countOf(strict.value.root) > mostNodes) return;
  checkWritten(strict.value);
  checkEdits(data);
}

function checkSource(fdt: Fdt): void {
  const source = guarded("source", () => toDts(fdt, { annotate: (path) => path }));
  if (source.error && source.error.code !== "limit-exceeded")
    fail("untyped-error", `toDts throws ${source.error.code}`);
  if (source.value && !source.value.text.startsWith("/dts-v1/;"))
    fail("invariant", "the source does not begin as one");
}

const sourceOf = (node: FdtNode): TreeSource => ({
  name: node.name,
  properties: node.properties.map(({ name, value }) => [name, value] as const),
  children: node.children.map(sourceOf),
});

const countOf = (node: FdtNode): number =>
  node.children.reduce((sum, child) => sum + countOf(child), 1 + node.properties.length);

/** What is built from what was read reads the same. */
function checkWritten({ root }: Fdt): void {
  const source = sourceOf(root);
  const { value: blob, error } = guarded("build", () => buildSequential(source));
  if (!blob) {
    if (error.code !== "value-range") fail("roundtrip", `the tree cannot be built: ${error.message}`);
    return;
  }
  const again = guarded("read what was built", () => readFdt(blob));
  // A root with a name, and whatever else is a rule for readers alone.
  if (again.error) {
    if (root.name !== "") return;
    fail("roundtrip", `what was built cannot be read: ${again.error.message}`);
  }
  const difference = differenceOf(source, sourceOf(again.value.root));
  if (difference !== undefined) fail("roundtrip", `built and read: ${difference}`);
}

/** Edits do what they say and nothing else; without any a packed tree stays as it is. */
function checkEdits(data: Uint8Array): void {
  const room = data.length + 256;
  const editor = guarded("open for edits", () => openFdt(data, room)).value;
  if (!editor) return;
  const packed = editor.pack();
  const same = guarded("open what was packed", () => openFdt(packed, room).pack());
  if (same.error) fail("roundtrip", `what was packed cannot be opened: ${same.error.message}`);
  if (firstDifference(packed, same.value) >= 0) fail("roundtrip", "packing a packed tree changes it");
  const before = sourceOf(readFdt(packed).root);
  const value = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const name = "fuzz-node";
  const inside: NodePath = [name];
  const added = guarded("add", () => {
    editor.addNode([], name);
    editor.setProperty(inside, "fuzz-value", value);
    editor.setProperty(inside, "fuzz-value", value.subarray(0, 3));
  });
  if (added.error) {
    if (!["fdt-no-space", "fdt-exists"].includes(added.error.code))
      fail("roundtrip", `a node cannot be added: ${added.error.message}`);
    return;
  }
  const edited = guarded("read what was edited", () => readFdt(editor.pack()));
  if (edited.error) fail("roundtrip", `what was edited cannot be read: ${edited.error.message}`);
  const node = child(edited.value.root, name);
  const found = node && property(node, "fuzz-value")?.value;
  if (!found || firstDifference(found, value.subarray(0, 3)) >= 0)
    fail("roundtrip", "the property that was set is not there");
  editor.removeNode([], name);
  const after = sourceOf(readFdt(editor.pack()).root);
  const difference = differenceOf(before, after);
  if (difference !== undefined) fail("roundtrip", `added and removed: ${difference}`);
}
