/** Types that are damaged, or made to keep a reader busy, end in a KhoError. */
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  encodeLiveupdateFeatures,
  encodeLiveupdateVersions,
} from "../../formats/proposed/versions-section.js";
import { encodeBtf } from "../../src/btf/encode.js";
import { readBtf } from "../../src/btf/read.js";
import { reduceBtf } from "../../src/btf/reduce.js";
import type { BtfType } from "../../src/btf/types.js";
import { structureJson } from "../../src/cli/abi/structure-json.js";
import type { AbiSide } from "../../src/compat/abi/claim.js";
import { compareStructures } from "../../src/compat/abi/compare.js";
import { lintAbi, lintAbis } from "../../src/compat/abi/lint.js";
import { printStructure } from "../../src/compat/abi/print.js";
import { readKernelImage } from "../../src/compat/kernel-image.js";
import { isKhoError } from "../../src/report/error.js";
import { bzImage, elfFile, rodata, withSize } from "../compat/kernel-files.js";
import { tame } from "../image/expect.js";
import { arrayOf, int, nastyBytes, reference, structOf } from "./support.js";

const fixtures = new URL("../../fixtures/btf/", import.meta.url);
const types = readdirSync(fixtures).map((name) => new Uint8Array(readFileSync(new URL(name, fixtures))));
const sections = {
  ".rodata": rodata("7.1.13", 64),
  ".BTF": types[3]!,
  ".liveupdate_versions": encodeLiveupdateVersions(["luo-v5"], "little"),
  ".liveupdate_features": encodeLiveupdateFeatures(
    [{ name: "luo", supp: 1n, req: 1n, active: 1n }],
    "little",
  ),
};
const images = [
  elfFile({ sections }),
  elfFile({ sections, bits: 32, extended: true }),
  bzImage("7.1.13 (x) #1", withSize(elfFile({ sections }), 0)),
];
const seeds = [...types, new Uint8Array(nastyBytes()), ...images];

/** Does everything that can be done with an image: what comes of it is a result or a KhoError. */
function endure(bytes: Uint8Array): void {
  const image = tame(() => readKernelImage(bytes));
  const { abi, btf, kernel } = image ?? {};
  if (!abi || !btf) return;
  const side: AbiSide = { name: "x", source: abi, ...(kernel && { kernel }) };
  tame(() => lintAbi(side));
  tame(() => lintAbis(side, side));
  for (const name of [...abi.structures.keys()].slice(0, 8))
    for (const structure of (tame(() => abi.find(name)) ?? []).slice(0, 2)) {
      tame(() => printStructure(structure));
      tame(() => JSON.stringify(structureJson(structure)));
    }
  const reduced = tame(() => reduceBtf(btf, [...abi.structures.keys()]));
  if (reduced) readBtf(reduced);
}

it("every bit of the first kernel's types can flip", () => {
  const [seed] = types;
  for (let at = 0; at < seed!.length; at++) {
    const bytes = Uint8Array.from(seed!);
    bytes[at]! ^= 1 << (at % 8);
    endure(bytes);
  }
});

it("every length of the largest types can be the last", () => {
  const seed = types.reduce((most, bytes) => (bytes.length > most.length ? bytes : most));
  for (let length = 0; length < seed.length; length++) endure(seed.subarray(0, length));
});

it.each([
  ["vmlinux", 0],
  ["32-bit vmlinux", 1],
  ["bzImage", 2],
] as const)("every bit of the headers of a %s can flip", (_, which) => {
  const seed = images[which]!;
  const inHeaders = (at: number): boolean => at < 64 || (at >= 0x1f1 && at < 0x260) || at > seed.length - 560;
  for (let at = 0; at < seed.length; at++) {
    if (!inHeaders(at)) continue;
    const bytes = Uint8Array.from(seed);
    bytes[at]! ^= 1 << (at % 8);
    tame(() => readKernelImage(bytes));
  }
});

