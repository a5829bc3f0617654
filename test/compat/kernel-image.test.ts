import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { kernelOf } from "../../formats/kernels.js";
import {
  encodeLiveupdateFeatures,
  encodeLiveupdateVersions,
} from "../../formats/proposed/versions-section.js";
import { encodeBtf } from "../../src/btf/encode.js";
import { readBtf } from "../../src/btf/read.js";
import { abiOf, kernelImageOf, readKernelImage } from "../../src/compat/kernel-image.js";
import { int, structOf } from "../btf/support.js";
import { thrown } from "../image/expect.js";
import { bzImage, elfFile, rodata, withSize, zstdStored } from "./kernel-files.js";

const folder = new URL("../../fixtures/btf/", import.meta.url);
const types = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(`${name}.btf`, folder)));

/** By types alone: the formats of which release, and whether another one has the same structures. */
const identified: Record<string, [release: string, guessed: RegExp]> = {
  "6.17.8": ["6.17", /6\.16, 6\.17 alike/],
  "6.18.15": ["6.18", /no other release/],
  "6.19.10": ["6.19", /no other release/],
  "7.1.13": ["7.1", /no other release/],
  "7.2": ["7.3", /7\.2, 7\.3 alike/],
  "7.3": ["7.3", /7\.2, 7\.3 alike/],
  "7.3-arm64-16k": ["7.3", /7\.2, 7\.3 alike/],
  "7.3-arm64-4k": ["7.3", /7\.2, 7\.3 alike/],
  "7.3-arm64-64k": ["7.3", /7\.2, 7\.3 alike/],
};

it.each(readdirSync(folder))("types alone: %s", (file) => {
  const name = file.replace(/\.btf$/, "");
  const image = readKernelImage(types(name));
  const [release, evidence] = identified[name]!;
  expect(image).toMatchObject({ kind: "btf", guessed: true, differences: [] });
  expect(image.kernel?.release).toBe(release);
  expect(image.release).toBeUndefined();
  expect(image.evidence).toMatch(evidence);
});

it("types without live update are of the newest release that nothing contradicts", () => {
  const whole = readBtf(types("7.1.13"));
  const kept = Array.from({ length: whole.count }, (_, i) => whole.type(i + 1)).map((type) =>
    type.kind === "STRUCT" && /^(luo|memfd)_/.test(type.name)
      ? { ...type, name: `no_${type.name}_here` }
      : type,
  );
  const image = readKernelImage(encodeBtf(kept, "little"));
  expect(image.kernel?.release).toBe("7.3");
  expect(image.evidence).toMatch(/guessed: nothing contradicts 7\.1, 7\.2, 7\.3.*no luo_ser/);
  expect(image.differences.map(({ kind }) => kind)).toEqual(image.differences.map(() => "removed"));
});

it("types of no release are said to be that", () => {
  const image = readKernelImage(
    encodeBtf([int("u64", 8), structOf("kho_scratch", 24, ["addr", 1, 0])], "little"),
  );
  expect(image.kernel).toBeUndefined();
  expect(image.evidence).toMatch(/no known release/);
  expect(abiOf(image)?.structures.has("kho_scratch")).toBe(true);
});

describe.each([
  ["64-bit little-endian", { bits: 64, big: false }],
  ["64-bit big-endian", { bits: 64, big: true }],
  ["32-bit little-endian", { bits: 32, big: false }],
  ["32-bit big-endian", { bits: 32, big: true }],
] as const)("vmlinux, %s", (_, form) => {
  const order = form.big ? "big" : "little";
  const whole = readBtf(types("7.3"));
  const btf = encodeBtf(
    Array.from({ length: whole.count }, (__, i) => whole.type(i + 1)),
    order,
  );

  it("release, types and the sections of proposed series", () => {
    const image = readKernelImage(
      elfFile({
        ...form,
        sections: {
          ".text": new Uint8Array(64),
          ".rodata": rodata("7.3.4-custom+"),
          ".BTF": btf,
          ".liveupdate_versions": encodeLiveupdateVersions(["luo-v5", "memfd-v2"], order),
          ".liveupdate_features": encodeLiveupdateFeatures(
            [{ name: "luo", supp: 7n, req: 3n, active: 1n }],
            order,
          ),
        },
      }),
    );
    expect(image).toMatchObject({
      kind: "vmlinux",
      release: "7.3.4-custom+",
      kernel: kernelOf("7.3"),
      guessed: false,
      differences: [],
      versions: ["luo-v5", "memfd-v2"],
      features: [{ name: "luo", supp: 7n, req: 3n, active: 1n }],
    });
    expect(image.evidence).toContain("calls itself 7.3.4-custom+");
    expect(image.abi?.structures.size).toBe(18);
  });

  it("the number of sections in the first of them", () => {
    const sections = { ".rodata": rodata("6.19.1") };
    expect(readKernelImage(elfFile({ ...form, sections, extended: true })).release).toBe("6.19.1");
  });
});

