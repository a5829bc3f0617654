import { describe, expect, it } from "vitest";
import { khoTestFoliosPath } from "../../formats/paths.js";
import { encodeHandover } from "../../src/handover/encode.js";
import { decodeHandover, type Packed, packHandover } from "../../src/handover/index.js";
import { placedAs } from "../../src/handover/placement.js";
import { type CoreOptions, elfCoreBytes } from "../../src/image/elf-write.js";
import type { Image } from "../../src/image/image.js";
import { openImage } from "../../src/image/node.js";
import { toJson } from "../../src/interchange.js";
import { type PhysAddr, physAddr, segmentedMemory, storedBytes } from "../../src/memory/index.js";
import { bytesSource } from "../../src/memory/source.js";
import { fixtures } from "../conformance/truth.js";
import { thrown } from "../image/expect.js";
import { everything } from "./synthetic/plans.js";
import { developmentForms, releases } from "./synthetic/releases.js";
import { type Plan, write } from "./synthetic/writer.js";

const decoded = (image: Image, release?: string) =>
  decodeHandover(image, { mode: "forensic", ...(release && { release }) });
/** Everything that is decoded of an image, but how the root was found. */
const readingOf = (image: Image): string => toJson(decoded(image)).replace(/"foundBy": ".*"/, "");

const pack = (image: Image, data: boolean): Packed => packHandover(image, decoded(image), { data });
const coreOf = ({ memory }: Packed, image: Image, more: Partial<CoreOptions> = {}): Uint8Array =>
  elfCoreBytes(memory, {
    ranges: memory.ranges,
    ...(image.arch && { arch: image.arch }),
    zeros: "omit",
    ...more,
  });

/** The image with other bytes at some addresses. */
function altered(image: Image, patches: readonly { pa: bigint; bytes: Uint8Array }[]): Image {
  const over = patches.map(({ pa, bytes }) => ({
    pa: physAddr(pa),
    size: BigInt(bytes.length),
    source: bytesSource(bytes),
    at: 0,
  }));
  const under = image.memory.ranges.map(({ pa, size }) => ({
    pa,
    size,
    source: bytesSource(image.memory.read(pa, Number(size))),
    at: 0,
  }));
  return { ...image, memory: segmentedMemory([...over, ...under]).memory };
}

describe.each(fixtures)("$name", ({ core }) => {
  const image = openImage(core);
  const reading = readingOf(image);
  const { handover, structures } = decoded(image);

  it("every structure of it is written as it was", () => {
    for (const data of [false, true]) {
      const { findings, structures } = pack(image, data);
      expect(findings).toEqual([]);
      expect(structures.asFound).toBe(0);
    }
  });

  it("decodes to the same when it is packed with its data", () => {
    for (const zeros of ["omit", "store"] as const) {
      const small = openImage(coreOf(pack(image, true), image, { zeros }));
      expect(readingOf(small)).toBe(reading);
    }
  });

  it("decodes to the same without, but for what the data decide", () => {
    const packed = pack(image, false);
    expect(packed.contents).toBe(0n);
    const small = openImage(coreOf(packed, image));
    const withoutData = (text: string): string => text.replace(/"checksum": ".*"/, "");
    expect(withoutData(readingOf(small))).toBe(withoutData(reading));
    for (const { pa, pages, path } of structures)
      expect(small.memory.has(pa, pages * handover.pageSize), path).toBe(path !== khoTestFoliosPath);
    for (const { files } of handover.luo?.sessions ?? [])
      for (const { memfd } of files)
        for (const frame of memfd?.folios.pfn ?? [])
          expect(small.memory.has(physAddr(BigInt(frame) * BigInt(handover.pageSize)), 1)).toBe(false);
  });

  it("is packed to the same bytes each time, and again when it was packed", () => {
    for (const data of [false, true]) {
      const once = coreOf(pack(image, data), image);
      expect(Buffer.compare(coreOf(pack(image, data), image), once)).toBe(0);
      const small = openImage(once);
      expect(Buffer.compare(coreOf(pack(small, data), small), once)).toBe(0);
      expect(storedBytes(small.memory)).toBeLessThan(storedBytes(image.memory));
    }
  });

  it("has nothing in it that no kernel defines", () => {
    const meaningless = encodeHandover(handover, placedAs(structures)).undefined;
    const poisoned = altered(
      image,
      meaningless.map(({ pa, length }) => ({ pa, bytes: new Uint8Array(length).fill(0xa5) })),
    );
    const [clean, other] = [pack(image, false), pack(poisoned, false)];
    expect(other.findings).toEqual([]);
    expect(other.undefined).toEqual(clean.undefined);
    expect(Buffer.compare(coreOf(other, image), coreOf(clean, image))).toBe(0);
  });
});

/** A plan whose folio lists have no entries that readers skip: kernels write none. */
const withoutHoles = (plan: Plan): Plan => ({
  ...plan,
  sessions: (plan.sessions ?? []).map((session) => ({
    ...session,
    files: session.files.map(({ memfd, ...file }) => ({
      ...file,
      ...(memfd && { memfd: { ...memfd, folios: memfd.folios.filter(({ hole }) => !hole) } }),
    })),
  })),
});

