/** What the vectors have nothing of: unmapping, what is in the way, and addresses that cross 2^48. */
import { describe, expect, it } from "vitest";
import { stage1Domain, stage2Domain } from "../../../../formats/iommu/arm/geometry.js";
import { type DomainOptions, newDomain, tableOf } from "../../../../formats/iommu/domain.js";
import { iommuMap, mapTable, unmapTable } from "../../../../formats/iommu/map.js";
import { mappingsOf } from "../../../../formats/iommu/mappings.js";
import { decodeMappings } from "../../../../formats/iommu/walk.js";
import type { PhysAddr } from "../../../../src/memory/index.js";
import { contextOver } from "../context.js";
import { contentOf, newStore } from "../store.js";

const K = 1024n;
const M = 1024n * K;
const G = 1024n * M;
const T = 1024n * G;
const cached = 7;
const base = 0x100000000n;

const stage1 = (granuleLg2 = 12, outputBits = 48, vaBits = 48): DomainOptions =>
  stage1Domain({ granules: [granuleLg2], outputBits, vax: true }, { pageLg2: granuleLg2, vaBits });
const stage2 = (granuleLg2: number, outputBits: number): DomainOptions =>
  stage2Domain({ granules: [granuleLg2], outputBits }, { pageLg2: granuleLg2 });

function domainWith(options: DomainOptions) {
  const store = newStore(base);
  const domain = newDomain(options, store)!;
  return {
    store,
    domain,
    map: (iova: bigint, pa: bigint, size: bigint, prot = cached) => mapTable(domain, iova, pa, size, prot),
    unmap: (iova: bigint, size: bigint) => unmapTable(domain, iova, size),
    mappings() {
      const { ctx, findings } = contextOver(store.memory);
      const runs = [...mappingsOf(decodeMappings(ctx, tableOf(domain), "table"))];
      return { runs: runs.map(({ iova, pa, size }) => [iova, pa, size]), findings };
    },
  };
}

describe("unmapping", () => {
  it("512 pages as one range of 2 MiB takes their table away, one by one leaves it empty", () => {
    for (const asOne of [true, false]) {
      const { store, map, unmap } = domainWith(stage1());
      map(0n, 0x200001000n, 2n * M);
      expect(store.tables.size).toBe(4);
      if (asOne) expect(unmap(0n, 2n * M)).toBe(2n * M);
      else for (let at = 0n; at < 2n * M; at += 4n * K) expect(unmap(at, 4n * K)).toBe(4n * K);
      expect(store.tables.size, `as one: ${asOne}`).toBe(asOne ? 3 : 4);
      expect(contentOf(store)["0x100002000"]).toEqual(asOne ? {} : { 0: "0x0000000100003003" });
    }
  });

  it("freed tables keep what is in them", () => {
    const { store, map, unmap } = domainWith(stage1());
    map(0n, 0x200001000n, 2n * M);
    unmap(0n, 2n * M);
    const page = store.memory.read(0x100003000n as PhysAddr, 8);
    expect(new DataView(page.buffer, page.byteOffset).getBigUint64(0, true)).toBe(0x200001f47n);
  });

  it("less than a block unmaps nothing", () => {
    const { map, unmap, mappings } = domainWith(stage1());
    map(0n, 0n, 2n * M);
    expect(unmap(0n, 4n * K)).toBe(0n);
    expect(unmap(4n * K, 2n * M - 4n * K)).toBe(0n);
    expect(mappings().runs).toEqual([[0n, 0n, 2n * M]]);
  });

  it("stops at the first hole", () => {
    const { map, unmap, mappings } = domainWith(stage1());
    map(0n, 0x200000000n, 12n * K);
    map(16n * K, 0x300000000n, 4n * K);
    expect(unmap(0n, 20n * K)).toBe(12n * K);
    expect(mappings().runs).toEqual([[16n * K, 0x300000000n, 4n * K]]);
    expect(unmap(0n, 4n * K)).toBe(0n);
  });

  it("goes on in the next table, and in the next of several top tables", () => {
    // 40 bits: two tables of 512 GiB in a row.
    const { map, unmap, mappings } = domainWith(stage2(12, 40));
    map(510n * G, 0n, 4n * G);
    expect(mappings().runs).toEqual([[510n * G, 0n, 4n * G]]);
    expect(unmap(511n * G, 2n * G)).toBe(2n * G);
    expect(mappings().runs).toEqual([
      [510n * G, 0n, 1n * G],
      [513n * G, 3n * G, 1n * G],
    ]);
  });

  it("takes blocks and a table among them alike", () => {
    const { store, map, unmap } = domainWith(stage1());
    map(0n, 0n, 2n * M);
    map(2n * M, 0x300001000n, 4n * K);
    map(4n * M, 4n * M, 2n * M);
    // The table is not full, but it is there.
    expect(unmap(0n, 6n * M)).toBe(6n * M);
    expect(contentOf(store)).toEqual({
      "0x100000000": { 0: "0x0000000100001003" },
      "0x100001000": { 0: "0x0000000100002003" },
      "0x100002000": {},
    });
  });

  it("ends where the domain does", () => {
    const { map, unmap, mappings } = domainWith(stage1(12, 48, 39));
    map(512n * G - 8n * K, 0n, 8n * K);
    expect(unmap(512n * G, 4n * K)).toBe(0n);
    expect(unmap(512n * G - 8n * K, 12n * K)).toBe(8n * K);
    expect(mappings().runs).toEqual([]);
  });

  it("knows no leaf above the top table", () => {
    // 42 bits with 64K pages are two levels; 4 TiB leaves would be in a third.
    const { map, unmap } = domainWith(stage1(16, 52, 42));
    expect(map(0n, 0n, 4n * T)).toEqual({ errno: "EINVAL", mapped: 0n });
    map(0n, 0n, 64n * K);
    expect(unmap(0n, 4n * T)).toBe(0n);
  });

  it("refuses what is no multiple of the granule", () => {
    const { map, unmap } = domainWith(stage1(14));
    expect(map(0n, 4n * K, 16n * K)).toEqual({ errno: "EINVAL", mapped: 0n });
    expect(unmap(4n * K, 16n * K)).toBe(0n);
  });
});

