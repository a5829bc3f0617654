import { describe, expect, it } from "vitest";
import { KhoError, type Memory } from "../../src/index.js";
import { load, names } from "./captures.js";
import { endure } from "./endure.js";
import { spansOf } from "./targets.js";

describe.each(names)("%s", (name) => {
  const capture = load(name);
  const { memory, image } = capture;
  const spans = spansOf(capture);
  const frames = [...memory.pages.keys()].sort((a, b) => a - b);

  it("survives memory that ends at any page", () => {
    for (let kept = frames.length - 1; kept >= 0; kept--) {
      memory.drop(BigInt(frames[kept]!) * 4096n);
      endure(capture, `the first ${kept} pages`);
    }
    memory.restore();
  });

  it("reports any single page that is missing, unless nothing in it is used", () => {
    const used = new Set(spans.map(({ pa }) => Number(pa / 4096n)));
    for (const frame of used) {
      memory.drop(BigInt(frame) * 4096n);
      const { findings, error } = endure(capture, `without frame ${frame}`);
      expect(
        error !== undefined || findings.some(({ code }) => code === "memory-absent"),
        `frame ${frame}`,
      ).toBe(true);
      memory.restore();
    }
  });

  it("survives memory that ends at, in and around every record", () => {
    const full = image.memory;
    for (const { path, pa, length } of spans) {
      // The first records of a list, and one now and then.
      const record = Number(/#(\d+)$/.exec(path)?.[1] ?? 0);
      if (record > 2 && record % 50 !== 0) continue;
      for (const end of [pa, pa + 1n, pa + 8n, pa + BigInt(length) - 1n, pa + BigInt(length)]) {
        // Only the page that is cut: what lies above it stays.
        const page = end - (end % 4096n);
        const isCut = (at: bigint, count: number): boolean => at < page + 4096n && at + BigInt(count) > end;
        const cut: Memory = {
          ranges: full.ranges,
          has: (at, count) => full.has(at, count) && !isCut(at, count),
          read(at, count) {
            const bytes = full.read(at, count);
            if (!isCut(at, count)) return bytes;
            const missing = [at as bigint, end].filter((candidate) => candidate >= end).at(0);
            throw new KhoError("memory-absent", "cut", { pa: missing!, length: count });
          },
        };
        endure({ ...capture, image: { ...image, memory: cut } }, `${path} cut at ${end.toString(16)}`, false);
      }
    }
  });
});
