import { describe, expect, it } from "vitest";
import { sessionsPath } from "../../formats/paths.js";
import { encodeHandover } from "../../src/handover/encode.js";
import {
  type Decoded,
  type DecodeOptions,
  decodeHandover,
  type Handover,
  parseMeta,
} from "../../src/handover/index.js";
import { placedAs, placedBy } from "../../src/handover/placement.js";
import type { Image } from "../../src/image/image.js";
import { openImage } from "../../src/image/node.js";
import { physAddr } from "../../src/memory/index.js";
import { fixtures } from "../conformance/truth.js";
import { failure } from "../layout/support.js";
import { accountOf, differences, expectEqual, rewritten } from "./roundtrip.js";
import { faultsOf } from "./synthetic/compare.js";
import { everything, folios, scratch } from "./synthetic/plans.js";
import { developmentForms, type Form, formOf, releases } from "./synthetic/releases.js";
import { type Plan, write } from "./synthetic/writer.js";

const pageSizes = [4096, 16384, 65536];

/** A plan without what no kernel writes and no encoder can: entries of folio lists that readers skip. */
function plain(plan: Plan): Plan {
  return {
    ...plan,
    ...(plan.sessions && {
      sessions: plan.sessions.map((session) => ({
        ...session,
        files: session.files.map((file) => ({
          ...file,
          ...(file.memfd && {
            memfd: { ...file.memfd, folios: file.memfd.folios.filter(({ hole }) => !hole) },
          }),
        })),
      })),
    }),
  };
}

/** Decodes what the independent writer wrote, encodes it where it was, and expects the same bytes and the same handover. */
function expectRoundTrip(plan: Plan, options: DecodeOptions): void {
  const image = openImage(write(plan).core());
  const { handover, structures } = decodeHandover(image, options);
  const encoded = encodeHandover(handover, placedAs(structures));
  expect(differences(encoded, image.memory)).toEqual([]);
  accountOf(encoded, structures, plan.pageSize);
  const again = decodeHandover(rewritten(image, structures, encoded, plan.pageSize), options);
  expectEqual(again.handover, handover);
  expectEqual(again.structures, structures);
}

describe.each(releases)("everything that $label has", (form) => {
  it.each(pageSizes)("comes out byte for byte, with pages of %i bytes", (pageSize) => {
    expectRoundTrip(plain(everything(form, pageSize)), { release: form.release });
  });
  it("and so does nothing", () => {
    expectRoundTrip({ form, pageSize: 4096, handoff: "setup_data", scratch }, { release: form.release });
  });
  it("and a memory map of more than a chunk of bitmaps", () => {
    const stray = Array.from({ length: 300 }, (_, i) => ({ pfn: 2 ** 21 + i * 2 ** 15 + i, order: 0 }));
    const plan = { form, pageSize: 4096, handoff: "setup_data", scratch, stray } as const;
    expectRoundTrip(plan, { release: form.release });
  });
});

describe.each(developmentForms)("everything of a development kernel, $label", (form) => {
  it.each(pageSizes.filter((size) => size !== 16384 || form.map !== "radix-early"))(
    "comes out byte for byte, with pages of %i bytes",
    (pageSize) => {
      expectRoundTrip(plain(everything(form, pageSize)), { release: form.release, mode: "forensic" });
    },
  );
});

describe("lists at the border of a page, with pages of 4 KiB", () => {
  const files = (count: number, size: number) =>
    Array.from({ length: count }, (_, i) => ({
      token: BigInt(i),
      memfd: { size: BigInt(4096 * size), folios: folios(new Array(size).fill(0)) },
    }));
  it.each([50, 51, 52, 102, 103])("%i sessions in blocks", (count) => {
    const sessions = Array.from({ length: count }, (_, i) => ({ name: `s${i}`, files: [] }));
    const plan = { form: formOf("7.3"), pageSize: 4096, handoff: "setup_data", scratch, sessions } as const;
    expectRoundTrip(plan as Plan, { release: "7.3" });
  });
  it.each([62, 63, 64, 126])("%i files in blocks", (count) => {
    const sessions = [{ name: "s", files: files(count, 1) }];
    const plan = { form: formOf("7.3"), pageSize: 4096, handoff: "setup_data", scratch, sessions } as const;
    expectRoundTrip(plan as Plan, { release: "7.3" });
  });
  // 256 entries a page, 511 pages a chunk: the last of these fills a chunk to the end.
  it.each([255, 256, 257, 256 * 511])("a file of %i folios", (count) => {
    const sessions = [{ name: "s", files: files(1, count) }];
    const plan = { form: formOf("7.3"), pageSize: 4096, handoff: "setup_data", scratch, sessions } as const;
    expectRoundTrip(plan as Plan, { release: "7.3" });
  });
});