/** Every way to be found, each with a page size that has it. */
const handoffs: Record<number, Plan["handoff"]> = {
  4096: "setup_data",
  16384: { cells: [2, 1] },
  65536: "nothing",
};

describe.each([...releases, ...developmentForms])("a handover of $label", (form) => {
  const sizes = form.map === "radix-early" ? [4096, 65536] : [4096, 16384, 65536];
  it.each(sizes)("decodes to the same when it is packed, with pages of %i bytes", (pageSize) => {
    const plan = withoutHoles({ ...everything(form, pageSize), handoff: handoffs[pageSize]! });
    const image = openImage(write(plan).core());
    const packed = packHandover(image, decoded(image, form.release), { data: true });
    expect(packed.findings).toEqual([]);
    const small = openImage(coreOf(packed, image));
    expect(readingOf(small)).toBe(readingOf(image));
    const again = packHandover(small, decoded(small, form.release), { data: true });
    expect(Buffer.compare(coreOf(again, small), coreOf(packed, image))).toBe(0);
  });
});

describe("what cannot be written as it is", () => {
  const named = (name: string) => openImage(fixtures.find((fixture) => fixture.name === name)!.core);
  const image = named("7.3-memfd");
  const { handover, structures } = decoded(image);
  const at = (path: string) => structures.find((claim) => claim.path === path)!.pa;

  /** Packs, and expects the same reading of what is packed. */
  function packAltered(patches: readonly { pa: bigint; bytes: Uint8Array }[]): Packed {
    const other = altered(image, patches);
    const packed = pack(other, true);
    const small = openImage(coreOf(packed, other));
    expect(readingOf(small)).toBe(readingOf(other));
    expect(Buffer.compare(coreOf(pack(small, true), small), coreOf(packed, other))).toBe(0);
    return packed;
  }

  it("is packed page by page as the image has it, where writing gives other bytes", () => {
    // Bytes behind the NUL of a name mean nothing to readers, but kernels write zeros there.
    const session = handover.luo!.sessions.find(({ name }) => name === "one")!;
    const pa = session.pa + 10n;
    const packed = packAltered([{ pa, bytes: Uint8Array.of(7, 8) }]);
    expect(packed.structures.asFound).toBe(4096);
    expect(packed.findings).toMatchObject([
      {
        severity: "warning",
        code: "not-reproduced",
        pa,
        expected: expect.stringMatching(/^07 08 00 /),
        actual: expect.stringMatching(/^00 00 00 /),
      },
    ]);
    expect(packed.memory.read(physAddr(pa), 2)).toEqual(Uint8Array.of(7, 8));
  });

  it("leaves the rest alone, where a part cannot be written at all", () => {
    // A hole in a folio list, which readers skip.
    const [folios] = structures.filter(({ path }) => path === "luo.sessions[3].files[2].memfd.folios");
    const packed = packAltered([{ pa: folios!.pa, bytes: new Uint8Array(16) }]);
    expect(packed.findings).toMatchObject([
      { severity: "warning", code: "not-reproduced", path: expect.stringMatching(/folios/) },
    ]);
    expect(packed.findings[0]!.message).toContain("live-update state is packed as it is");
    expect(packed.structures.asFound).toBeGreaterThan(0);
    expect(packed.structures.asFound).toBeLessThan(packed.structures.size);
    expect(packed.undefined.map(({ what }) => what)).toContain("boot-neighbours");
  });

  /** The image without the page at an address. */
  function lacking(gone: PhysAddr): Image {
    const ranges = image.memory.ranges.flatMap(({ pa, size }) =>
      gone < pa || gone >= pa + size
        ? [{ pa, size }]
        : [
            { pa, size: gone - pa },
            { pa: physAddr(gone + 4096n), size: pa + size - gone - 4096n },
          ],
    );
    const segments = ranges.map(({ pa, size }) => ({
      pa,
      size,
      at: 0,
      source: bytesSource(image.memory.read(pa, Number(size))),
    }));
    return { ...image, memory: segmentedMemory(segments).memory };
  }

  it("without a memory map is all as the image has it", () => {
    const other = lacking(handover.preserved!.rootPa);
    const packed = pack(other, true);
    expect(packed.structures.asFound).toBe(packed.structures.size);
    expect(packed.findings).toHaveLength(1);
    expect(packed.findings[0]!.message).toContain("all is packed as it is");
    expect(readingOf(openImage(coreOf(packed, other)))).toBe(readingOf(other));
  });

  it("memory that the image lacks is lacking still", () => {
    const gone = at("luo.flbs");
    const other = lacking(gone);
    const packed = pack(other, true);
    expect(packed.memory.has(gone, 1)).toBe(false);
    expect(readingOf(openImage(coreOf(packed, other)))).toBe(readingOf(other));
  });

  it("has to be memory", () => {
    const tree: Image = { kind: "fdt", memory: segmentedMemory([]).memory, findings: [] };
    thrown(() => packHandover(tree, decoded(image)), "usage");
  });
});
