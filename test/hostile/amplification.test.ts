import { describe, expect, it } from "vitest";
import { scan } from "../../src/handover/index.js";
import { decodeHandover, KhoError, type Limits, segmentedMemory } from "../../src/index.js";
import { type PhysAddr, physAddr } from "../../src/memory/index.js";
import { maxRead } from "../../src/memory/memory.js";
import { Builder, fileBlock, flatten, luoRoot, memfd, sessionBlock, string, u32, u64s } from "./build.js";
import { load, names } from "./captures.js";
import { endure } from "./endure.js";

/** An exabyte of zeros that nothing stores: the tail of an ELF segment with p_memsz 2^60 and p_filesz 0. */
const tail = { pa: 1n << 61n, size: 1n << 60n };

/** A builder with a `kho-v4` root whose LUO has these sessions. */
function withSessions(blocks: (builder: Builder) => bigint): Builder & { fdt: bigint } {
  const builder = new Builder();
  const sessions = blocks(builder);
  const luo = builder.page(luoRoot(sessions));
  return Object.assign(builder, { fdt: builder.root([["LUO", luo, 32n]]) });
}
const codesIn = (found: readonly { code: string }[]): Set<string> => new Set(found.map(({ code }) => code));

describe("one page for many", () => {
  it("all entries of every table lead to one node: it is read once", () => {
    const builder = new Builder();
    const leaf = builder.page(new Uint8Array(4096).fill(0xaa));
    let node = leaf;
    for (let level = 1; level <= 5; level++) {
      const entries: Record<number, bigint> = {};
      for (let i = 0; i < (level === 5 ? 4 : 512); i++) entries[i] = node;
      node = builder.table(entries);
    }
    const fdt = builder.root([], node);
    const { forensic, findings } = endure(builder.capture({ fdt }), "one node for all");
    expect(forensic!.handover.preserved!.mapPages).toBe(6);
    expect(codesIn(findings)).toContain("map-cycle");
    expect(findings.length).toBeLessThanOrEqual(10_001);
  });

  it("a thousand files share one memfd, and a thousand memfds one list", () => {
    const shared = withSessions((b) => {
      const one = b.page(memfd({}));
      return b.page(sessionBlock([["a", b.page(fileBlock(Array.from({ length: 63 }, () => one))), 63n]]));
    });
    const { forensic, findings } = endure(shared.capture({ fdt: shared.fdt }), "one memfd");
    expect(forensic!.handover.luo!.sessions[0]!.files.filter(({ memfd }) => memfd).length).toBe(1);
    expect(codesIn(findings)).toContain("structure-reused");

    const lists = withSessions((b) => {
      const chunk = b.page(u64s(0n, b.page(u64s((3n << 52n) | 0x900n, 0n))));
      const files = Array.from({ length: 63 }, () => b.page(memfd({ first: chunk })));
      return b.page(sessionBlock([["a", b.page(fileBlock(files)), 63n]]));
    });
    const second = endure(lists.capture({ fdt: lists.fdt }), "one list");
    const filled = second.forensic!.handover.luo!.sessions[0]!.files.filter(
      ({ memfd }) => memfd!.folios.length > 0,
    );
    expect(filled.length).toBe(1);
  });

  it("every session of the area of 7.1 names one file area: its files are read once", () => {
    const capture = load("7.1.13-memfd");
    const { memory, decoded } = capture;
    const area = decoded.structures.find(({ path }) => path === "luo.sessions")!.pa;
    const files = decoded.structures.find(({ path }) => /\.files$/.test(path))!.pa;
    memory.put(area, 819n);
    for (let i = 0n; i < 819n; i++) {
      memory.put(area + 8n + i * 80n, 0x4141_4141_0000n + i);
      memory.put(area + 8n + i * 80n + 64n, files);
      memory.put(area + 8n + i * 80n + 72n, 128n);
    }
    const { forensic, findings } = endure(capture, "one file area");
    const sessions = forensic!.handover.luo!.sessions;
    expect(sessions.length).toBe(819);
    expect(sessions.reduce((sum, session) => sum + session.files.length, 0)).toBe(128);
    expect(codesIn(findings)).toContain("structure-reused");
  });

  it("bitmaps of a chunk that overlap byte by byte are not read 255 times", () => {
    const builder = new Builder();
    const bits = builder.page(new Uint8Array(3 * 4096).fill(0x55));
    const chunk = builder.page();
    builder.memory.put(chunk + 12n, 255n, 4);
    for (let i = 0n; i < 255n; i++) {
      builder.memory.put(chunk + 16n + i * 16n, i << 27n);
      builder.memory.put(chunk + 24n + i * 16n, bits + i);
    }
    const fdt = builder.root([], chunk, "kho-v1");
    for (const release of ["6.17", "6.18"]) {
      const { findings } = endure(builder.capture({ fdt, release }), release);
      expect(codesIn(findings)).toContain("map-cycle");
    }
  });

  it("subtrees of 16 MiB of zeros each: all together have a limit", () => {
    const builder = new Builder();
    builder.memory.zeros.push(tail);
    const fdt = builder.root(
      Array.from({ length: 40 }, (_, i) => [`b${i}`, tail.pa + BigInt(i) * 4096n, 16n << 20n] as const),
    );
    const { forensic, findings } = decodeNow(builder, fdt);
    const bytes = forensic.subtrees.reduce((sum, { blob }) => sum + (blob?.length ?? 0), 0);
    expect(bytes).toBeLessThanOrEqual(64 << 20);
    expect(codesIn(findings)).toContain("limit-exceeded");
  });

  it("a root of twenty thousand subtrees is read in one pass", () => {
    const builder = new Builder();
    const blob = builder.page(new Uint8Array(8));
    const fdt = builder.root(Array.from({ length: 20_000 }, (_, i) => [`n${i}`, blob, 8n] as const));
    const capture = builder.capture({ fdt });
    const { forensic, findings } = endure(capture, "subtrees", false);
    expect(forensic!.handover.subtrees.length).toBe(20_000);
    expect(findings.length).toBeLessThanOrEqual(10_001);
  });
});

