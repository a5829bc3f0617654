import { describe, expect, it } from "vitest";
import { blockCapacity } from "../../../formats/kho/blocks.js";
import * as kho from "../../../formats/kho/layout.js";
import * as luo from "../../../formats/luo/layout.js";
import * as memfd from "../../../formats/memfd/layout.js";
import { capacity, offsetOf, type Struct, sizeOf } from "../../../src/layout/index.js";
import { abiOf } from "./support.js";

/** Entries in one page, or what else follows from the page size: 4K, 16K, 64K. */
const table: [string, (pageSize: number) => number, number[]][] = [
  [
    "bitmaps of a chunk",
    (p) => (sizeOf(kho.khoserMemChunk, abiOf(p)) - 16) / sizeOf(kho.khoserMemBitmapPtr, abiOf(p)),
    [255, 1023, 4095],
  ],
  ["bytes of a chunk", (p) => sizeOf(kho.khoserMemChunk, abiOf(p)), [4096, 16384, 65536]],
  ["bits of a bitmap of a page", (p) => sizeOf(kho.khoMemPhysBits, abiOf(p)) * 8, [32768, 131072, 524288]],
  ["bits of a bitmap up to 6.17.8", (p) => sizeOf(kho.khoMemPhysBits512, abiOf(p)) * 8, [4096, 4096, 4096]],
  ["entries of a radix table", (p) => sizeOf(kho.khoRadixNode, abiOf(p)) / 8, [512, 2048, 8192]],
  ["bits of a radix leaf", (p) => sizeOf(kho.khoRadixLeaf, abiOf(p)) * 8, [32768, 131072, 524288]],
  ["addresses of a vmalloc chunk", (p) => (sizeOf(kho.khoVmallocChunk, abiOf(p)) - 8) / 8, [511, 2047, 8191]],
  ["sessions of a block", (p) => blockCapacity(luo.luoSessionSer, { abi: abiOf(p) }), [51, 204, 819]],
  ["files of a block", (p) => blockCapacity(luo.luoFileSer, { abi: abiOf(p) }), [63, 255, 1023]],
  [
    "FLBs of a page",
    (p) => capacity(luo.luoFlbSer, p - sizeOf(luo.luoFlbHeaderSer, abiOf(p)), abiOf(p)),
    [63, 255, 1023],
  ],
  [
    "sessions of an area",
    (p) => capacity(luo.luoSessionSer, 16 * p - sizeOf(luo.luoSessionHeaderSer, abiOf(p)), abiOf(p)),
    [819, 3276, 13107],
  ],
  ["files of an area", (p) => capacity(luo.luoFileSer, 2 * p, abiOf(p)), [128, 512, 2048]],
];

describe.each(table)("%s", (_, of, wanted) => {
  it("with pages of 4K, 16K and 64K", () => expect([4096, 16384, 65536].map(of)).toEqual(wanted));
});

/** Size, and offset of each member. */
const structures: [Struct, number, Record<string, number>][] = [
  [kho.setupData, 16, { next: 0, type: 8, len: 12 }],
  [kho.khoData, 32, { fdt_addr: 0, fdt_size: 8, scratch_addr: 16, scratch_size: 24 }],
  [kho.bootParams, 0x258, { header: 0x202, setup_data: 0x250 }],
  [kho.khoScratch, 16, { addr: 0, size: 8 }],
  [kho.khoserMemChunkHdr, 16, { next: 0, order: 8, num_elms: 12 }],
  [kho.khoserMemBitmapPtr, 16, { phys_start: 0, bitmap: 8 }],
  [kho.khoVmalloc, 16, { first: 0, total_pages: 8, flags: 12, order: 14 }],
  [kho.khoBlockHeaderSer, 16, { next: 0, count: 8 }],
  [kho.khoKexecMetadata, 73, { version: 0, previous_release: 4, kexec_count: 69 }],
  [luo.luoSer, 32, { compatible: 0, liveupdate_num: 8, sessions_pa: 16, flbs_pa: 24 }],
  [luo.luoSerV2, 24, { liveupdate_num: 0, sessions_pa: 8, flbs_pa: 16 }],
  [luo.luoSessionSer, 80, { name: 0, file_set_ser: 64 }],
  [luo.luoFileSetSer, 16, { files: 0, count: 8 }],
  [luo.luoSessionHeaderSer, 8, { count: 0 }],
  [luo.luoFileSer, 64, { compatible: 0, data: 48, token: 56 }],
  [luo.luoFlbHeaderSer, 16, { pgcnt: 0, count: 8 }],
  [luo.luoFlbSer, 64, { name: 0, data: 48, count: 56 }],
  [memfd.memfdLuoSerV1, 40, { pos: 0, size: 8, nr_folios: 16, folios: 24 }],
  [memfd.memfdLuoSerV2, 48, { pos: 0, size: 8, seals: 16, flags: 20, nr_folios: 24, folios: 32 }],
  [memfd.memfdLuoFolioSer, 16, { pfn: 0, flags: 0, index: 8 }],
];

it.each(structures.map(([layout, ...rest]) => [layout.name, layout, ...rest] as const))(
  "%s",
  (_, layout, size, members) => {
    const abi = abiOf(4096);
    expect(sizeOf(layout, abi)).toBe(size);
    for (const [name, offset] of Object.entries(members))
      expect([name, offsetOf(layout, name, abi)]).toEqual([name, offset]);
  },
);