describe("what is in the way", () => {
  it("a leaf at the same place: nothing of the batch is written", () => {
    const { map, mappings } = domainWith(stage1());
    map(8n * K, 0x300000000n, 4n * K);
    expect(map(0n, 0x200000000n, 16n * K)).toEqual({ errno: "EEXIST", mapped: 0n });
    expect(mappings().runs).toEqual([[8n * K, 0x300000000n, 4n * K]]);
  });

  it("a larger leaf", () => {
    const { map } = domainWith(stage1());
    map(0n, 0n, 2n * M);
    expect(map(4n * K, 4n * K, 4n * K)).toEqual({ errno: "EEXIST", mapped: 0n });
  });

  it("a leaf in the second table: what is in the first was mapped, and the caller takes it back", () => {
    const { domain, map, mappings } = domainWith(stage1());
    map(2n * M, 0x300000000n, 4n * K);
    expect(map(2n * M - 8n * K, 0x200001000n, 16n * K)).toEqual({ errno: "EEXIST", mapped: 8n * K });
    expect(iommuMap(domain, 4n * M - 8n * K, 0x200001000n, 4n * K, cached)).toBeUndefined();
    expect(iommuMap(domain, 2n * M - 16n * K, 0x200001000n, 24n * K, cached)).toBe("EEXIST");
    expect(mappings().runs).toEqual([
      [2n * M - 8n * K, 0x200001000n, 8n * K],
      [2n * M, 0x300000000n, 4n * K],
      [4n * M - 8n * K, 0x200001000n, 4n * K],
    ]);
  });

  it("a table where a block goes is dropped with all that it maps", () => {
    const { store, map, mappings } = domainWith(stage1());
    map(4n * K, 0x300000000n, 4n * K);
    expect(map(0n, 0x400000000n, 2n * M)).toEqual({ mapped: 2n * M });
    expect(mappings().runs).toEqual([[0n, 0x400000000n, 2n * M]]);
    expect(store.tables.size).toBe(3);
  });

  it("also if a leaf behind it ends the call", () => {
    const { store, map, mappings } = domainWith(stage1());
    map(4n * K, 0x300000000n, 4n * K);
    map(2n * M, 0x500000000n, 2n * M);
    expect(map(0n, 0x400000000n, 4n * M)).toEqual({ errno: "EEXIST", mapped: 0n });
    expect(mappings().runs).toEqual([[2n * M, 0x500000000n, 2n * M]]);
    expect(store.tables.size).toBe(3);
  });

  it("without memory for a table, what was mapped before it stays", () => {
    const { store, map } = domainWith(stage1());
    store.left = 3;
    expect(map(2n * M - 4n * K, 0x200001000n, 8n * K)).toEqual({ errno: "ENOMEM", mapped: 4n * K });
  });

  it("no rights, and addresses beyond the domain's", () => {
    const { map } = domainWith(stage1(12, 40, 39));
    expect(map(0n, 0n, 4n * K, 4)).toEqual({ errno: "EINVAL", mapped: 0n });
    expect(map(512n * G - 4n * K, 0n, 8n * K)).toEqual({ errno: "ERANGE", mapped: 0n });
    expect(map(0n, 1024n * G, 4n * K)).toEqual({ errno: "ERANGE", mapped: 0n });
  });
});

