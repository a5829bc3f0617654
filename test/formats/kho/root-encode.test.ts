import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { type Fdt, openFdt, readFdt } from "../../../formats/fdt/index.js";
import { isAtLeast, kernelOf, kernels } from "../../../formats/kernels.js";
import { decodeRoot, rootForms, type SubtreeRef } from "../../../formats/kho/root.js";
import {
  addSubtree,
  addSubtreeTo,
  emptyRoot,
  encodeRoot,
  removeSubtreeFrom,
  setMapOf,
} from "../../../formats/kho/root-encode.js";
import { decodeHandover, openImage } from "../../../src/index.js";
import { physAddr } from "../../../src/memory/index.js";
import { fixtures } from "../../conformance/truth.js";
import { Ram } from "../../handover/synthetic/ram.js";
import { captures } from "../fdt/captures.js";
import { khoV1EditedRoot, khoV1SequentialRoot, khoV4Root } from "../fdt/examples.js";
import { abiOf, contextOf } from "./support.js";

const abi = abiOf(4096);
const pa = physAddr;
const luo: SubtreeRef = { name: "LUO", pa: pa(0x103e44000), size: 32n };
const metadata: SubtreeRef = { name: "kexec-metadata", pa: pa(0x101c20000), size: 73n };
const failing = (code: string) => expect.objectContaining({ name: "KhoError", code });

/** What our reader finds in a root, without complaint. */
function decoded(fdt: Fdt, release: string) {
  const { ctx, findings } = contextOf(new Ram(), release);
  const root = decodeRoot(ctx, fdt, pa(0x1000));
  expect(findings.filter(({ code }) => code !== "map-missing")).toEqual([]);
  return root;
}

describe("byte for byte what the specification shows", () => {
  it("kho-v4 with LUO", () => {
    for (const release of ["7.2", "7.3"])
      expect(encodeRoot(kernelOf(release), { mapPa: pa(0x100a52000), subtrees: [luo] }, abi)).toEqual(
        khoV4Root,
      );
  });

  it("kho-v4 with LUO and the metadata behind it", () => {
    const root = encodeRoot(kernelOf("7.3"), { mapPa: pa(0x100a52000), subtrees: [luo, metadata] }, abi);
    expect(root.length).toBe(285);
    const node = `00000001 6b657865632d6d65746164617461 0000 00000003 00000008 0000002f 4900000000000000
      00000003 00000008 00000020 0000c20101000000 00000002`;
    expect(Buffer.from(root).toString("hex", 0x9c, 0x9c + 64)).toBe(node.replaceAll(/\s/g, ""));
  });

  it("kho-v1 of 6.16 to 6.18", () => {
    const memblock = { name: "memblock", pa: pa(0x10456c000) };
    for (const release of ["6.16", "6.17", "6.17.9", "6.18"])
      expect(encodeRoot(kernelOf(release), { mapPa: pa(0x104570000), subtrees: [memblock] }, abi)).toEqual(
        khoV1SequentialRoot,
      );
  });

  it("kho-v1 of 6.19, step by step: empty, with a subtree, finalized twice", () => {
    for (const release of ["6.19", "7.0"]) {
      const kernel = kernelOf(release);
      const empty = emptyRoot(kernel, pa(0), abi);
      expect(empty.length).toBe(152);
      expect(readFdt(empty).header).toMatchObject({ off_mem_rsvmap: 0x30, off_dt_struct: 0x40 });
      const added = addSubtreeTo(kernel, empty, luo, abi);
      expect(setMapOf(added, pa(0x104570000), abi)).toEqual(khoV1EditedRoot);
      expect(setMapOf(setMapOf(added, pa(0x1000), abi), pa(0x104570000), abi)).toEqual(khoV1EditedRoot);
      const early = addSubtreeTo(kernel, setMapOf(empty, pa(0x104570000), abi), luo, abi);
      expect(early).toEqual(khoV1EditedRoot);
    }
  });
});

describe("what kernels wrote is written again", () => {
  const roots = captures.filter(({ isRoot }) => isRoot);

  test.each(roots)("$name", ({ blob, kernel }) => {
    const fdt = readFdt(blob);
    const root = decoded(fdt, kernel.release);
    expect(encodeRoot(kernel, root, abi)).toEqual(blob.subarray(0, fdt.header.totalsize));
  });

  it("in every release of which there is a capture", () => {
    const of = (list: readonly { kernel: { release: string } }[]) =>
      [...new Set(list.map(({ kernel }) => kernel.release))].sort();
    expect(of(roots)).toEqual(of(captures));
  });

  test.each(fixtures)("in memory: $name", ({ core }) => {
    const image = openImage(core);
    const { handover } = decodeHandover(image);
    const page = image.memory.read(handover.handoff.fdtPa, handover.pageSize);
    const fdt = readFdt(page);
    const { mapPa } = decoded(fdt, handover.release);
    const kernel = kernelOf(handover.release);
    // As the whole handover has them, sizes where the release records them and where it does not.
    const root = { mapPa, subtrees: handover.subtrees };
    const written = encodeRoot(kernel, root, { byteOrder: "little", pageSize: handover.pageSize });
    expect(written).toEqual(page.subarray(0, fdt.header.totalsize));
  });
});

