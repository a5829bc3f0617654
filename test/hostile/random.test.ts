import fc from "fast-check";
import { describe, it } from "vitest";
import { KhoError, memfdContent } from "../../src/index.js";
import { load, names } from "./captures.js";
import { checkInterchange, endure } from "./endure.js";

/** Rounds for each capture: `KHO_FUZZ_RUNS` for more than the few that every run of the tests makes. */
const numRuns = Number(process.env.KHO_FUZZ_RUNS ?? 200);
/** A fixed beginning, so that every run makes the same damage; `KHO_FUZZ_SEED` for another one. */
const seed = Number(process.env.KHO_FUZZ_SEED ?? 20_261);

type Damage =
  | { readonly kind: "byte"; readonly page: number; readonly at: number; readonly value: number }
  | { readonly kind: "word"; readonly page: number; readonly at: number; readonly value: bigint }
  | {
      readonly kind: "pointer";
      readonly page: number;
      readonly at: number;
      readonly to: number;
      readonly off: bigint;
    }
  | { readonly kind: "copy"; readonly page: number; readonly from: number }
  | { readonly kind: "drop"; readonly page: number };

const page = fc.nat(10_000);
/** Half of all damage is to the beginning of a page, where structures have their heads. */
const at = fc.oneof(fc.nat(127), fc.nat(4095));
const special = fc.constantFrom(
  0n,
  1n,
  0xffffn,
  1n << 31n,
  (1n << 32n) - 1n,
  1n << 52n,
  1n << 61n,
  1n << 63n,
  (1n << 64n) - 1n,
);
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant("byte" as const), page, at, value: fc.nat(255) }),
  fc.record({
    kind: fc.constant("word" as const),
    page,
    at,
    value: fc.oneof(special, fc.bigInt(0n, (1n << 64n) - 1n)),
  }),
  fc.record({
    kind: fc.constant("pointer" as const),
    page,
    at,
    to: page,
    off: fc.constantFrom(0n, 0n, 0n, 8n, 1n, 4095n),
  }),
  fc.record({ kind: fc.constant("copy" as const), page, from: page }),
  fc.record({ kind: fc.constant("drop" as const), page }),
);

describe.each(names)("%s", (name) => {
  const capture = load(name);
  const { memory } = capture;
  memory.zeros.push({ pa: 1n << 61n, size: 1n << 60n });
  const frames = [...memory.pages.keys()].map((frame) => BigInt(frame) * 4096n);
  const pageAt = (i: number): bigint => frames[i % frames.length]!;

  it("survives any damage in any combination", () => {
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 12 }), (all) => {
        try {
          for (const one of all) {
            const pa = pageAt(one.page);
            if (one.kind === "byte") memory.poke(pa + BigInt(one.at), [one.value]);
            else if (one.kind === "word") memory.put(pa + BigInt(one.at & ~7), one.value);
            else if (one.kind === "pointer") memory.put(pa + BigInt(one.at & ~7), pageAt(one.to) + one.off);
            else if (one.kind === "copy") memory.poke(pa, memory.peek(pageAt(one.from), 4096));
            else memory.drop(pa);
          }
          const { forensic } = endure(capture, "damaged");
          if (!forensic) return;
          checkInterchange(forensic);
          for (const session of forensic.handover.luo?.sessions ?? [])
            for (const { memfd } of session.files) if (memfd) drain(memfd);
        } finally {
          memory.restore();
        }
      }),
      { numRuns, seed },
    );
  });

  const bounded = new Set(["memory-absent", "limit-exceeded"]);
  /** Contents are not in these captures, so that most end at once; none may go on for ever. */
  function drain(memfd: Parameters<typeof memfdContent>[1]): void {
    let pieces = 0;
    try {
      for (const _ of memfdContent(memory, memfd, 4096)) pieces++;
    } catch (error) {
      if (!(error instanceof KhoError) || !bounded.has(error.code)) throw error;
    }
    if (pieces > 4 * memfd.folios.length + 4)
      throw new Error(`${pieces} pieces of ${memfd.folios.length} runs`);
  }
});
