/** What is said of real kernels is what is known to break handovers, all of it and nothing else. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { kernelOf } from "../../formats/kernels.js";
import { handedOver } from "../../formats/registry.js";
import { readBtf } from "../../src/btf/read.js";
import type { AbiClaim, AbiSide } from "../../src/compat/abi/claim.js";
import { lintAbi, lintAbis } from "../../src/compat/abi/lint.js";
import { abiOfBtf, abiOfRelease } from "../../src/compat/abi/source.js";
import { arrayOf, btfOf, int, nastyBytes, structOf } from "../btf/support.js";

const fixtures = new URL("../../fixtures/btf/", import.meta.url);
const sides = new Map(
  readdirSync(fixtures).map((file): [string, AbiSide] => {
    const name = file.replace(/\.btf$/, "");
    const btf = readBtf(readFileSync(new URL(file, fixtures)));
    return [name, { name, source: abiOfBtf(btf), kernel: kernelOf(name.split("-")[0]!) }];
  }),
);
const release = (name: string): AbiSide => ({
  name,
  kernel: kernelOf(name),
  source: abiOfRelease(kernelOf(name), 4096),
});

const brief = ({ severity, rule, struct, member }: AbiClaim): string =>
  `${severity} ${rule} ${struct}${member === undefined ? "" : `.${member}`}`;
const worse = (claims: readonly AbiClaim[]): AbiClaim[] =>
  claims.filter(({ severity }) => severity !== "info");

/** By kernel: what is wrong with it alone. Step A of the formats' history, and the packed metadata of 7.1. */
const bitmap = "error two-layouts kho_mem_phys_bits";
const text = "warning string-moves-fields kho_kexec_metadata.previous_release";
const alone: Record<string, string[]> = {
  "6.17.8": [bitmap],
  "6.18.15": [bitmap],
  "6.19.10": [bitmap],
  "7.1.13": [text],
  "7.2": [text],
  "7.3": [text],
  "7.3-arm64-16k": [text],
  "7.3-arm64-4k": [text],
  "7.3-arm64-64k": [text],
};

it("every kernel alone", () => {
  const found = [...sides].map(([name, side]) => [name, worse(lintAbi(side)).map(brief)]);
  expect(Object.fromEntries(found)).toEqual(alone);
});

/** By pair, in both directions alike but for FLBs: what changed while its version did not. */
const changedBitmap = ["error layout-changed kho_mem_phys_bits"];
const pages = ["kho_radix_leaf", "kho_radix_node", "kho_vmalloc_chunk"].map(
  (name) => `error two-layouts ${name}`,
);
const flb = ["luo_flb_header_ser", "luo_flb_ser"];
const between: Record<string, string[]> = {
  "6.17.8 6.18.15": changedBitmap,
  "6.17.8 6.19.10": changedBitmap,
  "6.18.15 6.17.8": changedBitmap,
  "6.19.10 6.17.8": changedBitmap,
  // Their roots differ, so that these two never meet; 6.19 and 7.0, below, do.
  "6.19.10 7.1.13": flb.map((name) => `warning structure-added ${name}`),
  "7.1.13 6.19.10": flb.map((name) => `warning structure-removed ${name}`),
};
for (const small of ["7.2", "7.3", "7.3-arm64-4k"])
  for (const large of ["7.3-arm64-16k", "7.3-arm64-64k"]) {
    between[`${small} ${large}`] = pages;
    between[`${large} ${small}`] = pages;
  }
between["7.3-arm64-16k 7.3-arm64-64k"] = pages;
between["7.3-arm64-64k 7.3-arm64-16k"] = pages;

describe("from one kernel to another", () => {
  const names = [...sides.keys()];
  it.each(names.flatMap((from) => names.filter((to) => to !== from).map((to) => [from, to] as const)))(
    "%s to %s",
    (from, to) => {
      const claims = worse(lintAbis(sides.get(from)!, sides.get(to)!));
      const changes = claims.filter(({ rule }) => rule !== "string-moves-fields");
      expect(changes.map(brief).sort()).toEqual([...(between[`${from} ${to}`] ?? [])].sort());
      for (const { sides: cited } of changes) expect(cited.map(({ kernel }) => kernel)).toEqual([from, to]);
    },
  );
});

describe("from one release to the next", () => {
  it.each<[string, string, string[]]>([
    ["6.16", "6.17", []],
    ["6.17", "6.17.9", changedBitmap],
    ["6.17.9", "6.18", []],
    ["6.18", "6.19", []],
    ["6.19", "7.0", flb.map((name) => `error structure-added ${name}`)],
    ["7.0", "6.19", flb.map((name) => `warning structure-removed ${name}`)],
    ["7.0", "7.1", []],
    ["7.1", "7.2", []],
    ["7.2", "7.3", []],
  ])("%s to %s", (from, to, expected) => {
    const claims = worse(lintAbis(release(from), release(to)));
    expect(claims.filter(({ rule }) => rule !== "string-moves-fields").map(brief)).toEqual(expected);
  });
});