describe("vmlinux", () => {
  it("is found out where structures are not those of the release that it names", () => {
    const image = readKernelImage(
      elfFile({ sections: { ".rodata": rodata("6.18.2"), ".BTF": types("6.17.8") } }),
    );
    expect(image).toMatchObject({ release: "6.18.2", kernel: kernelOf("6.18"), guessed: false });
    expect(image.evidence).toMatch(/not all those of 6\.18/);
    expect(image.differences.map(({ struct, kind }) => `${kind} ${struct}`).sort()).toEqual([
      "changed kho_mem_phys_bits",
      "removed kho_vmalloc",
      "removed kho_vmalloc_chunk",
      "removed kho_vmalloc_hdr",
    ]);
  });

  it("says where it is of no known release, or has no types", () => {
    const future = readKernelImage(
      elfFile({ sections: { ".rodata": rodata("9.4.0"), ".BTF": types("7.1.13") } }),
    );
    expect(future).toMatchObject({ release: "9.4.0", kernel: kernelOf("7.1"), guessed: true });
    const plain = readKernelImage(elfFile({ machine: 183, sections: { ".rodata": rodata("7.1.3") } }));
    expect(plain).toMatchObject({
      arch: "aarch64",
      release: "7.1.3",
      kernel: kernelOf("7.1"),
      guessed: false,
    });
    expect(plain.abi).toBeUndefined();
    expect(plain.evidence).toMatch(/no types/);
    expect(abiOf(plain)?.structures.has("memfd_luo_ser")).toBe(true);
  });

  it("finds the banner across the pieces that are searched", () => {
    for (const before of [(1 << 20) - 10, (1 << 20) - 1, 1 << 20])
      expect(readKernelImage(elfFile({ sections: { ".rodata": rodata("7.2.1", before) } })).release).toBe(
        "7.2.1",
      );
  });

  it.each<[string, Parameters<typeof elfFile>[0], string]>([
    ["an ELF file that is no kernel", { sections: { ".text": new Uint8Array(8) } }, "kernel-image-unknown"],
    [
      "a section beyond the file",
      {
        sections: { ".BTF": types("7.3") },
        patch: (view, at) => view.setBigUint64(at(".BTF") + 32, 1n << 24n, true),
      },
      "elf-truncated",
    ],
    [
      "a section of impossible size",
      {
        sections: { ".BTF": types("7.3") },
        patch: (view, at) => view.setBigUint64(at(".BTF") + 32, 1n << 60n, true),
      },
      "limit-exceeded",
    ],
    [
      "a compressed section",
      {
        sections: { ".BTF": types("7.3") },
        patch: (view, at) => view.setBigUint64(at(".BTF") + 8, 0x800n, true),
      },
      "unsupported-container",
    ],
    [
      "section headers beyond the file",
      { sections: {}, patch: (view) => view.setBigUint64(40, 1n << 40n, true) },
      "elf-truncated",
    ],
    [
      "a section table at 2^63",
      { sections: {}, patch: (view) => view.setBigUint64(40, 1n << 63n, true) },
      "elf-malformed",
    ],
    ["names in no section", { sections: {}, patch: (view) => view.setUint16(62, 99, true) }, "elf-malformed"],
    ["another class", { sections: {}, patch: (view) => view.setUint8(4, 3) }, "elf-malformed"],
    ["damaged types", { sections: { ".BTF": types("7.3").subarray(0, 500) } }, "btf-malformed"],
    [
      "a damaged list of versions",
      { sections: { ".liveupdate_versions": new Uint8Array(9) } },
      "version-section-malformed",
    ],
  ])("%s is refused", (_, elf, code) => {
    thrown(() => readKernelImage(elfFile(elf)), code as never);
  });

  it("a section without contents in the file is not read", () => {
    const patch = (view: DataView, at: (name: string) => number): void =>
      view.setUint32(at(".BTF") + 4, 8, true);
    const image = readKernelImage(
      elfFile({ sections: { ".rodata": rodata("7.1"), ".BTF": types("7.3") }, patch }),
    );
    expect(image.abi).toBeUndefined();
  });
});

