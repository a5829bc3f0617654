/** The package itself: what it needs, what it offers, and what its built modules reach. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { build } from "tsup";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = new URL("../..", import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const entries: Record<string, string> = manifest.tsup.entry;

describe("package.json", () => {
  test("needs two packages at run time", () => {
    expect(Object.keys(manifest.dependencies)).toEqual(["@bufbuild/protobuf", "commander"]);
    expect(manifest.peerDependencies).toBeUndefined();
    expect(manifest.optionalDependencies).toBeUndefined();
  });

  test("pins every version", () => {
    for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }))
      expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test("is generated and run by the same release of protobuf", () => {
    expect(manifest.devDependencies["@bufbuild/protoc-gen-es"]).toBe(
      manifest.dependencies["@bufbuild/protobuf"],
    );
  });

  test("is MIT, for Node 20 and later, made of modules without side effects", () => {
    expect(manifest).toMatchObject({
      license: "MIT",
      engines: { node: ">=20" },
      type: "module",
      sideEffects: false,
    });
    expect(readFileSync(join(root, "LICENSE"), "utf8")).toMatch(/^MIT License/);
  });

  test("runs nothing when it is installed", () => {
    const hooks = ["preinstall", "install", "postinstall", "prepare", "preprepare", "postprepare"];
    expect(hooks.filter((hook) => hook in manifest.scripts)).toEqual([]);
  });

  test("names its types before its code", () => {
    const visit = (conditions: unknown): void => {
      if (typeof conditions !== "object" || conditions === null) return;
      const names = Object.keys(conditions);
      if (names.includes("types")) expect(names[0]).toBe("types");
      if (names.includes("default")) expect(names.at(-1)).toBe("default");
      for (const inner of Object.values(conditions)) visit(inner);
    };
    for (const [path, target] of Object.entries(manifest.exports)) {
      visit(target);
      if (!/\.\w+$/.test(path)) expect(JSON.stringify(target), path).toContain('"types"');
    }
  });

  test("exports what the build makes, and all of it", () => {
    const schemas = ["handover.proto", "scenario.proto", "iommu.proto"];
    const made = new Set(["./package.json", ...schemas.map((schema) => `./dist/${schema}`)]);
    for (const name of Object.keys(entries)) made.add(`./dist/${name}.js`).add(`./dist/${name}.d.ts`);
    const targets = targetsOf(manifest.exports);
    expect(targets.filter((target) => !made.has(target))).toEqual([]);
    const offered = new Set([...targets, `./${manifest.bin.kho}`]);
    expect(Object.keys(entries).filter((name) => !offered.has(`./dist/${name}.js`))).toEqual([]);
    for (const schema of schemas)
      expect(existsSync(join(root, manifest.tsup.publicDir, schema)), schema).toBe(true);
  });

  test("brings the command", () => {
    expect(manifest.bin).toEqual({ kho: "dist/cli.js" });
    expect(readFileSync(join(root, entries.cli!), "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
  });
});

describe("the built modules", () => {
  const outDir = mkdtempSync(join(tmpdir(), "kho-build-"));
  afterAll(() => rmSync(outDir, { recursive: true }));
  beforeAll(async () => {
    // The build of package.json, without the declarations, which take long.
    await build({ ...manifest.tsup, config: false, dts: false, metafile: true, silent: true, outDir });
  });

  test("holds one copy of the error class", () => {
    const copies = reachedFrom(...Object.keys(entries)).files.filter((file) =>
      /class KhoError\b|KhoError = class/.test(readFileSync(join(outDir, file), "utf8")),
    );
    expect(copies).toHaveLength(1);
  });

  test('"kho" loads Node modules and no package', () => {
    expect(reachedFrom("index").packages.filter((name) => !name.startsWith("node:"))).toEqual([]);
  });

  test("the entry for browsers loads nothing beyond itself", () => {
    expect(reachedFrom("browser").packages).toEqual([]);
  });

  test.each(["layout", "memory", "kernels", "fdt", "kho", "memblock", "luo", "memfd", "iommu", "machine"])(
    '"kho/%s" loads nothing beyond itself',
    (name) => {
      expect(reachedFrom(name).packages).toEqual([]);
    },
  );

  test.each(["interchange", "scenario"])('"kho/%s" loads protobuf alone', (entry) => {
    const packages = reachedFrom(entry).packages.map((name) =>
      name.replace(/(?<=^@bufbuild\/protobuf)\/.*/, ""),
    );
    expect([...new Set(packages)]).toEqual(["@bufbuild/protobuf"]);
  });

  test("contain foreign code of fzstd alone, whose licence the build puts beside it", () => {
    const { inputs } = JSON.parse(readFileSync(join(outDir, "metafile-esm.json"), "utf8"));
    const foreign = Object.keys(inputs).flatMap(
      (path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? [],
    );
    expect([...new Set(foreign)]).toEqual(["fzstd"]);
    expect(manifest.scripts.build).toContain("cp node_modules/fzstd/LICENSE dist/");
  });

  /** The files that some entries load, dynamic imports included, and the packages that these load. */
  function reachedFrom(...names: string[]): { files: string[]; packages: string[] } {
    const files = new Set<string>();
    const packages = new Set<string>();
    const visit = (file: string): void => {
      if (files.has(file)) return;
      files.add(file);
      const code = readFileSync(join(outDir, file), "utf8");
      for (const { fileName: specifier } of ts.preProcessFile(code, true, true).importedFiles)
        if (specifier.startsWith(".")) visit(posix.join(posix.dirname(file), specifier));
        else packages.add(specifier);
    };
    for (const name of names) visit(`${name}.js`);
    return { files: [...files], packages: [...packages].sort() };
  }
});

function targetsOf(conditions: unknown): string[] {
  if (typeof conditions === "string") return [conditions];
  return Object.values(conditions as object).flatMap(targetsOf);
}
