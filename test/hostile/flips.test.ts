import { describe, expect, it } from "vitest";
import { load, names } from "./captures.js";
import { endure, isNoticed } from "./endure.js";
import { freeBytes, type Span, spansOf } from "./targets.js";

/** A fixed choice of zero bytes in tables and bitmaps: these are most of a page. */
const isSampled = (span: Span, at: number): boolean =>
  (at * 2654435761 + span.path.length * 40503) % 251 === 0;

describe.each(names)("%s with one byte inverted", (name) => {
  const capture = load(name);
  const { memory, decoded } = capture;
  const spans = spansOf(capture);

  it("has structures to damage, and no finding undamaged", () => {
    expect(decoded.findings).toEqual([]);
    expect(new Set(spans.map(({ path }) => path)).size).toBeGreaterThan(15);
  });

  it("ends in a result or a KhoError wherever the byte is, and is noticed where it means something", () => {
    const silent: string[] = [];
    let damaged = 0;
    for (const span of spans) {
      const isFree = freeBytes(capture, span);
      const record = Number(/#(\d+)$/.exec(span.path)?.[1] ?? 0);
      for (let at = 0; at < span.length; at++) {
        const pa = span.pa + BigInt(at);
        const zero = memory.peek(pa, 1)[0] === 0;
        if (zero && span.sparse && !isSampled(span, at)) continue;
        // Of long lists of equal records the first is damaged everywhere, of the others one byte in seven.
        if (record > 0 && (at + record) % 11 !== 0) continue;
        if (isFree(at) && at % 7 !== 0) continue;
        if (/folios_info$/.test(span.path) && at > 32 && at % 13 !== 0) continue;
        memory.flip(pa);
        const outcome = endure(capture, `${span.path}+${at}`, damaged++ % 32 === 0);
        if (!isFree(at) && !isNoticed(outcome, decoded)) silent.push(`${span.path}+${at}`);
        memory.restore();
      }
    }
    expect(damaged).toBeGreaterThan(1000);
    expect(silent).toEqual([]);
  });
});
