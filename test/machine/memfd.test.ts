import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seals } from "../../formats/memfd/layout.js";
import { attempt, type Errno } from "../../src/machine/errno.js";
import { getFile, putFile } from "../../src/machine/kernel.js";
import {
  addSeals,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  fallocate,
  fillPattern,
  getSeals,
  mapWritable,
  read,
  seek,
  truncate,
  unmapWritable,
  write,
} from "../../src/machine/memfd/file.js";
import { type MemfdFile, type MemfdOptions, maxFileSize, newMemfd } from "../../src/machine/memfd/inode.js";
import { expectedContent, fixtures } from "../conformance/truth.js";
import { held, testKernel } from "./memfd-support.js";

const { F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_EXEC } = seals;
const page = 4096;
const punch = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;

/** A file of two pages of ones. */
function ones(options: MemfdOptions = {}): MemfdFile {
  const { seals: added, ...rest } = options;
  const file = newMemfd(testKernel(), { ...rest, allowSealing: true });
  write(file, new Uint8Array(2 * page).fill(1), 0n);
  if (added !== undefined) addSeals(file, added);
  return file;
}
const frozen = (): MemfdFile => {
  const file = ones();
  file.inode.frozenMapping = true;
  return file;
};
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(2);

type Call = (file: MemfdFile) => unknown;
const calls: Record<string, Call> = {
  "write inside": (file) => write(file, bytes(10), 5n),
  "write beyond the end": (file) => write(file, bytes(10), BigInt(2 * page)),
  "write across the end in one page": (file) => write(file, bytes(page + 1), BigInt(page)),
  grow: (file) => truncate(file, BigInt(3 * page)),
  shrink: (file) => truncate(file, 5n),
  "the same size": (file) => truncate(file, BigInt(2 * page)),
  "punch a hole": (file) => fallocate(file, punch, 0n, 5n),
  "fallocate inside": (file) => fallocate(file, 0, 0n, 5n),
  "fallocate beyond": (file) => fallocate(file, FALLOC_FL_KEEP_SIZE, 0n, BigInt(3 * page)),
  "map writable": (file) => mapWritable(file),
};
const all = Object.keys(calls);
const writes = ["write inside", "write beyond the end", "write across the end in one page"];
const growing = ["write beyond the end", "grow", "fallocate beyond"];

describe("what a file does not allow is EPERM", () => {
  const cases: readonly (readonly [what: string, make: () => MemfdFile, refused: readonly string[]])[] = [
    ["no seal", () => ones(), []],
    ["F_SEAL_SEAL", () => ones({ seals: F_SEAL_SEAL }), []],
    ["F_SEAL_SHRINK", () => ones({ seals: F_SEAL_SHRINK }), ["shrink"]],
    ["F_SEAL_GROW", () => ones({ seals: F_SEAL_GROW }), growing],
    ["F_SEAL_WRITE", () => ones({ seals: F_SEAL_WRITE }), [...writes, "punch a hole", "map writable"]],
    [
      "F_SEAL_FUTURE_WRITE",
      () => ones({ seals: F_SEAL_FUTURE_WRITE }),
      [...writes, "punch a hole", "map writable"],
    ],
    ["F_SEAL_EXEC, not executable", () => ones({ seals: F_SEAL_EXEC, executable: false }), []],
    [
      "F_SEAL_EXEC, executable",
      () => ones({ seals: F_SEAL_EXEC }),
      all.filter((call) => call !== "the same size" && call !== "fallocate inside"),
    ],
    ["preserved", frozen, [...growing, "shrink", "punch a hole", "fallocate inside"]],
  ];
  for (const [what, make, refused] of cases)
    it.each(all)(`${what}: %s`, (name) => {
      const result = attempt(() => calls[name]!(make()));
      expect("errno" in result ? result.errno : undefined).toBe(refused.includes(name) ? "EPERM" : undefined);
    });
});

