/**
 * What real kernels wrote comes out of our encoders byte for byte: every page of every structure of every capture, but
 * for the bytes that no kernel defines. These are counted by name.
 */
import { describe, expect, it } from "vitest";
import { encodeHandover } from "../../src/handover/encode.js";
import { decodeHandover, parseMeta } from "../../src/handover/index.js";
import { placedAs } from "../../src/handover/placement.js";
import { openImage } from "../../src/image/node.js";
import { accountOf, differences, expectEqual, rewritten } from "../handover/roundtrip.js";
import { fixtures } from "./truth.js";

/** Undefined bytes of each kind. More of them, or other ones, is a structure that is no longer written. */
const undefinedBytes: Record<string, Record<string, number>> = {
  "6.18.15-resmem": { "array-tail": 4016, "fdt-slack": 11526, "boot-neighbours": 8096 },
  "6.19.10-memfd": {
    "array-tail": 573152,
    "page-tail": 580008,
    "records-beyond-count": 84344,
    "fdt-slack": 7776,
    "boot-neighbours": 8096,
  },
  "7.1.13-memfd": {
    "array-tail": 589408,
    "page-tail": 603127,
    "records-beyond-count": 87912,
    "fdt-slack": 7596,
    "boot-neighbours": 8096,
  },
  "7.3-memfd": {
    "array-tail": 678800,
    "page-tail": 696247,
    "records-beyond-count": 20848,
    "fdt-slack": 3811,
    "boot-neighbours": 8096,
  },
  "7.3-resmem": {
    "array-tail": 12112,
    "page-tail": 16183,
    "records-beyond-count": 11840,
    "fdt-slack": 11357,
    "boot-neighbours": 8096,
  },
  "7.3-arm64-64k-memfd": {
    "array-tail": 10988528,
    "page-tail": 11263927,
    "records-beyond-count": 377248,
    "fdt-slack": 65251,
    "boot-neighbours": 65488,
  },
};

it("says of every capture how much is undefined", () => {
  expect(fixtures.map(({ name }) => name).sort()).toEqual(Object.keys(undefinedBytes).sort());
});

describe.each(fixtures)("$name", ({ name, core, meta: text }) => {
  const image = openImage(core);
  const meta = parseMeta(text);
  const decoded = decodeHandover(image, { meta });
  const { handover, structures } = decoded;
  const encoded = encodeHandover(handover, placedAs(structures));

  it("comes out as it was, the hand-off record and the scratch array too", () => {
    expect(differences(encoded, image.memory)).toEqual([]);
    expect(encoded.handoff).toEqual(handover.handoff);
  });

  it("has every byte of its structures written, or named as undefined", () => {
    expect(accountOf(encoded, structures, handover.pageSize)).toEqual(undefinedBytes[name]);
  });

  it("is read in the same way again, whatever is in the undefined bytes", () => {
    const again = decodeHandover(rewritten(image, structures, encoded, handover.pageSize), { meta });
    expectEqual(again.handover, handover);
    expectEqual(again.structures, structures);
    expect(again.findings).toEqual(decoded.findings);
  });
});