function decodeNow(builder: Builder, fdt: bigint, limits: Partial<Limits> = {}) {
  const { handover, findings } = decodeHandover(builder.image, { fdt, mode: "forensic", limits });
  return { forensic: handover, findings };
}

describe("zeros without end", () => {
  it("are not searched for a root", () => {
    const builder = new Builder();
    builder.memory.zeros.push(tail);
    builder.page();
    expect(scan(builder.memory).candidates).toEqual([]);
    expect(builder.memory.spent().bytes).toBeLessThan(1 << 20);
  });

  it("a list of folios in blocks of order 18 ends at the limit of entries", () => {
    const files = 20;
    const built = withSessions((b) => {
      const data = Array.from({ length: files }, (_, i) => {
        const chunk = b.page(u64s(0n, tail.pa + (BigInt(i) << 30n)));
        return b.page(memfd({ size: 1n << 40n, folios: 1n << 26n, first: chunk, pages: 1 << 18, order: 18 }));
      });
      return b.page(sessionBlock([["a", b.page(fileBlock(data)), BigInt(files)]]));
    });
    built.memory.zeros.push(tail);
    built.memory.spent();
    const { findings } = decodeNow(built, built.fdt, { maxFolios: 100_000 });
    expect(codesIn(findings)).toContain("limit-exceeded");
    expect(built.memory.spent().reads).toBeLessThan(500 + files * 10 + 100_000 / 256);
  });

  it("a vmalloc area that lists zeros by the page ends at the limit of claims", () => {
    const built = withSessions((b) => {
      let next = 0n;
      for (let i = 0; i < 8; i++)
        next = b.page(
          u64s(next, ...Array.from({ length: 511 }, (_, j) => tail.pa + BigInt(i * 511 + j) * 4096n)),
        );
      const file = b.page(memfd({ folios: 1n << 60n, first: next, pages: 0xffffffff }));
      return b.page(sessionBlock([["a", b.page(fileBlock([file])), 1n]]));
    });
    built.memory.zeros.push(tail);
    const { findings } = decodeNow(built, built.fdt, { maxClaims: 1000 });
    expect(codesIn(findings)).toContain("limit-exceeded");
    // What is hopeless from the beginning is an error, not a finding.
    expect(() => decodeNow(built, built.fdt, { maxClaims: 2 })).toThrow(KhoError);
  });

  it("blocks of a vmalloc area cannot overlap: they have to be aligned", () => {
    const built = withSessions((b) => {
      const chunk = b.page(u64s(0n, tail.pa + 4096n, tail.pa + 8192n));
      const file = b.page(memfd({ folios: 1n << 20n, first: chunk, pages: 1 << 19, order: 18 }));
      return b.page(sessionBlock([["a", b.page(fileBlock([file])), 1n]]));
    });
    built.memory.zeros.push(tail);
    expect(codesIn(endure(built.capture({ fdt: built.fdt }), "unaligned").findings)).toContain(
      "vmalloc-bad-chunk",
    );
  });

  it("folios of the test module: of impossible orders, over each other, and of more than is summed up", () => {
    for (const words of [
      [tail.pa + 20n, tail.pa + 20n],
      [tail.pa + 21n],
      [tail.pa + 4096n + 20n],
      [tail.pa + 4095n],
      [tail.pa + 20n, tail.pa + (1n << 32n) + 20n, 5n, (1n << 64n) - 1n],
    ]) {
      const builder = new Builder();
      builder.memory.zeros.push(tail);
      const area = new Uint8Array(16);
      area.set(u64s(builder.page(u64s(0n, builder.page(u64s(...words))))));
      area.set(u32(1), 8);
      area.set(u32(1), 12);
      const blob = flatten({
        name: "",
        properties: [
          ["compatible", string("kho-test-v1")],
          ["magic", u32(0x4b484f21)],
        ],
        children: [
          {
            name: "data",
            properties: [
              ["nr_folios", u32(words.length)],
              ["folios_info", area],
              ["csum", u32(0)],
            ],
          },
        ],
      });
      const fdt = builder.root([["kho_test", builder.page(blob), BigInt(blob.length)]]);
      decodeNow(builder, fdt);
      expect(builder.memory.spent().bytes).toBeLessThan(2 ** 30 + 2 ** 20);
      const bad = blob.slice();
      for (const count of [0xffffffff, 1 << 22, 1 << 30]) {
        bad.set(
          u32(count),
          blob.findIndex((_, i) => i > 60 && blob[i] === words.length && blob[i - 1] !== 0),
        );
        endure(builder.capture({ fdt }), `nr_folios ${count}`);
      }
    }
  });

  it("every pointer of every capture leads there: see fields.test.ts; all of them at once", () => {
    for (const name of names) {
      const capture = load(name);
      const { memory, decoded } = capture;
      memory.zeros.push(tail);
      for (const { pa, path } of decoded.structures)
        if (/preserved|chunks|blocks/.test(path)) memory.put(pa + 504n * 8n, tail.pa + (pa << 4n));
      endure(capture, name);
      for (const { pa, path } of decoded.structures)
        if (/preserved(\[\d+\])*$/.test(path))
          for (let i = 0n; i < 512n; i++) memory.put(pa + i * 8n, tail.pa + i * 4096n);
      endure(capture, `${name}, all entries`);
      memory.restore();
    }
  });
});

