import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { pagesOf } from "../../formats/memfd/folios.js";
import type { Memfd } from "../../formats/memfd/memfd.js";
import { decodeHandover, kernelOf, memfdContent, openImage, parseMeta } from "../../src/index.js";
import { expectedContent, fixtures } from "./truth.js";

/** Page of the file -> PFN, for the pages below the file's size. */
function pageMap(memfd: Memfd, pageSize: number): Map<number, number> {
  const map = new Map<number, number>();
  const pages = Math.ceil(Number(memfd.size) / pageSize);
  for (let run = 0; run < memfd.folios.length; run++)
    for (let i = 0; i < pagesOf(memfd.folios, run); i++) {
      const page = memfd.folios.index[run]! + i;
      if (page < pages) map.set(page, memfd.folios.pfn[run]! + i);
    }
  return map;
}

function content(memory: Parameters<typeof memfdContent>[0], memfd: Memfd, pageSize: number): Uint8Array {
  const bytes = new Uint8Array(Number(memfd.size));
  for (const piece of memfdContent(memory, memfd, pageSize))
    if (piece.kind === "data") bytes.set(piece.bytes, piece.offset);
  return bytes;
}

describe.each(fixtures)("$name", ({ core, meta, truth, folder }) => {
  const image = openImage(core);
  const { handover, findings } = decodeHandover(image);
  const side = parseMeta(meta);

  it("is read without findings, and alike with its side file", () => {
    expect(findings).toEqual([]);
    const named = decodeHandover(image, { meta: side });
    expect(named.findings).toEqual([]);
    expect(named.handover.releaseGuessed).toBe(false);
    expect(named.handover.release).toBe(handover.release);
    expect(named.handover.luo?.sessions.length).toBe(handover.luo?.sessions.length);
    expect(named.handover.preserved?.runs).toEqual(handover.preserved?.runs);
  });

  it("is recognised: release, page size, architecture, root, scratch areas", () => {
    expect(handover.release).toBe(kernelOf(truth.kernelRelease).release);
    expect(handover.pageSize).toBe(side.pageSize);
    expect(handover.arch).toBe(side.arch);
    expect(handover.handoff.fdtPa).toBe(side.fdtPhys);
    const { scratch } = decodeHandover(image, { meta: side }).handover;
    expect(scratch).toEqual(truth.scratchAreas.map(([pa, size]) => ({ pa: BigInt(pa), size: BigInt(size) })));
  });

  it("has the sessions and files, with size, position and seals", () => {
    const wanted = (truth.sessions ?? []).map(({ name, files }) => ({
      name,
      files: files.map(({ token, size, pos, observedBefore }) => ({
        token: BigInt(token),
        size: BigInt(size),
        pos: BigInt(pos),
        seals: Number(observedBefore.seals),
      })),
    }));
    const found = (handover.luo?.sessions ?? []).map(({ name, files }) => ({
      name,
      files: files.map(({ token, memfd }) => ({
        token,
        size: memfd?.size,
        pos: memfd?.pos,
        seals: memfd?.seals,
      })),
    }));
    expect(found).toEqual(wanted);
  });

  it("has every page of every file where the previous kernel had it", () => {
    for (const [s, session] of (truth.sessions ?? []).entries())
      for (const [f, file] of session.files.entries()) {
        const wanted = new Map<number, number>();
        for (const [page, pfn, count] of file.pageRuns)
          for (let i = 0; i < count; i++) wanted.set(page + i, pfn + i);
        expect(pageMap(handover.luo!.sessions[s]!.files[f]!.memfd!, handover.pageSize)).toEqual(wanted);
      }
  });

  it("has the contents that were written", () => {
    for (const [s, session] of (truth.sessions ?? []).entries())
      for (const [f, file] of session.files.entries()) {
        const bytes = content(image.memory, handover.luo!.sessions[s]!.files[f]!.memfd!, handover.pageSize);
        expect(
          Buffer.compare(bytes, expectedContent(file, handover.pageSize)),
          `${session.name} ${file.token}`,
        ).toBe(0);
      }
  });

  it("has the reserve_mem regions, the kexec count and the FLBs", () => {
    const regions = Object.entries(truth.reserveMem ?? {}).map(([name, { start, size }]) => ({
      name,
      start: BigInt(start),
      size: BigInt(size),
    }));
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    expect([...handover.reserveMem].sort(byName)).toEqual(regions.sort(byName));
    const kernel = kernelOf(truth.kernelRelease);
    expect(handover.kexecMetadata).toEqual(
      kernel.metadata === undefined
        ? undefined
        : { version: 1, previousRelease: truth.kernelRelease, kexecCount: truth.kexecs },
    );
    // The in-kernel test registers three FLBs with the memfd handler; each counts the files.
    const files = (truth.sessions ?? []).reduce((sum, session) => sum + session.files.length, 0);
    const flbs = (handover.luo?.flbs ?? []).map(({ name, data, count }) => ({ name, data, count }));
    expect(flbs).toEqual(
      kernel.flb
        ? [0n, 1n, 2n].map((i) => ({
            name: `liveupdate-test-flb-v${i}`,
            data: 0xfeedf00dcafebee0n + i,
            count: BigInt(files),
          }))
        : [],
    );
    if (truth.scenario === "resmem") expect(handover.khoTest?.checksum).toBe("right");
  });

  it("has the blobs that the receiving kernel showed in debugfs", () => {
    for (const file of readdirSync(`${folder}/fdt`)) {
      const name = /^second-in-sub_fdts-(.+)\.(dtb|bin)$/.exec(file)?.[1];
      // From 7.2 on the kernel has freed the page of LUO's root by the time it is read.
      if (name === undefined || (name === "LUO" && kernelOf(truth.kernelRelease).luo === "luo-v5")) continue;
      const blob = handover.subtrees.find((subtree) => subtree.name === name)?.blob;
      const bytes = readFileSync(`${folder}/fdt/${file}`);
      expect(blob?.subarray(0, bytes.length)).toEqual(new Uint8Array(bytes));
    }
  });
});
