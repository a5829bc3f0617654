import { describe, expect, it } from "vitest";
import { newFolioRuns } from "../../formats/memfd/folios.js";
import type { Memfd } from "../../formats/memfd/memfd.js";
import { decodeHandover, KhoError, memfdContent, type Piece } from "../../src/index.js";
import { Builder, fileBlock, luoRoot, memfd, sessionBlock, u64s } from "./build.js";
import { Sparse } from "./memory.js";

const mib = 1 << 20;
const tail = { pa: 1n << 61n, size: 1n << 60n };
/** A file whose folios are [index, PFN, order, flags]. */
function file(size: bigint, folios: readonly (readonly [number, number, number, number])[]): Memfd {
  const runs = newFolioRuns();
  for (const [index, pfn, order, flags] of folios) runs.push(index, pfn, order, flags);
  return { size, pos: 0n, seals: 0, flags: 0, nrFolios: BigInt(folios.length), folios: runs.finish() };
}
/** The pieces, which have to follow each other without a gap up to the size. */
function piecesOf(memory: Sparse, memfd: Memfd, maxData?: number): Piece[] {
  const pieces = [...memfdContent(memory, memfd, 4096, maxData === undefined ? {} : { maxData })];
  let offset = 0;
  for (const piece of pieces) {
    expect(piece.offset).toBe(offset);
    const length = piece.kind === "data" ? piece.bytes.length : piece.length;
    expect(length).toBeGreaterThan(0);
    offset += length;
  }
  expect(offset).toBe(Number(memfd.size > 2n ** 53n - 1n ? 2n ** 53n - 1n : memfd.size));
  return pieces;
}
const dataIn = (pieces: readonly Piece[]): number =>
  pieces.reduce((sum, piece) => sum + (piece.kind === "data" ? piece.bytes.length : 0), 0);
const pfn = (pa: bigint): number => Number(pa / 4096n);

describe("the content of a hostile file", () => {
  const memory = new Sparse();
  memory.add(0x10_0000n, new Uint8Array(4 * 4096).fill(7));
  memory.zeros.push(tail);
  const real = pfn(0x10_0000n);

  it("of any size is holes but for what is there", () => {
    for (const size of [1n << 40n, 1n << 53n, 1n << 63n, (1n << 64n) - 1n]) {
      const pieces = piecesOf(memory, file(size, [[5, real, 2, 3]]));
      expect(pieces.map(({ kind }) => kind)).toEqual(["hole", "data", "hole"]);
      expect(dataIn(pieces)).toBe(4 * 4096);
    }
  });

  it("in zeros that nothing stores is one hole, whatever the order", () => {
    memory.spent();
    for (const order of [18, 40, 48]) {
      const pieces = piecesOf(memory, file(1n << 62n, [[0, pfn(tail.pa), order, 3]]));
      expect(pieces.length).toBeLessThanOrEqual(2);
    }
    const mixed = piecesOf(
      memory,
      file(12n * 4096n, [
        [0, pfn(tail.pa), 2, 3],
        [4, real, 2, 3],
        [8, pfn(tail.pa), 2, 1],
      ]),
    );
    expect(mixed.map(({ kind }) => kind)).toEqual(["hole", "data", "hole"]);
    expect(memory.spent().bytes).toBe(4 * 4096);
  });

  it("that goes on behind what is there is an error at the first missing byte", () => {
    expect(() => piecesOf(memory, file(1n << 62n, [[0, real, 30, 3]]))).toThrow(
      expect.objectContaining({ code: "memory-absent" }),
    );
    const beyond = (1n << 61n) + (1n << 60n);
    expect(() => piecesOf(memory, file(1n << 62n, [[0, pfn(beyond - 4096n), 5, 3]]))).toThrow(KhoError);
  });

  it("that lists one page over and over has as much data as the capture, or as allowed", () => {
    const again = file(
      1n << 40n,
      Array.from({ length: 1000 }, (_, i) => [i * 4, real, 2, 3] as const),
    );
    let got = 0;
    const drain = (maxData?: number) => (): void => {
      got = 0;
      for (const piece of memfdContent(memory, again, 4096, maxData === undefined ? {} : { maxData }))
        if (piece.kind === "data") got += piece.bytes.length;
    };
    expect(drain()).toThrow(expect.objectContaining({ code: "limit-exceeded" }));
    expect(got).toBe(4 * 4096);
    expect(drain(10 * 4 * 4096)).toThrow(expect.objectContaining({ code: "limit-exceeded" }));
    expect(got).toBe(40 * 4096);
    drain(mib * 100)();
    expect(got).toBe(4000 * 4096);
  });

  it("with folios at indices that no number holds, backwards, over each other", () => {
    for (const folios of [
      [[2 ** 52, real, 0, 3]],
      [[2 ** 53, real, 0, 3]],
      [[2 ** 64, real, 0, 3]],
      [
        [9, real, 0, 3],
        [3, real + 1, 0, 3],
        [3, real + 2, 0, 3],
        [0, real, 2, 1],
      ],
      [
        [1, real, 2, 3],
        [2, real, 2, 3],
      ],
      [[0, 2 ** 52 - 1, 0, 1]],
    ] as const)
      for (const size of [0n, 1n, 4095n, 4097n, 1n << 20n, 1n << 63n]) {
        const pieces = piecesOf(memory, file(size, folios), mib);
        expect(pieces.length).toBeLessThan(20);
      }
  });
});

