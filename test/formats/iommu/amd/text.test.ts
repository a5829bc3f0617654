import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { devtblText, parseDevtbl } from "../../../../formats/iommu/amd/text.js";

const words = (...values: bigint[]): Uint8Array => new Uint8Array(BigUint64Array.from(values).buffer);

const text = `DeviceId             QWORD[3]         QWORD[2]         QWORD[1]         QWORD[0] iommu
0000:03:00.0 0000000000000000 2000000100800013 0000000000000005 6000000100000603 iommu0
`;
const said = {
  segment: 0,
  device: 0x300,
  bytes: words(0x6000000100000603n, 5n, 0x2000000100800013n, 0n),
  iommu: 0,
};

describe("the text of devtbl", () => {
  it("is what the kernel prints", () => expect(devtblText(said)).toBe(text));
  it("is read", () => expect(parseDevtbl(text)).toEqual([said]));

  it("comes back", () =>
    fc.assert(
      fc.property(
        fc.record({
          segment: fc.nat(0xffff),
          device: fc.nat(0xffff),
          bytes: fc.uint8Array({ minLength: 32, maxLength: 32 }),
          iommu: fc.nat(999),
        }),
        (entry) => {
          expect(parseDevtbl(devtblText(entry))).toEqual([entry]);
        },
      ),
    ));

  it("of several devices has their entries in order", () => {
    const other = { ...said, segment: 0xab, device: 0xffff, iommu: 12 };
    expect(parseDevtbl(devtblText(said) + devtblText(other))).toEqual([said, other]);
  });

  it.each([
    "",
    "Enter a valid device ID to 'devid' file\n",
    "0000:03:20.0 0000000000000000 2000000100800013 0000000000000005 6000000100000603 iommu0",
    "0000:03:00.8 0000000000000000 2000000100800013 0000000000000005 6000000100000603 iommu0",
    "0000:03:00.0 2000000100800013 0000000000000005 6000000100000603 iommu0",
    "0000:03:00.0 0x00000000000000 2000000100800013 0000000000000005 6000000100000603 iommu0",
  ])("%j says nothing", (nothing) => expect(parseDevtbl(nothing)).toEqual([]));
});
