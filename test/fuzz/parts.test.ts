/** The parts of the engine, each for itself. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { distil } from "../../src/fuzz/corpus.js";
import { newLedger } from "../../src/fuzz/ledger.js";
import { minimise } from "../../src/fuzz/minimise.js";
import { mutateBytes } from "../../src/fuzz/mutate.js";
import { applied, trialsOf } from "../../src/fuzz/operands.js";
import { placeOf } from "../../src/fuzz/place.js";
import { newRandom } from "../../src/fuzz/random.js";

const bytes = fc.uint8Array({ maxLength: 200 });

describe("random", () => {
  test("stays below, and is the same for the same seed", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        fc.integer({ min: 1, max: 2 ** 32 }),
        (seed, n) => {
          const [a, b] = [newRandom(seed), newRandom(seed)];
          for (let i = 0; i < 20; i++) {
            const value = a.below(n);
            expect(Number.isInteger(value) && value >= 0 && value < n).toBe(true);
            expect(b.below(n)).toBe(value);
          }
          expect(a.u64()).toBe(b.u64());
        },
      ),
    );
  });

  test("takes every value about as often", () => {
    const random = newRandom(3);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) counts[random.below(10)]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });

  test("seeds next to each other have nothing in common", () => {
    const first = [0, 1, 2, 3].map((seed) => newRandom(seed).u32());
    expect(new Set(first).size).toBe(4);
  });
});

test("byte mutators keep to the length and leave the input as it is", () => {
  fc.assert(
    fc.property(bytes, bytes, fc.nat(), (data, other, seed) => {
      const before = data.slice();
      const material = { maxLength: 220, tokens: [other.subarray(0, 9)], other: () => other };
      const mutated = mutateBytes(data, newRandom(seed), material);
      expect(mutated.length).toBeLessThanOrEqual(220);
      expect(mutateBytes(data, newRandom(seed), material)).toEqual(mutated);
      expect(data).toEqual(before);
    }),
  );
});

describe("operands", () => {
  const widths = [2, 4, 8].flatMap((width) => [true, false].map((little) => ({ width, little })));

  test.each(widths)("a word of $width bytes, low byte first: $little", ({ width, little }) => {
    const [is, other] = [0xa1b2c3d4e5f60718n, 0x7f01020304050607n].map(
      (value) => value >> BigInt(64 - 8 * width),
    );
    const data = new Uint8Array(32);
    const write = (at: Uint8Array, value: bigint): void => {
      for (let i = 0; i < width; i++)
        at[5 + (little ? i : width - 1 - i)] = Number((value >> BigInt(8 * i)) & 0xffn);
    };
    write(data, is!);
    const value = width === 8 ? is! : Number(is);
    const wanted = width === 8 ? other! : Number(other);
    const inputs = trialsOf(data, [{ edge: 1, left: value, right: wanted }]).map((trial) =>
      applied(data, trial),
    );
    for (const near of [other!, other! + 1n, other! - 1n]) {
      const expected = data.slice();
      write(expected, near);
      expect(inputs).toContainEqual(expected);
    }
  });

  test("a name, with what is left of the old one", () => {
    const data = new TextEncoder().encode("..old-name..");
    const inputs = trialsOf(data, [{ edge: 1, left: "luo", right: "old-name" }]).map((trial) =>
      applied(data, trial),
    );
    expect(inputs.map((input) => new TextDecoder().decode(input))).toEqual(["..luo\0\0\0\0\0.."]);
  });

  test("nothing for what is everywhere", () => {
    expect(trialsOf(new Uint8Array(100), [{ edge: 1, left: 0, right: 7 }]).length).toBeLessThanOrEqual(48);
  });
});

describe("minimiser", () => {
  const effort = { executions: 5000, steps: Number.POSITIVE_INFINITY, late: () => false };

  test("leaves what matters", () => {
    fc.assert(
      fc.property(bytes, bytes, (before, behind) => {
        const data = Uint8Array.of(...before, 1, 2, 3, ...behind);
        const holds = (input: Uint8Array) => ({ holds: `,${input},`.includes(",1,2,3,"), steps: 1 });
        expect([...minimise(data, holds, effort)]).toEqual([1, 2, 3]);
      }),
    );
  });

  test("makes what has to be there simple", () => {
    const data = Uint8Array.from({ length: 64 }, (_, i) => i + 1);
    const holds = (input: Uint8Array) => ({ holds: input.length === 64 && input[40] === 41, steps: 1 });
    const expected = new Uint8Array(64);
    expected[40] = 41;
    expect(minimise(data, holds, effort)).toEqual(expected);
  });

  test("ends when its effort is spent", () => {
    let count = 0;
    const holds = () => ({ holds: ++count < 0, steps: 10 });
    minimise(new Uint8Array(1000), holds, { ...effort, executions: 30 });
    expect(count).toBe(30);
    minimise(new Uint8Array(1000), holds, { ...effort, steps: 100 });
    expect(count).toBe(40);
  });
});

test("a distilled corpus reaches all that the whole one does", () => {
  const entry = fc.record({
    data: bytes,
    features: fc.uniqueArray(fc.nat(60)).map((features) => Uint32Array.from(features.sort((a, b) => a - b))),
    steps: fc.nat(1000),
  });
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      const reached = (of: typeof entries): number[] =>
        [...new Set(of.flatMap(({ features }) => [...features]))].sort();
      const kept = distil(entries);
      expect(reached(kept)).toEqual(reached(entries));
      expect(kept.length).toBeLessThanOrEqual(reached(entries).length);
    }),
  );
});

test("a ledger gives rounds by worker, whoever comes first", async () => {
  const ledger = newLedger(2, "nothing");
  ledger.put(1, 0, "b0");
  ledger.put(1, 1, "b1");
  ledger.close(1);
  ledger.put(0, 0, "a0");
  expect(await ledger.at(0)).toEqual(["a0", "b0"]);
  ledger.put(0, 2, "a2");
  expect(await ledger.at(2)).toEqual(["a2", "nothing"]);
  expect(ledger.isOver(3)).toBe(false);
  ledger.close(0);
  expect(await ledger.at(1)).toEqual(["nothing", "b1"]);
  expect([ledger.isOver(2), ledger.isOver(3)]).toEqual([false, true]);
});

describe("the place of a finding", () => {
  const error = (message: string, stack: string): Error =>
    Object.assign(new Error(message), { stack: `Error: ${message}\n${stack}` });
  const frame = (name: string, line: number): string =>
    `    at ${name} (/a/formats/kho/${name}.ts:${line}:5)\n`;

  test("does not depend on lines, numbers and names", () => {
    const one = error('no "vm-1" at 0x1000, but 17', frame("inner", 4) + frame("outer", 9));
    const two = error('no "vm-22" at 0xfff8, but 4', frame("inner", 5) + frame("outer", 9));
    expect(placeOf(one)).toBe(placeOf(two));
    expect(placeOf(one)).toBe(
      'Error: no "…" at N, but N in inner formats/kho/inner.ts < outer formats/kho/outer.ts',
    );
  });

  test("of what does not end is the loop", () => {
    const stops = ["a", "b", "c"].map((name) =>
      error("steps", frame(name, 1) + frame("loop", 2) + frame("decode", 3)),
    );
    expect(placeOf(stops[0]!, stops.slice(1))).toBe(
      "loop formats/kho/loop.ts < decode formats/kho/decode.ts",
    );
  });
});
