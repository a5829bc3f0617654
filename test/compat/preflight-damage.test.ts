/** Captures that are damaged in any way end in a verdict, or in an error of the closed set. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { preserve, written } from "../../src/compat/plan.js";
import { decodeHandover } from "../../src/handover/index.js";
import type { Image } from "../../src/image/image.js";
import { Machine } from "../../src/machine/index.js";
import { codes } from "../../src/report/codes.js";
import { isKhoError } from "../../src/report/error.js";
import { depart } from "../machine/departures.js";
import { newTestFlbs } from "../machine/liveupdate-test.js";
import { ask, machineCapture } from "./preflight-support.js";

function captureFrom(release: string) {
  const machine = Machine.boot({ release, reserveMem: [{ name: "trace", size: 8192 }] });
  if (machine.kernel.flb) for (const flb of newTestFlbs()) machine.registerFlb(flb);
  preserve(machine, [
    { name: "vm", files: [{ token: 1n, size: 8192, ranges: [written(0, 2)] }] },
    { name: "agent", files: [] },
  ]);
  return { ...machineCapture(depart(machine)), release };
}

/** An image of which some bytes are others. */
function withBytes(image: Image, changes: ReadonlyMap<bigint, number>): Image {
  const { memory } = image;
  return {
    ...image,
    memory: {
      ...memory,
      read(pa, length) {
        const bytes = memory.read(pa, length).slice();
        for (const [at, value] of changes)
          if (at >= pa && at < pa + BigInt(length)) bytes[Number(at - pa)] = value;
        return bytes;
      },
    },
  };
}

it.each(["6.19.10", "7.0", "7.3.4"])("of Linux %s", (release) => {
  const capture = captureFrom(release);
  const { handover, structures } = capture.decoded;
  // Most of a structure's page is slack: what means something is at its beginning, or at the end of a table.
  const place = fc
    .tuple(fc.constantFrom(...structures), fc.oneof(fc.nat(160), fc.nat(4095)))
    .map(([{ pa }, at]) => pa + BigInt(at));
  const change = fc.tuple(place, fc.constantFrom(0, 1, 0x7f, 0x80, 0xff));
  const verdicts = new Set<string>();
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const image = withBytes(capture.image, new Map(changes));
      try {
        const decoded = decodeHandover(image, {
          fdt: handover.handoff.fdtPa,
          release,
          mode: "forensic",
          pageSize: 4096,
        });
        const { verdict, promised, detail } = ask({ image, decoded }, release, { maxTries: 4 });
        expect(promised && verdict !== "works").toBe(false);
        expect(verdict === "works" || detail !== "").toBe(true);
        verdicts.add(verdict);
      } catch (error) {
        if (!isKhoError(error)) throw error;
        expect(Object.keys(codes)).toContain(error.code);
      }
    }),
    { numRuns: 25 },
  );
  expect(verdicts.size).toBeGreaterThan(1);
});