describe("other errors", () => {
  const hole = 1n << 40n;
  const cases: readonly (readonly [what: string, errno: Errno, call: Call])[] = [
    ["read before the file", "EINVAL", (file) => read(file, 1, -1n)],
    ["write before the file", "EINVAL", (file) => write(file, bytes(1), -1n)],
    ["write at the largest size", "EFBIG", (file) => write(file, bytes(1), maxFileSize)],
    ["seek before the file", "EINVAL", (file) => seek(file, -1n)],
    ["seek beyond all files", "EINVAL", (file) => seek(file, 1n, "cur") && seek(file, maxFileSize, "cur")],
    ["negative size", "EINVAL", (file) => truncate(file, -1n)],
    ["too large a size", "EFBIG", (file) => truncate(file, maxFileSize + 1n)],
    ["an empty range", "EINVAL", (file) => fallocate(file, 0, 0n, 0n)],
    ["a negative range", "EINVAL", (file) => fallocate(file, 0, -1n, 1n)],
    [
      "a hole that may change the size",
      "EOPNOTSUPP",
      (file) => fallocate(file, FALLOC_FL_PUNCH_HOLE, 0n, 1n),
    ],
    ["another mode", "EOPNOTSUPP", (file) => fallocate(file, 8, 0n, 1n)],
    ["a range beyond all files", "EFBIG", (file) => fallocate(file, 0, maxFileSize, 1n)],
    ["more than there is", "ENOMEM", (file) => fallocate(file, 0, hole, 1n << 30n)],
    ["unknown seals", "EINVAL", (file) => addSeals(file, 0x40)],
    ["a closed file", "EBADF", (file) => [putFile(file), read(file, 1)]],
  ];
  it.each(cases)("%s: %s", (_, errno, call) => {
    expect(attempt(() => call(ones()))).toEqual({ errno });
  });
  it("a file of huge pages cannot be written", () => {
    const file = newMemfd(testKernel(), { huge: "hugetlb" });
    expect(attempt(() => write(file, bytes(1)))).toEqual({ errno: "EINVAL" });
  });
  it("no memory, and what a failed fallocate leaves", () => {
    const core = testKernel({ pages: 8 });
    const file = newMemfd(core, { size: 4 * page });
    write(file, bytes(1), BigInt(page));
    expect(attempt(() => fallocate(file, 0, 0n, BigInt(20 * page)))).toEqual({ errno: "ENOMEM" });
    expect(held(core)).toEqual({ memfd: 1 });
    expect(file.inode.size).toBe(BigInt(4 * page));
  });
  it("a write that memory lasts for in part is short", () => {
    const file = newMemfd(testKernel({ pages: 3 }), {});
    expect(write(file, bytes(5 * page), 100n)).toBe(3 * page - 100);
    expect(file.inode.size).toBe(BigInt(3 * page));
    expect(attempt(() => write(file, bytes(1), BigInt(3 * page)))).toEqual({ errno: "ENOMEM" });
  });
  it("a write across the end of a file that may not grow is short", () => {
    for (const file of [ones({ seals: F_SEAL_GROW }), frozen()])
      expect(write(file, bytes(3 * page), 7n)).toBe(2 * page - 7);
  });
  it("an order that no folio has", () => {
    expect(() => newMemfd(testKernel(), { folioOrder: 11 })).toThrow(
      expect.objectContaining({ code: "machine-misuse" }),
    );
  });
});