it("a claim cites the structure, the member, both places and both versions", () => {
  const [claim] = lintAbis(sides.get("6.17.8")!, sides.get("6.18.15")!);
  expect(claim).toMatchObject({
    rule: "layout-changed",
    struct: "kho_mem_phys_bits",
    sides: [
      { kernel: "6.17.8", compatible: "kho-v1", size: 512 },
      { kernel: "6.18.15", compatible: "kho-v1", size: 4096 },
    ],
    members: [
      { kind: "retyped", name: "preserve", from: { bit: 0, bits: 4096 }, to: { bit: 0, bits: 32768 } },
    ],
  });
  const [other] = worse(lintAbi(sides.get("6.18.15")!));
  expect(other!.sides).toMatchObject([
    { kernel: "6.18.15", compatible: "kho-v1", size: 4096 },
    { kernel: "6.16, 6.17 to 6.17.8", compatible: "kho-v1", size: 512 },
  ]);
  const [metadata] = worse(lintAbi(sides.get("7.3")!));
  expect(metadata).toMatchObject({
    member: "previous_release",
    sides: [
      { kernel: "7.3", compatible: "kexec-metadata version 1", size: 73, place: { bit: 32, bits: 520 } },
    ],
  });
  expect(metadata!.message).toContain("kexec_count at offset 69");
});

it("which version goes with which structure, by release", () => {
  const versions = (name: string) => {
    const groups: Record<string, string[]> = {};
    for (const { layout, compatible = "none" } of handedOver(kernelOf(name)))
      (groups[compatible] ??= []).push(layout.name);
    return groups;
  };
  expect(versions("6.17.8")).toEqual({
    none: ["setup_data", "kho_data"],
    "kho-v1": [
      "kho_scratch",
      "khoser_mem_chunk_hdr",
      "khoser_mem_bitmap_ptr",
      "khoser_mem_chunk",
      "kho_mem_phys_bits",
    ],
  });
  expect(versions("7.0")).toMatchObject({
    "luo-session-v2": ["luo_session_header_ser", "luo_session_ser", "luo_file_set_ser", "luo_file_ser"],
    "luo-flb-v1": ["luo_flb_header_ser", "luo_flb_ser"],
    "memfd-v1": ["memfd_luo_ser", "memfd_luo_folio_ser"],
  });
  expect(versions("7.3")).toEqual({
    none: ["setup_data", "kho_data"],
    "kho-v4": [
      "kho_scratch",
      "kho_radix_node",
      "kho_radix_leaf",
      "kho_vmalloc",
      "kho_vmalloc_hdr",
      "kho_vmalloc_chunk",
      "kho_block_header_ser",
    ],
    "kexec-metadata version 1": ["kho_kexec_metadata"],
    "luo-v5": [
      "luo_ser",
      "luo_session_ser",
      "luo_file_set_ser",
      "luo_file_ser",
      "luo_flb_header_ser",
      "luo_flb_ser",
    ],
    "memfd-v2": ["memfd_luo_ser", "memfd_luo_folio_ser"],
  });
});

