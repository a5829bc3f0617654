/** Our layouts against the types of real kernels, and our reading of those types against another program's. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { kernelOf } from "../../formats/kernels.js";
import { handedOver } from "../../formats/registry.js";
import { readBtf } from "../../src/btf/read.js";
import { compareStructures } from "../../src/compat/abi/compare.js";
import { structureOfLayout } from "../../src/compat/abi/from-layout.js";
import { abiOfBtf, isKnown } from "../../src/compat/abi/source.js";
import { flatMembers } from "../../src/compat/abi/structure.js";

/** What another program read from a kernel's types. */
interface AbiFile {
  readonly kernelRelease: string;
  readonly arch: string;
  readonly pageSize: number;
  readonly missing: readonly string[];
  readonly structs: Readonly<
    Record<string, { readonly size: number; readonly members: readonly AbiMember[] }>
  >;
}
interface AbiMember {
  /** Empty for an anonymous struct or union. */
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly bitOffset?: number;
  readonly bitSize?: number;
  readonly members?: readonly AbiMember[];
}

const fixtures = new URL("../../fixtures/", import.meta.url);
const kernels = readdirSync(new URL("btf/", fixtures)).map((file) => {
  const name = file.replace(/\.btf$/, "");
  const btf = readBtf(readFileSync(new URL(`btf/${file}`, fixtures)));
  const truth = JSON.parse(readFileSync(new URL(`abi/${name}.json`, fixtures), "utf8")) as AbiFile;
  return { name, source: abiOfBtf(btf), truth };
});

it("there are types of every kernel that something is known of", () => {
  const known = readdirSync(new URL("abi/", fixtures)).map((file) => file.replace(/\.json$/, ""));
  expect(kernels.map(({ name }) => name)).toEqual(known);
});

describe.each(kernels)("$name", ({ source, truth }) => {
  const { kernelRelease, arch, pageSize, missing, structs } = truth;
  const entries = handedOver(kernelOf(kernelRelease)).filter(
    (entry) => entry.arch === undefined || entry.arch === arch,
  );

  it("has pages of the size that its structures tell", () => {
    expect(source.pageSize).toBe(pageSize);
  });

  it.each(entries.map(({ layout }) => [layout.name, layout] as const))("our struct %s", (name, layout) => {
    const [theirs, ...others] = source.structures.get(name) ?? [];
    expect(others).toEqual([]);
    const ours = structureOfLayout(layout, { byteOrder: "little", pageSize });
    expect(theirs).toBeDefined();
    expect(compareStructures(ours, theirs)).toBeUndefined();
  });

  it("has no handed-over structure that is not described", () => {
    const known = new Set(entries.map(({ layout }) => layout.name));
    expect([...source.structures.keys()].filter((name) => !known.has(name))).toEqual([]);
    expect(missing.filter((name) => source.structures.has(name))).toEqual([]);
  });

  it("is read as another program reads it", () => {
    const handed = Object.keys(structs).filter((name) => isKnown(name) || name.endsWith("_ser"));
    expect([...source.structures.keys()].sort()).toEqual(handed.sort());
    for (const name of handed) {
      const [structure] = source.structures.get(name)!;
      const members = [...flatMembers(structure!)].map(({ name: member, bit, bits }) => [member, bit, bits]);
      expect([name, structure!.size, members]).toEqual([
        name,
        structs[name]!.size,
        flat(structs[name]!.members, 0),
      ]);
    }
  });
});

/** Members of anonymous structs and unions are in their place. */
function flat(members: readonly AbiMember[], base: number): [name: string, bit: number, bits: number][] {
  return members.flatMap(({ name, offset, size, bitOffset, bitSize, members: inner }) => {
    if (name === "" && inner) return flat(inner, base + offset * 8);
    return [[name, base + (bitOffset ?? offset * 8), bitSize ?? size * 8] as [string, number, number]];
  });
}
