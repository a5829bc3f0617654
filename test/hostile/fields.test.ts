import { describe, expect, it } from "vitest";
import { type Capture, load, names } from "./captures.js";
import { endure, isNoticed } from "./endure.js";
import { type Field, fieldsOf, spansOf } from "./targets.js";

/** What a count can be to do harm. */
const counts = [0n, 1n, 1n << 16n, (1n << 32n) - 1n, 1n << 32n, 1n << 53n, 1n << 63n, (1n << 64n) - 1n];
/** Zeros without end that nothing stores. */
const tail = 1n << 61n;

/** Where a pointer can lead to do harm. */
function* aims({ memory, decoded }: Capture, field: Field): Generator<[string, bigint]> {
  const page = field.within - (field.within % 4096n);
  const { fdtPa, recordPa } = decoded.handover.handoff;
  const target = memory.get(field.pa);
  yield ["itself", field.pa];
  yield ["its structure", page];
  yield ["the structure that leads there", parentOf(decoded, field.within)];
  yield ["the root", fdtPa];
  yield ["the hand-off record", recordPa];
  yield ["unmapped memory", 0xdead_0000_0000n];
  yield ["0", 0n];
  yield ["the end of the address space", (1n << 64n) - 1n];
  yield ["its last page", (1n << 64n) - 4096n];
  yield ["the middle of its target", target + 8n];
  yield ["the byte behind its target", target + 1n];
  yield ["endless zeros", tail];
}

/** The structure that was reached before this one. */
function parentOf({ structures }: Capture["decoded"], pa: bigint): bigint {
  const i = structures.findIndex((claim) => claim.pa === pa - (pa % 4096n));
  return structures[Math.max(0, i - 1)]!.pa;
}

describe.each(names)("%s", (name) => {
  const capture = load(name);
  const { memory, decoded } = capture;
  memory.zeros.push({ pa: tail, size: 1n << 60n });
  memory.drop(1n << 63n);
  const spans = spansOf(capture);
  const { pointers, counts: numbers } = fieldsOf(capture, spans);
  /** Of long lists the beginning is enough: the first records, and of tables of one level the first. */
  const few = (fields: readonly Field[], most: number): Field[] => {
    const seen = new Map<string, number>();
    return fields.filter(({ path }) => {
      const kind = path.replace(/\d+/g, "N");
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
      return seen.get(kind)! <= most;
    });
  };

  it("survives every pointer that leads where it should not, and says so", () => {
    const chosen = few(pointers, 4);
    const silent: string[] = [];
    expect(chosen.length).toBeGreaterThan(20);
    for (const field of chosen)
      for (const [where, aim] of aims(capture, field)) {
        const before = memory.get(field.pa);
        memory.put(field.pa, aim);
        const outcome = endure(capture, `${field.path} to ${where}`);
        // The next node of a list whose first one is the record is not looked at.
        if (aim !== before && !field.path.startsWith("setup_data") && !isNoticed(outcome, decoded))
          silent.push(`${field.path} to ${where}`);
        memory.restore();
      }
    expect(silent).toEqual([]);
  });

  it("survives every number that is too small or too large", () => {
    const chosen = few(numbers, 2);
    expect(chosen.length).toBeGreaterThan(20);
    for (const field of chosen)
      for (const value of counts) {
        if (field.size < 8 && value >> BigInt(8 * field.size) !== 0n) continue;
        memory.put(field.pa, value, field.size, field.big);
        endure(capture, `${field.path} as ${value}`);
        memory.restore();
      }
  });

  it("notices a count that does not agree with what is there", () => {
    const exact = numbers.filter(({ path }) =>
      /(sessions.*|files.*|flbs)\.count$|\.num_elms$|nr_folios$|total_pages$|\.memfd.*\.order$/.test(path),
    );
    const silent: string[] = [];
    for (const field of few(exact, 6))
      for (const value of [memory.get(field.pa, field.size) + 1n, (1n << BigInt(8 * field.size)) - 1n]) {
        memory.put(field.pa, value, field.size);
        if (!isNoticed(endure(capture, `${field.path} as ${value}`), decoded))
          silent.push(`${field.path} as ${value}`);
        memory.restore();
      }
    expect(silent).toEqual([]);
  });
});