it("any words can take the place of any others", () => {
  const wild = fc.oneof(
    fc.constantFrom(0, 1, 0xff, 0xffff, 0xffffff, 0x7fffffff, 0xffffffff, 0x84000002, 0x0400ffff),
    fc.integer({ min: 0, max: 60 }),
    fc.integer({ min: 0, max: 0xffffffff }),
  );
  const change = fc.tuple(fc.nat(), wild);
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.array(change, { minLength: 1, maxLength: 6 }),
      (seed, changes) => {
        const bytes = Uint8Array.from(seed);
        const view = new DataView(bytes.buffer);
        for (const [at, value] of changes)
          view.setUint32(4 * (at % Math.floor(bytes.length / 4)), value, true);
        endure(bytes);
      },
    ),
    { numRuns: 800 },
  );
});

/** Structures `s0` to `sN` of which each holds the one before it twice. */
function doubled(levels: number, nameOf: (level: number) => string): BtfType[] {
  const types: BtfType[] = [int("u8", 1)];
  for (let level = 0; level < levels; level++) {
    const half = level === 0 ? 8 : 8 * 2 ** Math.min(level, 20);
    types.push(
      structOf(nameOf(level), 2 ** Math.min(level + 1, 21), ["a", level + 1, 0], ["b", level + 1, half]),
    );
  }
  return types;
}

const last = (types: BtfType[], name: string): BtfType[] =>
  types.map((type, i) => (i === types.length - 1 && type.kind === "STRUCT" ? { ...type, name } : type));

describe("types that keep a reader busy", () => {
  const many = Array.from({ length: 60_000 }, (_, i) => [`m${i}`, 1, 0] as const);
  it.each<[string, BtfType[]]>([
    ["a struct that holds itself", [structOf("luo_ser", 8, ["again", 1, 0], ["once_more", 1, 0])]],
    [
      "an anonymous struct that holds itself",
      [structOf("luo_ser", 8, ["", 2, 0]), structOf("", 8, ["", 2, 0], ["", 2, 0])],
    ],
    [
      "structs that double",
      last(
        doubled(40, (level) => `level${level}`),
        "kho_data",
      ),
    ],
    [
      "structs without names that double",
      last(
        doubled(40, () => ""),
        "kho_data",
      ),
    ],
    ["a struct of very many members", [int("u8", 1), structOf("luo_ser", 1, ...many)]],
    [
      "a chain of structs in each other",
      last(
        Array.from({ length: 5000 }, (_, i) => structOf(`deep${i}`, 8, ["in", Math.max(1, i), 0])),
        "luo_ser",
      ),
    ],
    [
      "a chain of typedefs",
      [
        ...Array.from({ length: 5000 }, (_, i) => reference("TYPEDEF", i + 2, "t")),
        structOf("luo_ser", 8, ["t", 1, 0]),
      ],
    ],
    [
      "a chain of pointers",
      [
        structOf("luo_ser", 8, ["p", 2, 0]),
        ...Array.from({ length: 5000 }, (_, i) => ({ kind: "PTR" as const, type: i + 3 })),
        int("u8", 1),
      ],
    ],
    ["an array of itself", [structOf("luo_ser", 8, ["a", 2, 0]), arrayOf(2, 2)]],
    [
      "very many structures of one name",
      Array.from({ length: 5_000 }, (_, i) =>
        structOf("luo_ser", i, ...(i === 0 ? [] : [["x", 1, 0] as const])),
      ),
    ],
    [
      "very many structures that call themselves serialized",
      Array.from({ length: 5_000 }, (_, i) => structOf(`x${i}_ser`, 4)),
    ],
  ])("%s", (_, made) => {
    endure(encodeBtf(made, "little"));
  });

  it("a structure without end is refused for what it is", () => {
    const bytes = encodeBtf([structOf("luo_ser", 8, ["again", 1, 0], ["once_more", 1, 0])], "little");
    const [structure] = readKernelImage(bytes).abi!.find("luo_ser");
    for (const use of [() => printStructure(structure!), () => structureJson(structure!)]) {
      let error: unknown;
      try {
        use();
      } catch (thrown) {
        error = thrown;
      }
      expect(isKhoError(error, "limit-exceeded")).toBe(true);
    }
    expect(compareStructures(structure, structure)).toBeUndefined();
  });
});
