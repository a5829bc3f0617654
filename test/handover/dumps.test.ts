/**
 * What real dumps have that captures made for the purpose do not: copies of roots, roots of earlier kexecs, memory that
 * is in use for something else, an outgoing kernel that has not jumped yet.
 */
import { describe, expect, it } from "vitest";
import { khoKexecMetadata } from "../../formats/kho/layout.js";
import { decodeHandover, type Image, openImage, type PhysAddr, physAddr, scan } from "../../src/index.js";
import { encode } from "../../src/layout/index.js";
import { segmentedMemory } from "../../src/memory/index.js";
import { bytesSource } from "../../src/memory/source.js";
import { fixtures } from "../conformance/truth.js";

const core = (name: string): Image => openImage(fixtures.find((fixture) => fixture.name === name)!.core);
const abi = { byteOrder: "little", pageSize: 4096 } as const;

/** The image with other bytes at some addresses, which need not have been there before. */
function with_(image: Image, patches: readonly { pa: bigint; bytes: Uint8Array }[]): Image {
  const over = patches.map(({ pa, bytes }) => ({
    pa: physAddr(pa),
    size: BigInt(bytes.length),
    source: bytesSource(bytes),
    at: 0,
  }));
  const under = image.memory.ranges.map(({ pa, size }) => ({
    pa,
    size,
    source: {
      size: Number(size),
      read: (at: number, length: number) =>
        image.memory.read(physAddr(pa + BigInt(at)), Math.min(length, Number(size) - at)),
    },
    at: 0,
  }));
  return { ...image, memory: segmentedMemory([...over, ...under]).memory };
}

const page = (image: Image, pa: PhysAddr | bigint): Uint8Array =>
  image.memory.read(physAddr(pa), 4096).slice();
const loud = ({ findings }: ReturnType<typeof decodeHandover>) =>
  findings.filter(({ severity }) => severity !== "info").map(({ code }) => code);

describe("several roots", () => {
  const image = core("7.3-memfd");
  const root = decodeHandover(image).handover.handoff.fdtPa;

  it("a copy of the root's page is not taken for it, wherever it lies, with a record or without", () => {
    const record = fixtures.find(({ name }) => name === "7.3-memfd")!;
    const withoutRecord = { pa: BigInt(JSON.parse(record.meta).setupDataPhys), bytes: new Uint8Array(48) };
    for (const pa of [0x50000n, 0xf000000n])
      for (const patches of [[], [withoutRecord]]) {
        const decoded = decodeHandover(with_(image, [{ pa, bytes: page(image, root) }, ...patches]));
        expect(decoded.handover.handoff.fdtPa).toBe(root);
        expect(loud(decoded)).toEqual([]);
      }
  });

  it("of two whole handovers the one with more kexecs behind it is taken", () => {
    // The same structures under a second root, in a page that the map keeps as well: one of a file.
    const { handover } = decodeHandover(image);
    const metadata = handover.subtrees.find(({ name }) => name === "kexec-metadata")!.pa;
    const file = handover.luo!.sessions.find(({ name }) => name === "one")!.files[0]!;
    const second = BigInt(file.memfd!.folios.pfn[0]!) * 4096n;
    const copy = page(image, root);
    const later = encode(khoKexecMetadata, { version: 1, previous_release: "7.3.4", kexec_count: 2 }, abi);
    const view = new DataView(copy.buffer);
    const at = [...Array(4096 / 4).keys()].find((i) => view.getBigUint64(i * 4, true) === metadata)! * 4;
    const elsewhere = page(image, metadata);
    elsewhere.set(later, 0);
    view.setBigUint64(at, 0x60000n, true);
    const both = with_(image, [
      { pa: second, bytes: copy },
      { pa: 0x60000n, bytes: elsewhere },
      {
        pa: BigInt(JSON.parse(fixtures.find(({ name }) => name === "7.3-memfd")!.meta).setupDataPhys),
        bytes: new Uint8Array(48),
      },
    ]);
    const { candidates, ambiguous } = scan(both.memory);
    expect(ambiguous).toBe(false);
    expect(candidates[0]!.pa).toBe(second);
    expect(candidates[0]!.verdict).toContain("kexec 2");
  });
});