describe("structures as no kernel hands them over", () => {
  const side: AbiSide = { name: "nasty", source: abiOfBtf(readBtf(nastyBytes())) };

  it("a compiler's", () => {
    expect(lintAbi(side).map(brief).sort()).toEqual(
      [
        "error config-dependent config_ser.lock",
        "error config-dependent config_ser.cpus",
        "error config-dependent config_ser.inner.nodes",
        "error config-dependent config_ser.plain",
        "error kernel-pointer pointers_ser.slots[0].page",
        "error kernel-pointer pointers_ser.slots[0].where",
        "error kernel-pointer pointers_ser.release",
        "warning packed-bit-field odd_bits_ser.b",
        "warning packed-bit-field odd_bits_ser.d",
        "warning string-moves-fields text_ser.name",
        ...["address", "config", "even_bits", "odd_bits", "pointers", "text"].map(
          (name) => `info unknown-structure ${name}_ser`,
        ),
      ].sort(),
    );
  });

  const base = [int("unsigned long", 8), int("char", 1), arrayOf(2, 48), arrayOf(2, 64)] as const;
  /** A kernel of 7.3 whose only structure is the one given. */
  const only = (name: string, struct: ReturnType<typeof structOf>): AbiSide => ({
    name,
    kernel: kernelOf("7.3"),
    source: abiOfBtf(btfOf(...base, struct)),
  });
  const file = structOf("luo_file_ser", 64, ["compatible", 3, 0], ["data", 1, 384], ["token", 1, 448]);
  const changes = (to: ReturnType<typeof structOf>) => lintAbis(only("old", file), only("new", to));

  it.each<[string, ReturnType<typeof structOf>, string[], string[]]>([
    ["nothing", file, [], []],
    [
      "a member is added",
      structOf(
        "luo_file_ser",
        72,
        ["compatible", 3, 0],
        ["data", 1, 384],
        ["token", 1, 448],
        ["more", 1, 512],
      ),
      ["error layout-changed luo_file_ser"],
      ["added more"],
    ],
    [
      "two members change places",
      structOf("luo_file_ser", 64, ["compatible", 3, 0], ["token", 1, 384], ["data", 1, 448]),
      ["error layout-changed luo_file_ser"],
      ["moved token", "moved data"],
    ],
    [
      "text grows",
      structOf("luo_file_ser", 80, ["compatible", 4, 0], ["data", 1, 512], ["token", 1, 576]),
      ["error layout-changed luo_file_ser"],
      ["retyped compatible", "moved data", "moved token"],
    ],
    [
      "a member has another name",
      structOf("luo_file_ser", 64, ["compatible", 3, 0], ["data", 1, 384], ["cookie", 1, 448]),
      ["info layout-changed luo_file_ser"],
      ["renamed cookie"],
    ],
    [
      "a member goes",
      structOf("luo_file_ser", 64, ["compatible", 3, 0], ["data", 1, 384]),
      ["error layout-changed luo_file_ser"],
      ["removed token"],
    ],
  ])("%s", (_, to, claims, members) => {
    const found = changes(to);
    expect(found.map(brief)).toEqual(claims);
    expect(found.flatMap((claim) => claim.members.map(({ kind, name }) => `${kind} ${name}`))).toEqual(
      members,
    );
  });

  it("one kernel with two definitions", () => {
    const other = structOf("luo_file_ser", 72, ["compatible", 4, 0], ["data", 1, 512]);
    const twice: AbiSide = {
      name: "twice",
      kernel: kernelOf("7.3"),
      source: abiOfBtf(btfOf(...base, file, other)),
    };
    const found = lintAbi(twice).filter(({ rule }) => rule === "two-layouts");
    expect(found.map(({ sides: cited }) => cited.map(({ size }) => size))).toEqual([[64, 72]]);
  });
});

describe("what images list of themselves", () => {
  const lists = (name: string, versions: string[], features: [string, bigint, bigint][]): AbiSide => ({
    name,
    source: abiOfRelease(kernelOf("7.3"), 4096),
    versions,
    features: features.map(([feature, supp, req]) => ({ name: feature, supp, req, active: 0n })),
  });
  const old = lists(
    "old",
    ["luo-v5", "memfd-v2"],
    [
      ["luo", 7n, 3n],
      ["memfd", 1n, 1n],
    ],
  );
  const said = (to: AbiSide) =>
    lintAbis(old, to)
      .filter(({ rule }) => rule === "not-taken")
      .map((claim) => `${claim.severity} ${claim.member}`);

  it.each<[string, AbiSide, string[]]>([
    ["itself", old, []],
    [
      "more of everything",
      lists(
        "new",
        ["a", "luo-v5", "memfd-v2"],
        [
          ["memfd", 1n, 0n],
          ["luo", 15n, 15n],
        ],
      ),
      [],
    ],
    [
      "what is supported but not required",
      lists(
        "new",
        ["luo-v5", "memfd-v2"],
        [
          ["luo", 3n, 0n],
          ["memfd", 1n, 0n],
        ],
      ),
      [],
    ],
    [
      "a version is missing",
      lists(
        "new",
        ["luo-v5"],
        [
          ["luo", 7n, 0n],
          ["memfd", 1n, 0n],
        ],
      ),
      ["warning memfd-v2"],
    ],
    [
      "a required bit is not known",
      lists(
        "new",
        ["luo-v5", "memfd-v2"],
        [
          ["luo", 5n, 0n],
          ["memfd", 1n, 0n],
        ],
      ),
      ["error luo"],
    ],
    ["a part is not known", lists("new", ["luo-v5", "memfd-v2"], [["luo", 7n, 0n]]), ["error memfd"]],
    ["nothing is listed", { name: "new", source: old.source }, []],
  ])("%s", (_, to, expected) => {
    expect(said(to)).toEqual(expected);
  });
});
