import { expect, it } from "vitest";
import { deviceName, parseDevice, pciName } from "../../src/iommu/names.js";

it.each([
  ["0000:00:05.0", 0x28],
  ["00:05.0", 0x28],
  ["0001:ff:1f.7", 0xffff],
  ["0x28", 0x28],
  ["40", 40],
  ["0x12345", 0x12345],
])("%s is a device", (name, id) => expect(parseDevice(name)).toBe(id));

it.each([
  "",
  "00:05",
  "00:20.0",
  "00:05.8",
  "100:00:05.0:",
  "-1",
  "0x100000000",
  "4294967296",
  "eth0",
  "00:05.0 ",
])("%j is none", (name) =>
  expect(() => parseDevice(name)).toThrow(expect.objectContaining({ code: "usage" })),
);

it("ids have names", () => {
  expect(deviceName(0x28)).toBe("00:05.0");
  expect(deviceName(0xffff)).toBe("ff:1f.7");
  expect(deviceName(0x12345)).toBe("0x12345");
  expect(pciName(1, 0x100)).toBe("0001:01:00.0");
});