describe("the memory map", () => {
  /** The chain of tables down to a leaf whose keys begin with `prefix`. */
  function chain(builder: Builder, key: bigint, leaf: bigint): bigint {
    let node = leaf;
    for (let level = 1; level <= 5; level++)
      node = builder.table({ [Number(BigInt.asUintN(9, key >> BigInt(15 + (level - 1) * 9)))]: node });
    return node;
  }

  it("leaves of alternating bits end at the limit of runs", () => {
    const builder = new Builder();
    const leaf = builder.page(new Uint8Array(4096).fill(0xaa));
    const fdt = builder.root([], chain(builder, 1n << 52n, leaf));
    expect(decodeNow(builder, fdt).forensic.preserved!.runs.length).toBe(16_384);
    const { findings } = decodeNow(builder, fdt, { maxRuns: 100 });
    expect(findings.length).toBeGreaterThan(0);
  });

  it("a block of half the address space, and every key that is all ones", () => {
    const builder = new Builder();
    const leaf = builder.page(new Uint8Array(4096).fill(0xff));
    const fdt = builder.root([], chain(builder, 0n, leaf));
    const { forensic } = endure(builder.capture({ fdt }), "the first leaf");
    expect(Math.max(...forensic!.handover.preserved!.runs.order)).toBe(51);
    for (let width = 16n; width <= 53n; width++) {
      const top = new Builder();
      const bits = new Uint8Array(4096);
      bits[4095] = 0x80;
      const root = chain(top, (1n << width) - 1n, top.page(bits));
      const { handover } = decodeHandover(top.image, { fdt: top.root([], root), mode: "forensic" });
      const { order, pfn } = handover.preserved!.runs;
      // The key 2^w - 1 is the marker at w - 1 with all bits below it set: the last block of its order.
      expect([...order]).toEqual([Number(53n - width)]);
      expect(pfn[0]).toBe(2 ** 52 - 2 ** order[0]!);
    }
  });

  it("4096 scratch areas over a map of many runs cost a search each", () => {
    const builder = new Builder();
    const leaf = builder.page(new Uint8Array(4096).fill(0xaa));
    const fdt = builder.root([], chain(builder, 1n << 52n, leaf));
    const areas = builder.page(
      u64s(...Array.from({ length: 8192 }, (_, i) => (i % 2 === 0 ? 0n : 1n << 40n))),
    );
    const meta = { fdtPhys: fdt, scratchPhys: areas, scratchSize: 65_536n, kernelRelease: "7.3" };
    const { handover, findings } = decodeHandover(builder.image, { meta, mode: "forensic" });
    expect(handover.scratch.length).toBe(4096);
    const inScratch = findings.filter(({ code }) => code === "block-in-scratch");
    expect(inScratch.length).toBe(4096);
    expect(inScratch[0]!.message).toContain("16384 preserved pages");
  });
});

describe("one read", () => {
  it("has a limit where all is there, and allocates nothing where it is not", () => {
    const zeros = segmentedMemory([{ pa: physAddr(tail.pa), size: tail.size, at: 0 }]).memory;
    const at = tail.pa as PhysAddr;
    for (const length of [maxRead + 1, 2 ** 40, 2 ** 53])
      expect(() => zeros.read(at, length)).toThrow(expect.objectContaining({ code: "limit-exceeded" }));
    expect(() => zeros.read(physAddr(0), 2 ** 53)).toThrow(
      expect.objectContaining({ code: "memory-absent" }),
    );
    expect(zeros.ranges[0]!.zeros).toBe(true);
    expect(zeros.read(at, 4096)).toEqual(new Uint8Array(4096));
  });
});
