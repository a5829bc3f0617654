/** What an image says of the kernel in it beside its release. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { encodeLiveupdateVersions } from "../../formats/proposed/versions-section.js";
import { encodeBtf } from "../../src/btf/encode.js";
import { readBtf } from "../../src/btf/read.js";
import { readKernelImage } from "../../src/compat/kernel-image.js";
import { receiverOf } from "../../src/compat/preflight/receiver.js";
import { int, structOf } from "../btf/support.js";
import { elfFile, rodata } from "./kernel-files.js";
import { ask, faring, realCapture } from "./preflight-support.js";

const types = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../fixtures/btf/${name}.btf`, import.meta.url)));
const btf = (name: string) => receiverOf(readKernelImage(types(name)));

it("has the pages of its types, and the release that has its structures", () => {
  expect(btf("7.3-arm64-64k")).toMatchObject({ release: "7.3", pageSize: 65536, differences: [] });
  expect(btf("6.19.10")).toMatchObject({ release: "6.19", pageSize: 4096 });
  expect(btf("6.19.10").notes).toContain("the image does not list its file handlers");
  expect(btf("6.19.10").handlers).toBeUndefined();
});

it("misreads what is written with pages of another size, by its types", () => {
  const capture = realCapture("7.3-arm64-64k-memfd");
  expect(ask(capture, btf("7.3-arm64-16k")).verdict).toBe("misread");
  expect(ask(capture, btf("7.3-arm64-64k")).verdict).toBe("works");
});

it("knows the handlers that an image lists", () => {
  const versions = encodeLiveupdateVersions(["luo-v5", "memfd-v2", "vfio-v1"], "little");
  const image = elfFile({
    sections: { ".rodata": rodata("7.3.4-fleet"), ".liveupdate_versions": versions },
  });
  const receiver = receiverOf(readKernelImage(image));
  expect([...receiver.handlers!]).toEqual(["luo-v5", "memfd-v2", "vfio-v1"]);
  expect(receiver.release).toBe("7.3.4-fleet");
});

it("names structures that the image was built without, and what their members became", () => {
  const whole = readBtf(types("7.3"));
  const all = Array.from({ length: whole.count }, (_, i) => whole.type(i + 1));
  const without = all.map((type) =>
    type.kind === "STRUCT" && type.name.startsWith("memfd_") ? { ...type, name: `gone_${type.name}` } : type,
  );
  const image = elfFile({
    sections: { ".rodata": rodata("7.3.4"), ".BTF": encodeBtf(without, "little") },
  });
  const { differences } = receiverOf(readKernelImage(image));
  expect(differences.map(({ compatible, struct }) => [compatible, struct])).toEqual([
    ["memfd-v2", "memfd_luo_ser"],
    ["memfd-v2", "memfd_luo_folio_ser"],
  ]);
  const result = ask(realCapture("7.3-resmem"), receiverOf(readKernelImage(image)));
  expect(faring(result, "unknown")).toEqual(
    result.parts.filter(({ kind }) => kind === "file").map(({ part }) => part),
  );
  expect(result.detail).toContain("the image has no struct memfd_luo_ser");
});

it("has no formats if its structures are of no release", () => {
  const image = readKernelImage(
    encodeBtf([int("u64", 8), structOf("kho_scratch", 24, ["addr", 1, 0])], "little"),
  );
  expect(() => receiverOf(image)).toThrowError(expect.objectContaining({ code: "unknown-release" }));
});