describe("subtrees come and go", () => {
  const kernel = kernelOf("7.3");
  const full = encodeRoot(kernel, { mapPa: pa(0x1000), subtrees: [luo, metadata] }, abi);
  const names = (blob: Uint8Array) => readFdt(blob).root.children.map(({ name }) => name);

  it("the newest is first", () => {
    const other = addSubtreeTo(kernel, full, { name: "x", pa: pa(0x5000), size: 1n }, abi);
    expect(names(other)).toEqual(["x", "LUO", "kexec-metadata"]);
    expect(removeSubtreeFrom(other, "x")).toEqual(full);
    expect(names(removeSubtreeFrom(other, "LUO"))).toEqual(["x", "kexec-metadata"]);
  });

  it("their names stay in the strings", () => {
    const empty = emptyRoot(kernel, pa(0x1000), abi);
    const emptied = removeSubtreeFrom(addSubtreeTo(kernel, empty, luo, abi), "LUO");
    expect(names(emptied)).toEqual([]);
    // 8 bytes less of padding.
    expect(emptied.length).toBe(empty.length - 8 + "preserved-data\0blob-size\0".length);
    expect(addSubtreeTo(kernel, addSubtreeTo(kernel, emptied, metadata, abi), luo, abi)).toEqual(full);
  });

  it("a name is there once, and only what is there can go", () => {
    expect(() => addSubtreeTo(kernel, full, { ...luo, pa: pa(0x7000) }, abi)).toThrow(failing("fdt-exists"));
    expect(() => removeSubtreeFrom(full, "memblock")).toThrow(failing("fdt-missing"));
    const twice = { mapPa: pa(0), subtrees: [luo, luo] };
    expect(() => encodeRoot(kernel, twice, abi)).toThrow(failing("fdt-exists"));
  });

  it("of two names that a lookup confuses, the one that is meant goes", () => {
    const unit = { ...luo, name: "LUO@1" };
    const both = addSubtreeTo(kernel, full, unit, abi);
    expect(names(removeSubtreeFrom(both, "LUO"))).toEqual(["LUO@1", "kexec-metadata"]);
  });

  it("a size is needed where it is recorded", () => {
    const { size: _, ...unsized } = luo;
    expect(() => addSubtreeTo(kernel, full, unsized, abi)).toThrow(failing("value-range"));
    const old = kernelOf("7.0");
    expect(() => addSubtreeTo(old, emptyRoot(old, pa(0), abi), unsized, abi)).not.toThrow();
  });
});

describe("a full page", () => {
  const subtrees = Array.from({ length: 200 }, (_, i) => ({ name: `s${i}`, pa: pa(i), size: 1n }));

  test.each(kernels.map(({ release }) => release))("%s", (release) => {
    const kernel = kernelOf(release);
    const rootOf = (count: number) =>
      encodeRoot(kernel, { mapPa: pa(0), subtrees: subtrees.slice(0, count) }, abi);
    let [most, tooMany] = [0, subtrees.length];
    while (tooMany - most > 1) {
      const middle = (most + tooMany) >> 1;
      if (fits(() => rootOf(middle))) most = middle;
      else tooMany = middle;
    }
    expect(most).toBeGreaterThan(50);
    expect(most).toBeLessThan(subtrees.length);
    expect(rootOf(most).length).toBeLessThanOrEqual(4096);
    expect(() => rootOf(most + 1)).toThrow(failing("fdt-no-space"));
    // A larger page takes more.
    expect(encodeRoot(kernel, { mapPa: pa(0), subtrees }, abiOf(16384)).length).toBeGreaterThan(4096);
  });

  it("keeps what was added until then, as long as its editor is asked", () => {
    const kernel = kernelOf("7.3");
    const wide = { ...luo, name: "n".repeat(60) };
    const empty = emptyRoot(kernel, pa(0), abi);
    // Room for the node and its address.
    const editor = openFdt(empty, empty.length + 4 + 64 + 4 + 20 + "preserved-data\0".length);
    expect(() => addSubtree(kernel, editor, wide, abi)).toThrow(failing("fdt-no-space"));
    const [node] = readFdt(editor.pack()).root.children;
    expect(node!.properties.map(({ name }) => name)).toEqual(["preserved-data"]);
  });

  function fits(call: () => void): boolean {
    try {
      call();
      return true;
    } catch {
      return false;
    }
  }
});

it("any root that is written is read back", () => {
  const address = fc.bigInt(0n, 2n ** 64n - 1n).map((value) => value as SubtreeRef["pa"]);
  const subtree = fc.record({
    name: fc.string({ minLength: 1, maxLength: 20 }).filter((name) => !/[\0@]/.test(name)),
    pa: address,
    size: fc.bigInt(0n, 2n ** 64n - 1n),
  });
  const subtrees = fc.uniqueArray(subtree, { maxLength: 12, selector: ({ name }) => name });
  const byteOrder = fc.constantFrom("little" as const, "big" as const);
  fc.assert(
    fc.property(fc.constantFrom(...kernels), address, subtrees, byteOrder, (kernel, mapPa, list, order) => {
      const written = encodeRoot(kernel, { mapPa, subtrees: list }, { byteOrder: order, pageSize: 4096 });
      const { ctx, findings } = contextOf(new Ram(), kernel.release);
      const root = decodeRoot({ ...ctx, abi: { ...ctx.abi, byteOrder: order } }, readFdt(written), pa(0));
      expect(findings.filter(({ code }) => code !== "map-missing")).toEqual([]);
      const form = rootForms[kernel.kho];
      expect(root).toEqual({
        compatible: kernel.kho,
        form,
        mapPa,
        subtrees: list.map(({ size, ...ref }) => (form.size === undefined ? ref : { ...ref, size })),
      });
      expect(readFdt(written).header.off_mem_rsvmap).toBe(
        isAtLeast(kernel, "6.19") && list.length > 0 ? 0x28 : 0x30,
      );
    }),
  );
});
