/** Imports point one way. Who may reach what is the table below; a file that no row names fails the test. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const root = new URL("..", import.meta.url).pathname;

interface Layer {
  readonly name: string;
  /** A file belongs to the first layer that names it or a folder above it. */
  readonly paths: readonly string[];
  /** Layers below; its own is always allowed. */
  readonly imports: readonly string[];
  /** Layers of which only types may be used. */
  readonly types?: readonly string[];
  /** Packages, and `node:` for all that Node brings. */
  readonly packages?: readonly string[];
  /** Files that are no code. */
  readonly data?: readonly string[];
}

const formatsAndBelow = ["report", "address", "memory", "layout", "formats"];
const library = [...formatsAndBelow, "image contract", "image", "handover"];

/** Bottom to top. */
const layers: readonly Layer[] = [
  { name: "report", paths: ["src/report"], imports: [] },
  { name: "address", paths: ["src/memory/address.ts"], imports: [] },
  { name: "memory", paths: ["src/memory"], imports: ["report", "address"] },
  { name: "layout", paths: ["src/layout"], imports: ["report", "address"] },
  { name: "formats", paths: ["formats"], imports: ["report", "address", "memory", "layout"] },
  {
    name: "image contract",
    paths: ["src/image/image.ts"],
    imports: ["report", "address", "memory"],
  },
  {
    name: "image on Node",
    paths: ["node", "file", "write", "debugfs", "decompress"].map((file) => `src/image/${file}.ts`),
    imports: [...formatsAndBelow, "image contract", "image"],
    packages: ["node:"],
  },
  {
    name: "image",
    paths: ["src/image"],
    imports: [...formatsAndBelow, "image contract"],
    packages: ["fzstd"],
  },
  { name: "handover", paths: ["src/handover"], imports: formatsAndBelow, types: ["image contract"] },
  { name: "iommu", paths: ["src/iommu"], imports: [...formatsAndBelow, "handover"] },
  { name: "btf", paths: ["src/btf"], imports: ["report", "address", "layout"] },
  { name: "abi", paths: ["src/compat/abi"], imports: [...formatsAndBelow, "btf"] },
  {
    name: "kernel image",
    paths: ["src/compat/kernel-image.ts"],
    imports: [...formatsAndBelow, "image contract", "image", "image on Node", "btf", "abi"],
  },
  {
    name: "machine",
    paths: ["src/machine"],
    imports: [...formatsAndBelow, "handover", "iommu"],
    types: ["image contract"],
  },
  {
    name: "preflight",
    paths: ["src/compat/preflight"],
    imports: [...formatsAndBelow, "handover", "machine", "compat"],
    types: ["image contract", "abi", "kernel image"],
  },
  {
    name: "compat",
    paths: ["src/compat"],
    imports: [...formatsAndBelow, "image contract", "handover", "machine"],
  },
  {
    name: "cost",
    paths: ["src/cost"],
    imports: [...formatsAndBelow, "handover", "machine"],
  },
  { name: "generated", paths: ["src/gen"], imports: [], packages: ["@bufbuild/protobuf"] },
  {
    name: "interchange",
    paths: ["src/interchange.ts", "src/interchange-iommu.ts"],
    imports: [...formatsAndBelow, "handover", "iommu", "generated"],
    packages: ["@bufbuild/protobuf"],
  },
  {
    name: "scenario",
    paths: ["src/scenario"],
    imports: [...formatsAndBelow, "image contract", "handover", "machine", "generated"],
    packages: ["@bufbuild/protobuf"],
  },
  { name: "fuzz on Node", paths: ["src/fuzz/node"], imports: ["fuzz"], packages: ["node:"] },
  { name: "fuzz", paths: ["src/fuzz"], imports: [] },
  {
    name: "entries for machines",
    paths: ["src/exports/compat.ts"],
    imports: [...formatsAndBelow, "compat", "preflight"],
  },
  {
    name: "entry for cost",
    paths: ["src/exports/cost.ts"],
    imports: [...formatsAndBelow, "cost"],
  },
  {
    name: "entries for Node",
    paths: ["src/index.ts", "src/exports/abi.ts"],
    imports: [...library, "image on Node", "btf", "abi", "kernel image", "entries"],
  },
  {
    name: "entries",
    paths: ["src/common.ts", "src/browser.ts", "src/exports"],
    imports: [...library, "iommu"],
  },
  {
    name: "command",
    paths: ["src/cli"],
    imports: [
      ...library,
      "image on Node",
      "interchange",
      "generated",
      "iommu",
      "btf",
      "abi",
      "kernel image",
      "machine",
      "compat",
      "preflight",
      "cost",
      "scenario",
      "fuzz",
      "fuzz on Node",
      "entries",
      "entries for Node",
    ],
    packages: ["node:", "commander"],
    data: ["package.json"],
  },
];