/** A handover without where its structures are: the rest must not change when they move. */
function contentsOf({ handover }: Pick<Decoded, "handover">): unknown {
  const { luo, subtrees, preserved: _, handoff, ...rest } = handover;
  return {
    ...rest,
    handoff: { ...handoff, recordPa: 0n, fdtPa: 0n, scratchPa: 0n, foundBy: "" },
    subtrees: subtrees.map(({ name, size, kind }) => ({ name, size, kind })),
    luo: luo && {
      ...luo,
      sessions: luo.sessions.map(({ files, name, systemd }) => ({
        name,
        systemd,
        files: files.map(({ pa, data, memfd, ...file }) => ({ ...file, memfd, data: memfd ? 0n : data })),
      })),
      flbs: luo.flbs.map(({ pa, ...flb }) => flb),
    },
  };
}

/** Everything preserved that is no structure, as `order:pfn` of each block. */
function dataBlocks({ handover, structures }: Decoded): string[] {
  const { runs } = handover.preserved!;
  const taken = structures
    .filter(({ keeping, path }) => keeping !== "not-preserved" && path !== "kho_test.folios")
    .map(({ pa, pages }) => ({ from: Number(pa) / handover.pageSize, pages }));
  const blocks: string[] = [];
  for (let i = 0; i < runs.length; i++)
    for (let k = 0; k < runs.count[i]!; k++) {
      const pages = 2 ** runs.order[i]!;
      const pfn = runs.pfn[i]! + k * pages;
      if (!taken.some((part) => part.from < pfn + pages && pfn < part.from + part.pages))
        blocks.push(`${runs.order[i]}:${pfn}`);
    }
  return blocks;
}

/** Encodes at new addresses, and expects that decoding finds the same there. */
function expectMoved(image: Image, decoded: Decoded, options: DecodeOptions): void {
  const { handover, structures } = decoded;
  const { pageSize } = handover;
  let next = 0x7_0000_0000n;
  const given: string[] = [];
  const placement = placedBy((order, path) => {
    const size = BigInt(pageSize * 2 ** order);
    const pa = ((next + size - 1n) / size) * size;
    next = pa + size;
    given.push(path);
    return physAddr(pa);
  }, structures);
  const encoded = encodeHandover(handover, placement);
  accountOf(encoded, [], pageSize);
  const moved = rewritten(image, structures, encoded, pageSize);
  const { recordPa, fdtPa, fdtSize, scratchPa, scratchSize } = encoded.handoff;
  const meta = {
    fdtPhys: fdtPa,
    fdtSize,
    scratchPhys: scratchPa,
    scratchSize,
    ...(recordPa && { setupDataPhys: recordPa }),
  };
  const again = decodeHandover(moved, {
    ...options,
    meta: { ...options.meta, setupDataHead: recordPa, ...meta },
  });
  expect(faultsOf(again)).toEqual(faultsOf(decoded));
  expectEqual(contentsOf(again), contentsOf(decoded));
  expect(dataBlocks(again)).toEqual(dataBlocks(decoded));
  for (const { pa, path, keeping } of again.structures)
    if (path !== "kho_test.folios") expect(pa, `${path} ${keeping}`).toBeGreaterThanOrEqual(0x7_0000_0000n);
  expect(given).toContain("root");
}

describe("at new addresses", () => {
  it.each(fixtures)("$name is the same but for them", ({ core, meta: text }) => {
    const image = openImage(core);
    const meta = parseMeta(text);
    expectMoved(image, decodeHandover(image, { meta }), { meta });
  });
  it.each(
    releases.flatMap((form): [string, number, Form][] => pageSizes.map((size) => [form.label, size, form])),
  )("everything that %s has is, with pages of %i bytes", (_, pageSize, form) => {
    const image = openImage(write(plain(everything(form, pageSize))).core());
    const options: DecodeOptions = { release: form.release, pageSize };
    expectMoved(image, decodeHandover(image, options), options);
  });
});