describe("a record", () => {
  const image = core("7.3-memfd");
  const { handoff } = decodeHandover(image).handover;
  const record = image.memory.read(handoff.recordPa, 48);
  const found = (memory: Image["memory"]) =>
    scan(memory).candidates.filter(({ usable, kind }) => usable && kind === "setup_data");
  const piece = (pa: bigint, bytes: Uint8Array) => ({
    pa: physAddr(pa),
    size: BigInt(bytes.length),
    ...(bytes.some((byte) => byte !== 0) ? { source: bytesSource(bytes) } : { zeros: true }),
    at: 0,
  });

  it("is found wherever a segment ends in it", () => {
    for (let end = 1; end < record.length; end++) {
      const { memory } = segmentedMemory([
        piece(handoff.fdtPa, page(image, handoff.fdtPa)),
        piece(handoff.recordPa, record.slice(0, end)),
        piece(handoff.recordPa + BigInt(end), record.slice(end)),
      ]);
      expect(found(memory), `${end} bytes, then the others`).toEqual([
        expect.objectContaining({ pa: handoff.recordPa }),
      ]);
    }
  });

  it("is found wherever it lies in a large segment", () => {
    for (const pa of [2 ** 20 - 40, 2 ** 20 - 16, 2 ** 20 - 8, 2 ** 20, 4096 - 8]) {
      const bytes = new Uint8Array(2 ** 20 + 4096);
      bytes.set(record, pa);
      const { memory } = segmentedMemory([
        piece(0n, bytes),
        piece(handoff.fdtPa, page(image, handoff.fdtPa)),
      ]);
      expect(found(memory)).toEqual([expect.objectContaining({ pa: BigInt(pa) })]);
    }
  });
});

describe("memory that is in use for something else", () => {
  it.each(["6.19.10-memfd", "7.1.13-memfd"])(
    "a map of %s that was overwritten is one finding, and folios keep their lengths",
    (name) => {
      const image = core(name);
      const whole = decodeHandover(image).handover;
      const noise = Uint8Array.from({ length: 4096 }, (_, i) => (i * 37 + (i >> 3)) & 0xff);
      const damaged = with_(image, [{ pa: whole.preserved!.rootPa, bytes: noise }]);
      expect(() => decodeHandover(damaged)).toThrow(expect.objectContaining({ code: "map-overwritten" }));
      const decoded = decodeHandover(damaged, { mode: "forensic" });
      expect(loud(decoded)).toEqual(["map-overwritten"]);
      expect(decoded.handover.preserved).toBeUndefined();
      // Every page of every file is still where it was; only how pages group to folios is inferred.
      const pages = (handover: typeof whole) =>
        handover.luo!.sessions.map(({ files }) =>
          files.map(({ memfd }) => {
            const at = new Map<number, number>();
            const { folios } = memfd!;
            for (let run = 0; run < folios.length; run++)
              for (let i = 0; i < folios.count[run]! * 2 ** folios.order[run]!; i++)
                at.set(folios.index[run]! + i, folios.pfn[run]! + i);
            return at;
          }),
        );
      expect(pages(decoded.handover)).toEqual(pages(whole));
    },
  );

  it("an outgoing kernel's scratch array that is not in its place yet is no fault where a scan found the record", () => {
    const image = core("7.3-memfd");
    const { scratchPa } = decodeHandover(image).handover.handoff;
    const staged = with_(image, [{ pa: scratchPa, bytes: new Uint8Array(4096) }]);
    const decoded = decodeHandover(staged);
    expect(loud(decoded)).toEqual([]);
    expect(decoded.handover.scratch).toEqual([]);
    const { recordPa } = decoded.handover.handoff;
    expect(() => decodeHandover(staged, { handoff: recordPa })).toThrow(
      expect.objectContaining({ code: "scratch-malformed" }),
    );
  });
});

describe("regions", () => {
  it("that overlap each other, or a file, are an error", () => {
    const image = core("7.3-resmem");
    const { handover } = decodeHandover(image);
    const [one, other] = handover.reserveMem;
    const blob = handover.subtrees.find(({ name }) => name === "memblock")!;
    const swap = (from: bigint, to: bigint): Image => {
      const bytes = page(image, blob.pa);
      const view = new DataView(bytes.buffer);
      for (let at = 0; at < Number(blob.size); at += 4)
        if (at + 8 <= Number(blob.size) && view.getBigUint64(at, true) === from)
          view.setBigUint64(at, to, true);
      return with_(image, [{ pa: blob.pa, bytes }]);
    };
    expect(loud(decodeHandover(swap(one!.start, other!.start)))).toContain("structure-reused");
    const pfn = handover.luo!.sessions[0]!.files[0]!.memfd!.folios.pfn[0]!;
    expect(loud(decodeHandover(swap(one!.start, BigInt(pfn) * 4096n)))).toContain("folio-shared");
  });
});
