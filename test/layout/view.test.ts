import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bits,
  bytes,
  chars,
  decode,
  pa,
  rows,
  type Struct,
  sizeOf,
  struct,
  u8,
  u64,
  view,
} from "../../src/layout/index.js";
import { anyStruct, big, failure, little, source } from "./support.js";

const session = struct("luo_session_ser", { name: chars(8), files: pa, count: u64 }, source);

describe("view", () => {
  it("reads when it is asked, every time anew", () => {
    const data = new Uint8Array(24);
    const row = view(session, data, 0, little);
    expect(row.count).toBe(0n);
    data[16] = 5;
    data.set([0x76, 0x6d], 0);
    expect(row.count).toBe(5n);
    expect(row.name).toBe("vm");
    data[16] = 6;
    expect(row.count).toBe(6n);
  });

  it("cannot be written to", () => {
    const row = view(session, new Uint8Array(24), 0, little) as { count: bigint };
    expect(() => {
      row.count = 1n;
    }).toThrow(TypeError);
    expect(row.count).toBe(0n);
  });

  it("leaves out padding and names its members in order", () => {
    const names: string[] = [];
    for (const name in view(session, new Uint8Array(24), 0, little)) names.push(name);
    expect(names).toEqual(["name", "files", "count"]);
  });

  it("says what decode says, of any struct", () => {
    fc.assert(
      fc.property(
        anyStruct,
        fc.constantFrom(little, big),
        fc.nat(9),
        fc.infiniteStream(fc.nat(255)),
        ({ layout }, abi, at, stream) => {
          const size = sizeOf(layout, abi);
          const data = Uint8Array.from({ length: at + size }, () => stream.next().value as number);
          const row = view(layout as Struct, data, at, abi) as Record<string, unknown>;
          const whole = decode(layout as Struct, data, at, abi) as Record<string, unknown>;
          const names = Object.entries(layout.fields)
            .filter(([, field]) => field.kind !== "padding")
            .map(([name]) => name);
          expect(Object.keys(whole)).toEqual(names);
          for (const name of names) expect(row[name], name).toEqual(whole[name]);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("one layout in both byte orders and with several page sizes at once", () => {
    const layout = struct(
      "mixed",
      { v: u64, page: bytes((abi) => abi.pageSize), low: bits(u8, 3), high: bits(u8, 5) },
      source,
    );
    const data = new Uint8Array(8 + 65536 + 1).fill(1, 0, 1);
    data[8 + 4096] = 0x0f;
    data[8 + 65536] = 0xf0;
    const large = { byteOrder: "big", pageSize: 65536 } as const;
    const a = view(layout, data, 0, little);
    const b = view(layout, data, 0, large);
    const c = view(layout, data, 0, { ...large, pageSize: 16384 });
    expect([c.v, c.page.length]).toEqual([1n << 56n, 16384]);
    expect([a.v, a.page.length, a.low, a.high]).toEqual([1n, 4096, 7, 1]);
    expect([b.v, b.page.length, b.low, b.high]).toEqual([1n << 56n, 65536, 7, 16]);
  });

  it("throws bytes-short when it is made, not when it is read", () => {
    expect(failure(() => view(session, new Uint8Array(23), 0, little)).code).toBe("bytes-short");
    expect(failure(() => view(session, new Uint8Array(24), -1, little)).code).toBe("bytes-short");
  });
});

describe("rows", () => {
  const data = Uint8Array.from({ length: 2 + 24 * 3 + 30 }, (_, i) => i);
  const table = rows(session, data, 2, 3, little);

  it("each is the struct at its place", () => {
    expect(table.length).toBe(3);
    for (let i = 0; i < 3; i++) {
      const { name, files, count } = table.row(i);
      expect({ name, files, count }).toEqual(decode(session, data, 2 + 24 * i, little));
    }
    expect(table.row(1)).not.toBe(table.row(1));
  });

  it("there is none before the first or behind the last, also where bytes would be there", () => {
    for (const index of [-1, 3, Number.NaN, 2 ** 40])
      expect(
        failure(() => table.row(index)),
        `${index}`,
      ).toMatchObject({ code: "usage" });
  });

  it("bytes-short for the run as a whole", () => {
    expect(failure(() => rows(session, data, 0, 5, little)).code).toBe("bytes-short");
    expect(failure(() => rows(session, data, 0, -1, little)).code).toBe("bytes-short");
    expect(rows(session, data, 104, 0, little).length).toBe(0);
  });
});