describe("what changed since it was decoded", () => {
  const image = openImage(write(plain(everything(formOf("7.3"), 4096))).core());
  const { handover, structures } = decodeHandover(image, { release: "7.3" });
  const placement = placedAs(structures);
  const luo = handover.luo!;

  it("is written where it was, if it needs no other place", () => {
    const [session, ...others] = luo.sessions;
    const changed: Handover = {
      ...handover,
      luo: { ...luo, liveupdateNumber: 77n, sessions: [{ ...session!, name: "other" }, ...others] },
    };
    const encoded = encodeHandover(changed, placement);
    const again = decodeHandover(rewritten(image, structures, encoded, 4096), { release: "7.3" });
    expect(again.handover.luo).toEqual(changed.luo);
  });

  const file = luo.sessions[0]!.files.find(({ memfd }) => memfd && memfd.nrFolios > 1n)!;
  const withFile = (changed: object): Handover => ({
    ...handover,
    luo: {
      ...luo,
      sessions: [{ ...luo.sessions[0]!, files: [{ ...file, ...changed }] }, ...luo.sessions.slice(1)],
    },
  });
  const faults: [string, Handover, object][] = [
    [
      "another session",
      {
        ...handover,
        luo: {
          ...luo,
          sessions: [...luo.sessions, ...Array.from({ length: 50 }, () => luo.sessions.at(-1)!)],
        },
      },
      { code: "not-found", path: `${sessionsPath}.blocks[2]` },
    ],
    [
      "fewer sessions",
      { ...handover, luo: { ...luo, sessions: luo.sessions.slice(0, 51) } },
      { code: "value-range", path: `${sessionsPath}.blocks[1]` },
    ],
    [
      "another order of sessions",
      { ...handover, luo: { ...luo, sessions: luo.sessions.toReversed() } },
      { code: "value-range" },
    ],
    [
      "a name that is too long",
      {
        ...handover,
        luo: { ...luo, sessions: [{ ...luo.sessions[0]!, name: "x".repeat(65) }, ...luo.sessions.slice(1)] },
      },
      { code: "value-range", path: "luo.sessions[0].name" },
    ],
    [
      "more entries than folios",
      withFile({ memfd: { ...file.memfd!, nrFolios: file.memfd!.nrFolios + 1n } }),
      { code: "value-range", path: "luo.sessions[0].files[0].memfd.folios" },
    ],
    [
      "a memfd of nothing known",
      withFile({ memfd: undefined }),
      { code: "not-found", path: "luo.sessions[0].files[0].memfd" },
    ],
    [
      "seals that memfd-v1 does not carry",
      withFile({ compatible: "memfd-v1" }),
      { code: "value-range", path: "luo.sessions[0].files[0].memfd.seals" },
    ],
    [
      "a version of live update that there is not",
      { ...handover, luo: { ...luo, compatible: "luo-v9" } },
      { code: "value-range", path: "luo.compatible" },
    ],
    [
      "a root of a version that there is not",
      { ...handover, compatible: "kho-v9" },
      { code: "value-range", path: "compatible" },
    ],
    [
      "a subtree without its blob",
      {
        ...handover,
        subtrees: handover.subtrees.map(({ blob, ...rest }) =>
          rest.name === "vendor,data" ? rest : { ...rest, blob: blob! },
        ),
      },
      { code: "not-found", path: "subtrees.vendor,data" },
    ],
    [
      "no memory map",
      (({ preserved: _, ...rest }) => rest)(handover),
      { code: "not-found", path: "preserved" },
    ],
    [
      "scratch areas that the hand-off does not count",
      { ...handover, scratch: handover.scratch.slice(1) },
      { code: "value-range", path: "scratch" },
    ],
  ];
  it.each(faults)("%s is refused", (_, changed, expected) => {
    expect(failure(() => encodeHandover(changed, placement))).toMatchObject(expected);
  });
});

it("entries that readers skip cannot be written", () => {
  const image = openImage(write(everything(formOf("7.3"), 4096)).core());
  const { handover, structures } = decodeHandover(image, { release: "7.3" });
  expect(failure(() => encodeHandover(handover, placedAs(structures)))).toMatchObject({
    code: "value-range",
    path: "luo.sessions[0].files[3].memfd.folios",
    expected: "7",
    actual: "8",
  });
});

it("blocks that are not full cannot be written", () => {
  const sessions = Array.from({ length: 52 }, (_, i) => ({ name: `s${i}`, files: [] }));
  const plan: Plan = {
    form: formOf("7.3"),
    pageSize: 4096,
    handoff: "setup_data",
    scratch,
    sessions,
    perBlock: 50,
  };
  const { handover, structures } = decodeHandover(openImage(write(plan).core()), { release: "7.3" });
  expect(failure(() => encodeHandover(handover, placedAs(structures)))).toMatchObject({
    code: "value-range",
    path: "luo.sessions[50]",
  });
});

it("structures whose place nothing tells cannot be placed as they are", () => {
  const image = openImage(fixtures.find(({ name }) => name === "7.3-memfd")!.core);
  const { handover } = decodeHandover(image);
  expect(failure(() => encodeHandover(handover, placedAs([]))).code).toBe("not-found");
});
