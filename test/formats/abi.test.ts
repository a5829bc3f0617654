import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { kernelOf } from "../../formats/kernels.js";
import { layoutsOf } from "../../formats/registry.js";
import { type Abi, resolve } from "../../src/layout/index.js";

/** What a kernel's own debug data says of its structures. */
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
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly bitOffset?: number;
  readonly bitSize?: number;
}

const folder = new URL("../../fixtures/abi/", import.meta.url);
const files = readdirSync(folder).map((file) => ({
  file,
  ...(JSON.parse(readFileSync(new URL(file, folder), "utf8")) as AbiFile),
}));

describe.each(files)("$file", ({ kernelRelease, arch, pageSize, missing, structs }) => {
  const abi: Abi = { byteOrder: "little", pageSize };
  // setup_data is x86's way to hand over; arm64 kernels do not have these structures.
  const elsewhere = (name: string) => arch !== "x86_64" && ["setup_data", "kho_data"].includes(name);
  const layouts = layoutsOf(kernelOf(kernelRelease)).filter(({ name }) => !elsewhere(name));

  it.each(layouts.map((layout) => [layout.name, layout] as const))("struct %s", (name, layout) => {
    expect(missing).not.toContain(name);
    const { members, size } = resolve(layout, abi);
    const ours = members.map((member) => ({
      name: member.name,
      bit: member.offset * 8 + (member.shift ?? 0),
      bits: member.layout.kind === "bits" ? member.layout.width : member.size * 8,
    }));
    const theirs = structs[name]!.members.map(({ name: field, offset, size: bytes, bitOffset, bitSize }) => ({
      name: field,
      bit: bitOffset ?? offset * 8,
      bits: bitSize ?? bytes * 8,
    }));
    expect({ size, members: ours }).toEqual({ size: structs[name]!.size, members: theirs });
  });

  it("has no handed-over structure that is not described", () => {
    // Unions and globals of the kernel itself, user-space calls, and the page tables of the IOMMU are not handed over.
    const others =
      /^(liveupdate_|boot_e820_entry$|kho_page_info$|kho_radix_tree$|kho_mem_phys$|root_entry$|context_entry$|dev_table_entry$|dma_pte$)/;
    const known = new Set(layouts.map(({ name }) => name));
    expect(
      Object.keys(structs).filter((name) => !known.has(name) && !others.test(name) && !elsewhere(name)),
    ).toEqual([]);
  });
});