describe("stored pages between zeros", () => {
  it("are data, the zeros are holes, and no page counts twice", () => {
    const memory = new Sparse();
    for (let i = 0n; i < 64n; i += 2n) {
      memory.add((256n + i) * 4096n, new Uint8Array(4096).fill(1));
      memory.zeros.push({ pa: (257n + i) * 4096n, size: 4096n });
    }
    const pieces = piecesOf(memory, file(64n * 4096n, [[0, 256, 6, 3]]));
    expect(pieces.length).toBe(64);
    expect(dataIn(pieces)).toBe(32 * 4096);
  });
});

describe("the mapping of systemd", () => {
  /** A session named systemd whose file with token 0 holds this text, any number of times. */
  function withMapping(text: string, times = 1) {
    const builder = new Builder();
    const bytes = new TextEncoder().encode(text);
    const pages = Math.ceil(bytes.length / 4096);
    const content = builder.page(bytes);
    const sessions = Array.from({ length: times }, () => {
      const folios = Array.from({ length: pages }, (_, i) => [
        (3n << 52n) | BigInt(pfn(content) + i),
        BigInt(i),
      ]).flat();
      const chunk = builder.page(u64s(0n, builder.page(u64s(...folios))));
      const data = builder.page(memfd({ size: BigInt(bytes.length), folios: BigInt(pages), first: chunk }));
      return ["systemd", builder.page(fileBlock([data])), 1n] as const;
    });
    const luo = builder.page(luoRoot(builder.page(sessionBlock(sessions))));
    const fdt = builder.root([["LUO", luo, 32n]]);
    return { builder, options: { fdt, mode: "forensic" } as const };
  }

  it("is data whatever it says, and comes out whole or not at all", async () => {
    const { toBinary, toJson } = await import("../../src/interchange.js");
    for (const text of [
      '{"version":-1}',
      '{"version":1e308}',
      '{"version":1.5}',
      '{"version":4294967296}',
      '{"version":1,"state":{"kexecsCount":-1}}',
      '{"version":1,"state":{"kexecsCount":0.5},"units":{"__proto__":{"fdstore":[{"token":-1}]}}}',
      '{"version":1,"units":{"a":{"fdstore":[{"type":"fd","name":"\\ud800","token":-5},null,1,[],{"token":1e300}]}}}',
      '{"__proto__":[{"fd_index":3}],"constructor":[{"session_name":"x"}],"toString":{}}',
      `${"[".repeat(4000)}`,
      `{"a":${"[".repeat(2000)}${"]".repeat(2000)}}`,
      "null",
      "[]",
      "\u0000",
    ]) {
      const { builder, options } = withMapping(text);
      const decoded = decodeHandover(builder.image, options);
      JSON.parse(toJson(decoded));
      expect(toBinary(decoded).length).toBeGreaterThan(0);
    }
  });

  it("is read for the first session of that name alone", () => {
    const { builder, options } = withMapping(`{"version":1,"units":{}}${" ".repeat(200_000)}`, 40);
    builder.memory.spent();
    const { handover, findings } = decodeHandover(builder.image, options);
    expect(handover.luo!.sessions.filter(({ systemd }) => systemd).length).toBe(1);
    expect(findings.some(({ code }) => code === "session-duplicate")).toBe(true);
    expect(builder.memory.spent().bytes).toBeLessThan(2 * builder.memory.size);
  });
});
