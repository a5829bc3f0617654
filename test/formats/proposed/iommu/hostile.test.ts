import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeIommuState } from "../../../../formats/proposed/iommu/decode.js";
import { seriesOf } from "../../../../formats/proposed/iommu/series.js";
import {
  bytesSource,
  type Memory,
  physAddr,
  segmentedMemory,
  sparseMemory,
} from "../../../../src/memory/index.js";
import { Sample } from "./sample.js";
import { arrayHead, kinds, seriesNames } from "./spec.js";
import { codesOf, reading } from "./support.js";

const bug = { outcome: "panic", phase: "boot", all: true };

function read(memory: Memory, name: string, root: bigint, limits = {}) {
  const { ctx, findings } = reading(memory, { limits });
  return { state: decodeIommuState(ctx, seriesOf(name), physAddr(root)), findings };
}

describe.each(seriesNames)("series %s", (name) => {
  it.each(kinds)("a page of %s that is followed by itself", (kind) => {
    const sample = new Sample(name);
    const [pa] = sample.places[kind];
    sample.put(pa!, arrayHead.next, pa!);
    const { state, findings } = read(sample.memory, name, sample.places.root);
    expect(findings.filter(({ severity }) => severity === "error")).toMatchObject([
      { code: "iommu-state-cycle", path: `iommu.${kind}.pages[1]`, pa, consequence: bug },
    ]);
    expect(state![kind].length).toBe(sample.state[kind].length);
  });

  it.each(kinds)("pages of %s that are another's", (kind) => {
    const sample = new Sample(name);
    for (const taken of [
      sample.places.root,
      ...kinds.filter((k) => k !== kind).map((k) => sample.places[k][0]!),
    ]) {
      sample.put(sample.places[kind][0]!, arrayHead.next, taken);
      const { findings } = read(sample.memory, name, sample.places.root);
      expect(codesOf(findings)).toContain("structure-reused");
    }
  });

  it.each(kinds)("no more than the page is read of 2^64 - 1 %s", (kind) => {
    const sample = new Sample(name);
    sample.put(sample.places[kind][0]!, arrayHead.count, 2n ** 64n - 1n);
    const { state, findings } = read(sample.memory, name, sample.places.root);
    expect(state![kind].length).toBe(sample.spec[kind].perPage);
    expect(findings).toContainEqual(
      expect.objectContaining({
        severity: "error",
        code: "iommu-state-count",
        path: `iommu.${kind}.pages[0]`,
        expected: `0 to ${sample.spec[kind].perPage}`,
        actual: "18446744073709551615",
      }),
    );
  });

  it.each(kinds)("pages of %s that are not there, not aligned, or beyond all memory", (kind) => {
    for (const [next, codes] of [
      [0x7_0000_0000n, ["memory-absent"]],
      [0x7_0000_0123n, ["bad-address", "memory-absent"]],
      [2n ** 64n - 4096n, ["memory-absent"]],
      [2n ** 64n - 1n, ["bad-address", "memory-absent"]],
    ] as const) {
      const sample = new Sample(name);
      sample.put(sample.places.root, sample.spec.root[kind], next);
      const { state, findings } = read(sample.memory, name, sample.places.root);
      const own = findings.filter(({ path }) => path === `iommu.${kind}.pages[0]`);
      expect(codesOf(own)).toEqual(codes);
      expect(own.at(-1)!.consequence).toMatchObject(bug);
      expect(state![kind]).toEqual([]);
      // What leads to records that could not be read is not wrong for that.
      expect(codesOf(findings)).not.toContain("iommu-state-link");
      expect(codesOf(findings).filter((code) => code === "iommu-state-count")).toEqual([]);
    }
  });

  it("a root that is not there, cut off, at 0, or read before", () => {
    const sample = new Sample(name);
    expect(read(sparseMemory(), name, 0x10000n)).toMatchObject({
      state: undefined,
      findings: [{ code: "memory-absent", path: "iommu.root", consequence: bug }],
    });
    expect(read(sample.memory, name, 0n)).toMatchObject({
      state: undefined,
      findings: [{ code: "bad-address", path: "iommu.root", consequence: bug }],
    });
    const size = sample.spec.root.size - 1;
    const source = bytesSource(new Uint8Array(size));
    const { memory } = segmentedMemory([{ pa: physAddr(0x10000), size: BigInt(size), source, at: 0 }]);
    expect(read(memory, name, 0x10000n).state).toBeUndefined();

    const { ctx, findings } = reading(sample.memory);
    decodeIommuState(ctx, seriesOf(name), sample.places.root);
    expect(decodeIommuState(ctx, seriesOf(name), sample.places.root)).toBeUndefined();
    expect(codesOf(findings)).toContain("structure-reused");
  });

  it("more records than the limit", () => {
    const sample = new Sample(name);
    const { state, findings } = read(sample.memory, name, sample.places.root, { maxRecords: 6 });
    expect([state!.iommus.length, state!.domains.length, state!.devices.length]).toEqual([2, 3, 1]);
    expect(codesOf(findings)).toEqual(["limit-exceeded"]);
  });

  it("whatever is in the pages", () => {
    const anyPage = fc.uint8Array({ minLength: 4096, maxLength: 4096, size: "max" });
    fc.assert(
      fc.property(
        anyPage,
        fc.nat(3),
        fc.nat(60),
        fc.bigInt({ min: 0n, max: 400n }),
        (junk, which, keep, count) => {
          const sample = new Sample(name);
          const pa = [sample.places.root, ...kinds.map((kind) => sample.places[kind][0]!)][which]!;
          sample.memory.write(physAddr(pa + BigInt(keep)), junk.subarray(keep));
          if (which > 0) sample.put(pa, arrayHead.count, count);
          const { ctx, findings } = reading(sample.memory);
          decodeIommuState(ctx, seriesOf(name), sample.places.root);
          expect(findings.length).toBeLessThan(2000);
        },
      ),
      { numRuns: 40 },
    );
  });
});

it("an exabyte of zeros is one page", () => {
  const memory: Memory = {
    read: (_, length) => new Uint8Array(length),
    has: () => true,
    ranges: [{ pa: physAddr(0), size: 2n ** 60n, zeros: true }],
  };
  const { state, findings } = read(memory, "d", 0x1000n);
  expect(state).toMatchObject({ iommus: [], domains: [], devices: [] });
  expect(codesOf(findings)).toEqual(["iommu-state-version", "bad-address", "bad-address", "bad-address"]);
});

it("a chain without end is as long as the claims allow", () => {
  const memory: Memory = {
    read: (pa, length) => {
      const bytes = new Uint8Array(length);
      // Every page is followed by the next one, and holds nothing.
      new DataView(bytes.buffer).setBigUint64(0, (pa / 4096n + 1n) * 4096n, true);
      return bytes;
    },
    has: () => true,
    ranges: [{ pa: physAddr(0), size: 2n ** 60n }],
  };
  const { ctx, findings } = reading(memory);
  const claims = {
    ...ctx.claims,
    get full() {
      return ctx.claims.all.length >= 100;
    },
  };
  const state = decodeIommuState({ ...ctx, claims }, seriesOf("b"), physAddr(0x1000000));
  expect(state!.places.iommus.length).toBe(99);
  expect(codesOf(findings)).toContain("limit-exceeded");
});
