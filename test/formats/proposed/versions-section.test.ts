import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  encodeLiveupdateFeatures,
  encodeLiveupdateVersions,
  readLiveupdateFeatures,
  readLiveupdateVersions,
} from "../../../formats/proposed/versions-section.js";
import { thrown } from "../../image/expect.js";

/** A section of version strings as the posting has it, little-endian. */
function section(strings: readonly string[]): Uint8Array {
  const bytes = new Uint8Array(8 + 48 * strings.length);
  bytes.set([0x50, 0x55, 0x56, 0x4c, 1, 0, 0, 0]);
  for (const [i, text] of strings.entries()) bytes.set(new TextEncoder().encode(text), 8 + 48 * i);
  return bytes;
}

describe(".liveupdate_versions", () => {
  it("lists strings of 48 bytes behind a header of 8", () => {
    expect(readLiveupdateVersions(section(["luo-v1", "memfd-v1"]), "little")).toEqual(["luo-v1", "memfd-v1"]);
    expect(encodeLiveupdateVersions(["luo-v1", "memfd-v1"], "little")).toEqual(
      section(["luo-v1", "memfd-v1"]),
    );
    expect(readLiveupdateVersions(section([]), "little")).toEqual([]);
  });

  it.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ["is shorter than its header", (bytes) => bytes.subarray(0, 7)],
    ["ends in the middle of a string", (bytes) => bytes.subarray(0, -1)],
    ["has another magic", (bytes) => Uint8Array.from(bytes, (byte, i) => (i === 0 ? 0x51 : byte))],
    ["is of another version", (bytes) => Uint8Array.from(bytes, (byte, i) => (i === 4 ? 2 : byte))],
    ["has a string without a NUL", (bytes) => Uint8Array.from(bytes, (byte, i) => (i >= 8 ? 0x61 : byte))],
  ])("is refused if it %s", (_, damage) => {
    const bytes = damage(section(["luo-v1"]));
    thrown(() => readLiveupdateVersions(bytes, "little"), "version-section-malformed");
  });

  it("is refused in the other byte order", () => {
    thrown(() => readLiveupdateVersions(section(["luo-v1"]), "big"), "version-section-malformed");
  });

  it("takes strings of up to 47 bytes", () => {
    const longest = "x".repeat(47);
    expect(readLiveupdateVersions(encodeLiveupdateVersions([longest], "big"), "big")).toEqual([longest]);
  });
});

describe(".liveupdate_features", () => {
  it("lists entries of 80 bytes", () => {
    const bytes = encodeLiveupdateFeatures([{ name: "luo", supp: 7n, req: 3n, active: 2n ** 63n }], "little");
    const view = new DataView(bytes.buffer);
    expect(bytes.length).toBe(88);
    expect([...bytes.subarray(0, 8)]).toEqual([0x50, 0x55, 0x56, 0x4c, 1, 0, 0, 0]);
    expect([...bytes.subarray(8, 12)]).toEqual([...new TextEncoder().encode("luo"), 0]);
    expect([view.getUint32(8 + 48, true), view.getUint32(8 + 52, true)]).toEqual([8, 0]);
    expect([56, 64, 72].map((at) => view.getBigUint64(8 + at, true))).toEqual([7n, 3n, 2n ** 63n]);
    view.setUint32(8 + 48, 16, true);
    thrown(() => readLiveupdateFeatures(bytes, "little"), "version-section-malformed");
    thrown(() => readLiveupdateFeatures(bytes.subarray(0, 87), "little"), "version-section-malformed");
  });

  it("comes back as it was", () => {
    const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    const name = fc.string({ maxLength: 15, unit: "grapheme-ascii" });
    const entries = fc.array(fc.record({ name, supp: u64, req: u64, active: u64 }), { maxLength: 5 });
    fc.assert(
      fc.property(entries, fc.constantFrom("little" as const, "big" as const), (features, order) => {
        expect(readLiveupdateFeatures(encodeLiveupdateFeatures(features, order), order)).toEqual(features);
      }),
    );
  });
});