describe("bzImage", () => {
  const vmlinux = elfFile({ sections: { ".rodata": rodata("7.1.13"), ".BTF": types("7.1.13") } });

  it.each([
    ["gzip", gzipSync(vmlinux)],
    ["zstd, and the size behind", withSize(zstdStored(vmlinux), vmlinux.length)],
    ["nothing, and the size behind", withSize(vmlinux, vmlinux.length)],
  ])("compressed with %s", (_, payload) => {
    const image = readKernelImage(bzImage("7.1.13 (user@host) #1 SMP", payload));
    expect(image).toMatchObject({
      kind: "bzImage",
      arch: "x86_64",
      release: "7.1.13",
      guessed: false,
      differences: [],
    });
    expect(image.abi?.structures.has("kho_kexec_metadata")).toBe(true);
  });

  it.each([
    ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
    ["lz4", [0x02, 0x21, 0x4c, 0x18]],
    ["lzma", [0x5d, 0x00, 0x00]],
    ["bzip2", [0x42, 0x5a, 0x68]],
    ["lzo", [0x89, 0x4c, 0x5a, 0x4f]],
  ])("says that it is compressed with %s, and its release all the same", (name, magic) => {
    const image = readKernelImage(
      bzImage("7.2.1-9-generic (x) #1", Uint8Array.from([...magic, ...new Array(64).fill(7)])),
    );
    expect(image).toMatchObject({ release: "7.2.1-9-generic", kernel: kernelOf("7.2") });
    expect(image.evidence).toContain(`compressed with ${name}`);
  });

  it("keeps its release where the payload is damaged, and is refused where it says nothing", () => {
    const broken = gzipSync(vmlinux).subarray(0, 900);
    expect(readKernelImage(bzImage("7.1.13 x", broken)).evidence).toMatch(/types were not read/);
    thrown(() => readKernelImage(bzImage(undefined, broken)), "kernel-image-unknown");
    thrown(() => readKernelImage(bzImage(undefined, new Uint8Array(0))), "kernel-image-unknown");
  });

  it("does not unpack more than it may", () => {
    const large = gzipSync(
      elfFile({ sections: { ".rodata": rodata("7.1.13"), ".data": new Uint8Array(1 << 20) } }),
    );
    const image = readKernelImage(bzImage("7.1.13 x", large), { maxDecompressed: 1 << 16 });
    expect(image.evidence).toMatch(/limit/);
  });
});

it("what is compressed as a whole is unpacked first", () => {
  expect(readKernelImage(gzipSync(types("7.1.13"))).kernel?.release).toBe("7.1");
  expect(readKernelImage(zstdStored(types("7.1.13"))).kernel?.release).toBe("7.1");
  const elf = elfFile({ sections: { ".rodata": rodata("7.1.13") } });
  expect(readKernelImage(gzipSync(elf)).release).toBe("7.1.13");
});

it.each([
  ["nothing", new Uint8Array(0)],
  ["text", new TextEncoder().encode("not a kernel")],
  ["zeros", new Uint8Array(1 << 16)],
])("%s is no kernel", (_, bytes) => {
  thrown(() => readKernelImage(bytes), "kernel-image-unknown");
});

it("a release speaks for itself", () => {
  const image = kernelImageOf(kernelOf("7.3.4"), "7.3.4");
  expect(image).toMatchObject({ kind: "release", release: "7.3.4", guessed: false });
  expect(abiOf(image, 65536)?.structures.get("kho_radix_node")?.[0]?.size).toBe(65536);
});