describe("addresses of 52 bits", () => {
  const top = 1n << 48n;

  it("that cross 2^48 inside of a table are one run", () => {
    const { store, map, mappings } = domainWith(stage1(16, 52, 52));
    map(0n, top - 192n * K, 384n * K);
    const [, , level3] = Object.values(contentOf(store));
    expect(level3).toEqual({
      0: "0x0000fffffffd0f47",
      1: "0x0000fffffffe0f47",
      2: "0x0000ffffffff0f47",
      3: "0x0000000000001f47",
      4: "0x0000000000011f47",
      5: "0x0000000000021f47",
    });
    expect(mappings()).toEqual({ runs: [[0n, top - 192n * K, 384n * K]], findings: [] });
  });

  it.each([
    [29n, 512n * M],
    [42n, 4n * T],
  ])("so do blocks of 2^%d bytes", (_, block) => {
    const { map, mappings } = domainWith(stage1(16, 52, 52));
    map(0n, top - block, 2n * block);
    expect(mappings()).toEqual({ runs: [[0n, top - block, 2n * block]], findings: [] });
  });

  it("with less than 52 bits there are no leaves of 4 TiB", () => {
    const { store, map } = domainWith(stage1(16, 48, 48));
    map(0n, 0n, 4n * T);
    expect(store.tables.size).toBe(2);
  });

  it("reach the last page", () => {
    const { map, mappings } = domainWith(stage1(16, 52, 52));
    const last = (1n << 52n) - 64n * K;
    expect(map(last, last, 64n * K)).toEqual({ mapped: 64n * K });
    expect(mappings().runs).toEqual([[last, last, 64n * K]]);
  });
});

describe("reading damaged tables", () => {
  const write = (at: ReturnType<typeof domainWith>, pa: bigint, word: bigint) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, word, true);
    at.store.write(pa as PhysAddr, bytes);
  };

  it.each([
    ["type 1 at the lowest level", 0x100003000n, 0x200000f45n, "iommu-bad-entry", []],
    ["a block of 512 GiB", 0x100000000n, 0xf45n, "iommu-bad-entry", []],
    [
      "a block inside of its size",
      0x100002000n,
      0x200001f45n,
      "iommu-bad-entry",
      [[0n, 0x200000000n, 2n * M]],
    ],
    ["bit 48 of a page", 0x100003000n, 0x1000200000f47n, "iommu-reserved-bits", [[0n, 0x200000000n, 4n * K]]],
    [
      "bit 50 of a table",
      0x100002000n,
      0x4000100003003n,
      "iommu-reserved-bits",
      [[0n, 0x200000000n, 4n * K]],
    ],
  ] as const)("%s", (_, pa, word, code, runs) => {
    const at = domainWith(stage1());
    at.map(0n, 0x200000000n, 4n * K);
    write(at, pa, word);
    const found = at.mappings();
    expect(found.findings.map((finding) => finding.code)).toEqual([code]);
    expect(found.runs).toEqual(runs);
  });

  it("what tables forbid, the pages below them do not allow", () => {
    const at = domainWith(stage1());
    at.map(0n, 0x200000000n, 4n * K);
    write(at, 0x100001000n, (1n << 62n) | 0x100002003n);
    const { ctx } = contextOver(at.store.memory);
    const [mapping] = mappingsOf(decodeMappings(ctx, tableOf(at.domain), "table"));
    expect(mapping).toMatchObject({ read: true, write: false });
  });

  it("PROT_NONE's type, 0, and 2 are nothing", () => {
    const at = domainWith(stage1());
    at.map(0n, 0x200000000n, 8n * K);
    write(at, 0x100003000n, 0x200000f44n);
    write(at, 0x100003008n, 0x200001f46n);
    expect(at.mappings()).toEqual({ runs: [], findings: [] });
  });
});