describe("seals", () => {
  const created: readonly (readonly [options: MemfdOptions, seals: number])[] = [
    [{}, F_SEAL_SEAL],
    [{ allowSealing: true }, 0],
    [{ executable: false }, F_SEAL_EXEC],
    [{ seals: F_SEAL_GROW }, F_SEAL_GROW],
    [{ linked: true }, F_SEAL_SEAL],
    [{ seals: F_SEAL_EXEC }, 0x3e],
    [{ seals: F_SEAL_SEAL | F_SEAL_EXEC, executable: false }, F_SEAL_SEAL | F_SEAL_EXEC],
  ];
  it.each(created)("of a file made with %o are %i", (options, expected) => {
    expect(getSeals(newMemfd(testKernel(), options))).toBe(expected);
  });
  it("cannot be added once that is sealed, not even none", () => {
    const file = newMemfd(testKernel());
    expect(attempt(() => addSeals(file, F_SEAL_GROW))).toEqual({ errno: "EPERM" });
    expect(attempt(() => addSeals(file, 0))).toEqual({ errno: "EPERM" });
    expect(attempt(() => addSeals(file, 0x80))).toEqual({ errno: "EINVAL" });
  });
  it("against writing need that nobody can write through a mapping", () => {
    const file = ones();
    mapWritable(file);
    expect(attempt(() => addSeals(file, F_SEAL_WRITE))).toEqual({ errno: "EBUSY" });
    addSeals(file, F_SEAL_FUTURE_WRITE);
    unmapWritable(file);
    addSeals(file, F_SEAL_WRITE);
    expect(getSeals(file)).toBe(F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
  });
});

describe("positions", () => {
  it("move with reads and writes, unless an offset is given", () => {
    const file = newMemfd(testKernel());
    write(file, Uint8Array.of(1, 2, 3));
    expect(file.pos).toBe(3n);
    expect(seek(file, -2n, "cur")).toBe(1n);
    expect(read(file, 10)).toEqual(Uint8Array.of(2, 3));
    expect(seek(file, 2n, "end")).toBe(5n);
    expect(read(file, 10)).toEqual(new Uint8Array(0));
    expect(read(file, 1, 0n)).toEqual(Uint8Array.of(1));
    write(file, Uint8Array.of(9), 0n);
    expect(file.pos).toBe(5n);
    write(file, Uint8Array.of(4));
    expect(read(file, 10, 0n)).toEqual(Uint8Array.of(9, 2, 3, 0, 0, 4));
  });
});

describe("folios", () => {
  const orders = (file: MemfdFile): number[] => {
    const found: number[] = [];
    file.inode.folios.each(0, Number.POSITIVE_INFINITY, (_index, _pfn, order) => void found.push(order));
    return found;
  };
  it("have the file's order where they fit into it", () => {
    const file = newMemfd(testKernel(), { folioOrder: 2, size: 11 * page });
    fallocate(file, 0, 0n, BigInt(11 * page));
    expect(orders(file)).toEqual([2, 2, 1, 0]);
  });
  it("are as large as the gap between others", () => {
    const file = newMemfd(testKernel(), { size: 16 * page });
    write(file, bytes(1), BigInt(5 * page));
    const larger = Object.assign(file, { inode: Object.assign(file.inode, { folioOrder: 3 }) });
    write(larger, bytes(1), BigInt(9 * page));
    write(larger, bytes(2 * page), BigInt(3 * page));
    expect(orders(file)).toEqual([2, 0, 0, 3]);
  });
  it("are smaller where the allocator has no others", () => {
    const asked: number[] = [];
    const faults = {
      allocation(what: string, order: number) {
        asked.push(order);
        return what === "memfd page" && order > 1;
      },
    };
    const file = newMemfd(testKernel({ faults }), { folioOrder: 3, size: 8 * page });
    write(file, bytes(1), BigInt(4 * page));
    expect(orders(file)).toEqual([1]);
    expect(asked).toEqual([3, 2, 1]);
  });
  it("are split where a part of them goes", () => {
    const core = testKernel();
    const file = newMemfd(core, { folioOrder: 9, size: 512 * page });
    write(file, bytes(512 * page), 0n);
    fallocate(file, punch, BigInt(100 * page), BigInt(page));
    expect(held(core)).toEqual({ memfd: 511 });
    expect(orders(file)).toEqual([6, 5, 2, 0, 1, 3, 4, 7, 8]);
    truncate(file, BigInt(3 * page));
    expect(held(core)).toEqual({ memfd: 3 });
    putFile(file);
    expect(held(core)).toEqual({});
  });
  it("are not zeroed before they are used", () => {
    const core = testKernel();
    core.ram.poison(0x100, 4096);
    const file = newMemfd(core, { folioOrder: 4, size: 16 * page });
    fallocate(file, 0, 0n, BigInt(16 * page));
    expect(read(file, page, 0n)).toEqual(new Uint8Array(page));
    write(file, Uint8Array.of(7), 3n);
    expect(read(file, 5, 0n)).toEqual(Uint8Array.of(0, 0, 0, 7, 0));
    expect(read(file, page, BigInt(15 * page))).toEqual(new Uint8Array(page));
  });
  it("stay until the last open file is closed", () => {
    const core = testKernel();
    const file = getFile(newMemfd(core, { name: "vm0" }));
    write(file, bytes(page));
    putFile(file);
    expect(held(core)).toEqual({ "memfd vm0": 1 });
    putFile(file);
    expect(held(core)).toEqual({});
  });
});

const offset = fc.nat(20 * page);
const length = fc.nat(6 * page);
const step = fc.oneof(
  fc.record({
    do: fc.constant("write" as const),
    at: offset,
    length,
    value: fc.integer({ min: 1, max: 255 }),
  }),
  fc.record({ do: fc.constant("truncate" as const), at: offset }),
  fc.record({ do: fc.constant("punch" as const), at: offset, length }),
  fc.record({ do: fc.constant("fallocate" as const), at: offset, length, keep: fc.boolean() }),
  fc.record({ do: fc.constant("freeze" as const), on: fc.boolean() }),
);

/** The same file as plain bytes: what Linux does, without pages. */
function model() {
  let content = new Uint8Array(0);
  let frozen = false;
  const resize = (size: number): void => {
    const next = new Uint8Array(size);
    next.set(content.subarray(0, size));
    content = next;
  };
  return {
    content: () => content,
    run(s: typeof step extends fc.Arbitrary<infer S> ? S : never): Errno | "ok" {
      if (s.do === "freeze") frozen = s.on;
      else if (s.do === "truncate") {
        if (frozen && s.at !== content.length) return "EPERM";
        resize(s.at);
      } else if (s.do === "write") {
        if (s.length === 0) return "ok";
        let end = s.at + s.length;
        if (frozen && end > content.length) end = Math.floor(content.length / page) * page;
        if (end <= s.at) return "EPERM";
        if (end > content.length) resize(end);
        content.fill(s.value, s.at, end);
      } else {
        if (s.length === 0) return "EINVAL";
        if (frozen) return "EPERM";
        if (s.do === "punch") content.fill(0, s.at, s.at + s.length);
        else if (!s.keep && s.at + s.length > content.length) resize(s.at + s.length);
      }
      return "ok";
    },
  };
}

describe.each([0, 2, 4])("a file in folios of order %i", (folioOrder) => {
  it("has the bytes that were written, and no pages once it is closed", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), fc.boolean(), (steps, poisoned) => {
        const core = testKernel({ pages: 512 });
        if (poisoned) core.ram.poison(0x100, 512);
        const file = newMemfd(core, { folioOrder });
        const plain = model();
        for (const s of steps) {
          const result = attempt(() => {
            const at = BigInt("at" in s ? s.at : 0);
            if (s.do === "freeze") file.inode.frozenMapping = s.on;
            else if (s.do === "write") write(file, new Uint8Array(s.length).fill(s.value), at);
            else if (s.do === "truncate") truncate(file, at);
            else {
              const mode = s.do === "punch" ? punch : s.keep ? FALLOC_FL_KEEP_SIZE : 0;
              fallocate(file, mode, at, BigInt(s.length));
            }
          });
          expect("errno" in result ? result.errno : "ok").toBe(plain.run(s));
          expect(file.inode.size).toBe(BigInt(plain.content().length));
          expect(Buffer.compare(read(file, 40 * page, 0n), plain.content())).toBe(0);
        }
        let pages = 0;
        file.inode.folios.each(0, Number.POSITIVE_INFINITY, (index, pfn, order) => {
          expect([index % 2 ** order, pfn % 2 ** order]).toEqual([0, 0]);
          pages += 2 ** order;
        });
        expect(held(core)).toEqual(pages > 0 ? { memfd: pages } : {});
        putFile(file);
        expect(held(core)).toEqual({});
      }),
      { numRuns: 60 },
    );
  });
});

describe("the pattern of the captures", () => {
  const files = fixtures.flatMap(({ name, truth }) =>
    (truth.sessions ?? []).flatMap((session) =>
      session.files
        .filter(({ size }) => size < 1 << 23)
        .map((file) => ({
          name: `${name} ${session.name} ${file.token}`,
          file,
          arm: name.includes("arm64-64k"),
        })),
    ),
  );
  const some = files.filter(({ name }) => name.includes("kinds"));
  it("there are such files", () => expect(some.length).toBeGreaterThan(10));
  it.each(some)("$name", ({ file: wanted, arm }) => {
    const pageSize = arm ? 65536 : 4096;
    const core = testKernel({ pageSize, pages: 8192 });
    const file = newMemfd(core, { size: wanted.size, folioOrder: 3 });
    fillPattern(file, BigInt(wanted.token), wanted.ranges);
    expect(file.inode.size).toBe(BigInt(wanted.size));
    expect(Buffer.compare(read(file, wanted.size + 1, 0n), expectedContent(wanted, pageSize))).toBe(0);
  });
});
