import { expect, it } from "vitest";
import { readFdt } from "../../../formats/fdt/index.js";
import { decodeReserveMem } from "../../../formats/memblock/memblock.js";
import { physAddr } from "../../../src/memory/index.js";
import { Ram } from "../../handover/synthetic/ram.js";
import { sequentialTree } from "../../handover/synthetic/trees.js";
import { memblockTree } from "../../handover/synthetic/writer.js";
import { contextOf } from "../kho/support.js";

it("regions, up to the last address that there is", () => {
  const regions = [
    { name: "trace", start: 0x12000000n, size: 0x200000n },
    { name: "top", start: 2n ** 64n - 0x1000n, size: 0x1000n },
    { name: "empty", start: 0n, size: 0n },
  ];
  const { ctx, findings } = contextOf(new Ram());
  expect(
    decodeReserveMem(ctx, readFdt(sequentialTree(memblockTree(regions))), physAddr(0x10456c000)),
  ).toEqual(regions);
  expect(findings).toEqual([]);
});

it("a region that wraps around is an error that costs this region", () => {
  const { ctx, findings } = contextOf(new Ram());
  decodeReserveMem(
    ctx,
    readFdt(sequentialTree(memblockTree([{ name: "x", start: 2n ** 64n - 4096n, size: 8192n }]))),
    physAddr(0),
  );
  expect(findings).toEqual([
    expect.objectContaining({ severity: "error", code: "reserve-mem-malformed", path: "reserve_mem.x" }),
  ]);
});
