import { describe, expect, it } from "vitest";
import { newFrameSet } from "../../formats/iommu/frames.js";
import { checkReach, checkTables, keptBy } from "../../src/iommu/cross-check.js";
import { physAddr } from "../../src/memory/index.js";
import { contextOver, handoverOf, type Row, runsOf } from "./support.js";

const captured = [{ pa: physAddr(0), size: 0x10000000n }];

function check(
  handover: Parameters<typeof handoverOf>[0],
  ...rows: readonly Row[]
): (readonly [string, string, string, bigint])[] {
  const { ctx, findings } = contextOver();
  checkReach(ctx, "devices[0x28]", runsOf(rows), keptBy(handoverOf(handover), captured));
  return findings.map(
    ({ severity, code, message, pa }) => [severity, code, message.split(":")[0]!, pa] as const,
  );
}

describe("what a device reaches", () => {
  it("is fine where all of it is preserved, in whatever blocks", () => {
    expect(
      check(
        {
          preserved: [
            [0x100, 0x10],
            [0x110, 0x10],
          ],
        },
        [0, 0x108, 0x10, 3],
      ),
    ).toEqual([]);
  });

  it("is lost where it is not, and the first page is named", () => {
    expect(check({ preserved: [[0x100, 8]] }, [0, 0x104, 8, 3], [0x100, 0x200, 1, 1])).toEqual([
      [
        "error",
        "iommu-mapped-lost",
        "5 pages of 4 KiB that the device can reach are not preserved",
        0x108000n,
      ],
    ]);
  });

  it("may be another device where the capture has no memory", () => {
    expect(check({ preserved: [] }, [0, 0xfee00, 1, 2])).toEqual([
      [
        "warning",
        "iommu-mapped-lost",
        "a page of 4 KiB that the device can reach is neither preserved nor in the capture",
        0xfee00000n,
      ],
    ]);
  });

  it("is overwritten in scratch, preserved or not", () => {
    const scratch = [[0x200000n, 0x100000n]] as const;
    expect(check({ preserved: [[0x1f0, 0x20]], scratch }, [0, 0x1fe, 4, 3])).toEqual([
      [
        "error",
        "iommu-mapped-scratch",
        "2 pages of 4 KiB that the device can reach are in scratch, which the next kernel uses from the first moment on",
        0x200000n,
      ],
    ]);
  });

  it("is not judged without a memory map", () => expect(check({}, [0, 0x100, 1, 3])).toEqual([]));
});

it("tables that a device can write to are found, those that it can only read are not", () => {
  const { ctx, findings } = contextOver();
  const tables = newFrameSet();
  for (const frame of [0x500, 0x501, 0x900]) tables.add(frame);
  checkTables(ctx, "devices[0x28]", runsOf([[0, 0x4f0, 0x20, 1]]), tables);
  expect(findings).toEqual([]);
  checkTables(ctx, "devices[0x28]", runsOf([[0, 0x501, 0x400, 2]]), tables);
  expect(findings).toMatchObject([
    { code: "iommu-table-writable", pa: 0x501000n, message: expect.stringContaining("2 pages of 4 KiB") },
  ]);
});
