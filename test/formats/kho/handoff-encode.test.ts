import { describe, expect, it } from "vitest";
import { readFdt } from "../../../formats/fdt/index.js";
import { handoffOfChosen } from "../../../formats/kho/handoff.js";
import {
  chosenProperties,
  encodeChosen,
  encodeHandoff,
  encodeScratch,
} from "../../../formats/kho/handoff-encode.js";
import { physAddr } from "../../../src/memory/index.js";
import { dump } from "../../handover/synthetic/ram.js";
import { failure } from "../../layout/support.js";
import { targetOf } from "../target.js";

const record = {
  recordPa: physAddr(0xeffa130),
  fdtPa: physAddr(0x100a51000),
  fdtSize: 0x1000n,
  scratchPa: physAddr(0x7fe0000),
  scratchSize: 48n,
};

describe("the hand-off record of x86", () => {
  const bytes = dump(`
0000  00 00 00 00 00 00 00 00  0a 00 00 00 20 00 00 00
0010  00 10 a5 00 01 00 00 00  00 10 00 00 00 00 00 00
0020  00 00 fe 07 00 00 00 00  30 00 00 00 00 00 00 00`);
  it("is the last of its list", () => {
    const target = targetOf();
    encodeHandoff(target, record);
    expect(target.at(0xeffa130, 48)).toEqual(bytes);
    expect(target.left).toEqual([]);
  });
  it("or leads to another node", () => {
    const target = targetOf();
    encodeHandoff(target, record, physAddr(0x1234));
    expect([...target.at(0xeffa130, 9)]).toEqual([0x34, 0x12, 0, 0, 0, 0, 0, 0, 10]);
  });
});

it("the array of scratch areas", () => {
  const target = targetOf();
  encodeScratch(target, physAddr(0x7fe0000), [
    { pa: physAddr(0x8000000), size: 0x2000000n },
    { pa: physAddr(0x60000000), size: 0x10000000n },
    { pa: physAddr(0x40000000), size: 0x10000000n },
  ]);
  expect(target.at(0x7fe0000, 48)).toEqual(
    dump(`
0000  00 00 00 08 00 00 00 00  00 00 00 02 00 00 00 00
0010  00 00 00 60 00 00 00 00  00 00 00 10 00 00 00 00
0020  00 00 00 40 00 00 00 00  00 00 00 10 00 00 00 00`),
  );
});

describe("the hand-off in a device tree", () => {
  it("is two pairs of big-endian cells", () => {
    const [fdt, scratch] = chosenProperties(record, { address: 2, size: 2 });
    expect(fdt).toEqual(["linux,kho-fdt", dump("0000  00 00 00 01 00 a5 10 00 00 00 00 00 00 00 10 00")]);
    expect(scratch).toEqual([
      "linux,kho-scratch",
      dump("0000  00 00 00 00 07 fe 00 00 00 00 00 00 00 00 00 30"),
    ]);
    expect(chosenProperties(record, { address: 2, size: 1 })[0]![1].length).toBe(12);
  });
  it("comes out of a tree of its own", () => {
    for (const size of [1, 2])
      expect(handoffOfChosen(readFdt(encodeChosen(record, { address: 2, size })))).toEqual({
        ...record,
        recordPa: 0n,
      });
  });
  it("needs enough cells", () => {
    expect(failure(() => encodeChosen(record, { address: 1, size: 1 }))).toMatchObject({
      code: "value-range",
      path: "/chosen/linux,kho-fdt",
    });
    expect(failure(() => encodeChosen(record, { address: 3, size: 1 })).code).toBe("value-range");
  });
});