/** What would make a decoder depend on more than its input. */
const impure = [
  "Buffer",
  "Date",
  "Math.random",
  "console",
  "crypto",
  "fetch",
  "globalThis",
  "performance",
  "process",
  "setInterval",
  "setTimeout",
];

interface Import {
  readonly from: string;
  readonly line: number;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const files = ["src", "formats"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => `${folder}/${path}`),
);
const trees = new Map(files.map((file) => [file, parse(file)]));
const imports = files.flatMap(importsOf);

describe("imports point one way", () => {
  test.each(files)("%s", (file) => {
    const layer = layerOf(file);
    expect(layer, `${file} belongs to no layer of this test: add it where it belongs`).toBeDefined();
    const faults = imports.filter(({ from }) => from === file).map((used) => faultOf(layer!, used));
    expect(faults.filter((fault) => fault !== undefined)).toEqual([]);
  });

  test("every row of the table names files", () => {
    const used = new Set(files.map((file) => layerOf(file)?.name));
    expect(layers.map(({ name }) => name).filter((name) => !used.has(name))).toEqual([]);
  });

  test("and never in a circle", () => {
    expect(cycles()).toEqual([]);
  });
});

describe("formats depend on their input alone", () => {
  test.each(files.filter((file) => file.startsWith("formats/")))("%s", (file) => {
    expect(globalsOf(trees.get(file)!).filter((use) => impure.includes(use.split(" ")[0]!))).toEqual([]);
  });
});

function layerOf(file: string): Layer | undefined {
  return layers.find(({ paths }) => paths.some((path) => file === path || file.startsWith(`${path}/`)));
}

/** What is wrong with one import, in words; undefined if nothing is. */
function faultOf(layer: Layer, { from, line, specifier, typeOnly }: Import): string | undefined {
  const at = `${from}:${line} imports "${specifier}"`;
  if (!specifier.startsWith(".")) {
    const name = specifier.startsWith("node:") ? "node:" : packageOf(specifier);
    return layer.packages?.includes(name) ? undefined : `${at}: ${layer.name} may not use it`;
  }
  const target = targetOf(from, specifier);
  if (layer.data?.includes(target)) return undefined;
  const other = layerOf(target);
  if (!trees.has(target)) return `${at}, and there is no ${target}`;
  if (other === layer || layer.imports.includes(other!.name)) return undefined;
  if (!layer.types?.includes(other!.name)) return `${at}: ${layer.name} may not reach up to ${other!.name}`;
  return typeOnly ? undefined : `${at}: ${layer.name} may use types alone of ${other!.name}`;
}

const packageOf = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

const targetOf = (from: string, specifier: string): string =>
  normalize(join(dirname(from), specifier)).replace(/\.js$/, ".ts");

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(join(root, file), "utf8"), ts.ScriptTarget.ES2022, true);
}

/** Imports, re-exports, dynamic imports and `import("...")` types. */
function importsOf(from: string): Import[] {
  const tree = trees.get(from)!;
  const found: Import[] = [];
  const add = (literal: ts.Node | undefined, typeOnly: boolean): void => {
    if (!literal || !ts.isStringLiteral(literal)) return;
    const line = tree.getLineAndCharacterOfPosition(literal.getStart()).line + 1;
    found.push({ from, line, specifier: literal.text, typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, namesTypesAlone(node.importClause));
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

function namesTypesAlone(clause: ts.ImportClause | undefined): boolean {
  if (!clause) return false;
  if (clause.isTypeOnly) return true;
  const names = clause.namedBindings;
  return (
    !clause.name &&
    !!names &&
    ts.isNamedImports(names) &&
    names.elements.every((element) => element.isTypeOnly)
  );
}

/** Identifiers that are not names of members: `Date`, `Math.random`, each with its place. */
function globalsOf(tree: ts.SourceFile): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const { parent } = node;
    const isMemberName =
      parent &&
      ((ts.isPropertyAccessExpression(parent) && parent.name === node) ||
        ((ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent)) && parent.name === node));
    if (ts.isIdentifier(node) && !isMemberName) {
      const { line } = tree.getLineAndCharacterOfPosition(node.getStart());
      const name = ts.isPropertyAccessExpression(parent) ? `${node.text}.${parent.name.text}` : node.text;
      for (const use of new Set([node.text, name])) found.push(`${use} at ${tree.fileName}:${line + 1}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

/** Circles of imports, types included, each as `a -> b -> a`. */
function cycles(): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const from = path.indexOf(file);
    if (from >= 0) {
      found.push([...path.slice(from), file].join(" -> "));
      return;
    }
    if (done.has(file)) return;
    const next = imports.filter((used) => used.from === file).map((used) => targetOf(file, used.specifier));
    for (const target of next) if (trees.has(target)) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  return found;
}
