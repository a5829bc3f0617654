/** Bytes and pages of every structure of a handover, to the byte, from its shape alone: sizes are those of the layouts. */
import { type Kernel, kernelOf } from "../../formats/kernels.js";
import { handoffSize, scratchSize } from "../../formats/kho/handoff-encode.js";
import { khoData, khoKexecMetadata, khoScratch, khoVmalloc } from "../../formats/kho/layout.js";
import { KHO_METADATA_NODE_NAME } from "../../formats/kho/metadata.js";
import { kexecMetadataSize } from "../../formats/kho/metadata-encode.js";
import type { OrderCount } from "../../formats/kho/preserved.js";
import type { SubtreeRef } from "../../formats/kho/root.js";
import { encodeRoot } from "../../formats/kho/root-encode.js";
import { KHO_TEST_FDT } from "../../formats/kho/test-module.js";
import { khoTestTree } from "../../formats/kho/test-module-encode.js";
import { vmallocChunks } from "../../formats/kho/vmalloc-encode.js";
import { LUO_KHO_ENTRY_NAME } from "../../formats/luo/luo.js";
import { encodeReserveMem } from "../../formats/memblock/encode.js";
import { MEMBLOCK_KHO_FDT } from "../../formats/memblock/memblock.js";
import type { Target } from "../../formats/target.js";
import { type Abi, sizeOf, u64 } from "../layout/index.js";
import { physAddr } from "../memory/index.js";
import { impossibleOf, liveUpdateRows } from "./live-update.js";
import { type MapCost, mapOf } from "./map.js";
import { summed } from "./orders.js";
import type { Shape } from "./shape.js";
import { contiguousRuns, type Stretch, singleRun } from "./stretches.js";
import { block, chunkRow, type StructureCost, type StructureId } from "./structure-row.js";

/** A handover of some shape in bytes and pages. */
export interface SpaceCost {
  readonly structures: readonly StructureCost[];
  readonly map: MapCost;
  /** Blocks that are preserved, by order: contents and structures. */
  readonly orders: readonly OrderCount[];
  /** Blocks of structures alone. */
  readonly structureOrders: readonly OrderCount[];
  /** Physically contiguous runs of what is preserved, as far as the shape says where it is. */
  readonly runs: number;
  /** What the release does not take, and why; empty for a shape that it can hand over. */
  readonly impossible: readonly string[];
}

/**
 * Works out what a handover occupies.
 * @throws KhoError `unknown-release`; `value-range` for blocks that no memory map can hold
 */
export function spaceOf(shape: Shape): SpaceCost {
  const abi: Abi = { byteOrder: "little", pageSize: shape.pageSize };
  const kernel = kernelOf(shape.release);
  const structures = structuresOf(shape, kernel, abi);
  const structureOrders = ordersOf(structures);
  const places = placesOf(shape, structureOrders);
  const map = mapOf(kernel, [...shape.data, ...places], abi);
  const data = shape.data.map(({ order, blocks, runs }) => ({ order, blocks: blocks * runs }));
  // Pages next to each other that nobody chose are no runs: where they lie is a guess, that they are few is none.
  const known = "stretches" in shape.structures ? places : [];
  return {
    structures: [...structures.slice(0, 3), ...map.rows, ...structures.slice(3)],
    map,
    orders: summed([...data, ...structureOrders]),
    structureOrders,
    runs: contiguousRuns([...shape.data, ...known]),
    impossible: impossibleOf(shape, kernel, abi),
  };
}

/** The same machine with nothing preserved but what always is. */
export function idleShape({ testModule: _, structures, ...shape }: Shape): Shape {
  const pfn = "pfn" in structures ? structures.pfn : (structures.stretches[0]?.pfn ?? 0);
  return { ...shape, sessions: [], regions: [], flbs: 0, data: [], structures: { pfn } };
}

function structuresOf(shape: Shape, kernel: Kernel, abi: Abi): StructureCost[] {
  const counting: Target = { abi, kernel, write() {}, leave() {} };
  const blobs = [
    ...memblock(shape, counting),
    ...liveUpdateRows(shape, counting),
    ...testModule(shape, counting),
    ...metadata(counting),
  ];
  const names: Partial<Record<StructureId, string>> = {
    memblock: MEMBLOCK_KHO_FDT,
    "luo-root": LUO_KHO_ENTRY_NAME,
    "test-tree": KHO_TEST_FDT,
    metadata: KHO_METADATA_NODE_NAME,
  };
  const subtrees = blobs.flatMap(({ id, bytes }): SubtreeRef[] => {
    const name = names[id];
    return name === undefined ? [] : [{ name, pa: physAddr(0), size: BigInt(bytes) }];
  });
  const root = encodeRoot(kernel, { mapPa: physAddr(0), subtrees }, abi).length;
  const { areas } = shape.scratch;
  const x86 = shape.arch === "x86_64";
  const boot = { pages: 0, order: "not-preserved" } as const;
  return [
    {
      ...boot,
      id: "handoff",
      name: x86 ? khoData.name : "/chosen",
      what: x86 ? "record of the boot loader" : "two properties of the device tree",
      count: 1,
      // Of a device tree, two pairs of two cells for address and size.
      bytes: x86 ? handoffSize : 4 * sizeOf(u64, abi),
    },
    {
      ...boot,
      id: "scratch",
      name: khoScratch.name,
      what: "array of the scratch areas",
      count: areas,
      bytes: Number(scratchSize(areas)),
    },
    block("root", "root tree", "flattened device tree", 1, root, 0),
    ...blobs,
  ];
}

const metadata = ({ abi, kernel }: Target): StructureCost[] =>
  kernel.metadata === undefined
    ? []
    : [block("metadata", khoKexecMetadata.name, "which kernel wrote it", 1, kexecMetadataSize(abi), 0)];

function memblock({ regions }: Shape, target: Target): StructureCost[] {
  if (regions.length === 0) return [];
  const list = regions.map(({ name }) => ({ name, start: physAddr(0), size: 0n, pa: physAddr(0) }));
  const bytes = encodeReserveMem(target, physAddr(0), list);
  return [block("memblock", "memblock tree", "reserve_mem regions", 1, bytes, 0)];
}

function testModule({ testModule: test }: Shape, { abi, kernel }: Target): StructureCost[] {
  if (!test) return [];
  const { folios, blobOrder } = test;
  const list = folios * sizeOf(u64, abi);
  const info = new Uint8Array(kernel.vmalloc ? sizeOf(khoVmalloc, abi) : list);
  const tree = khoTestTree({ magic: 0, nrFolios: folios, csum: 0 }, info, abi).length;
  const blob = block("test-tree", "kho_test tree", "of the test module", 1, tree, blobOrder);
  if (!kernel.vmalloc) return [blob];
  const pages = Math.ceil(list / abi.pageSize);
  const chunks = vmallocChunks(pages, abi);
  return [
    blob,
    {
      id: "test-list",
      name: "kho_test list",
      what: "its folios",
      count: folios,
      bytes: list,
      pages,
      order: 0,
    },
    chunkRow("test-chunks", chunks, pages, abi),
  ];
}

const ordersOf = (structures: readonly StructureCost[]): OrderCount[] =>
  summed(
    structures.flatMap(({ order, pages }) =>
      order === "not-preserved" ? [] : [{ order, blocks: pages / 2 ** order }],
    ),
  );

/** Where the structures lie: as given, or the larger blocks first from a page on. */
export function placesOf({ structures }: Shape, orders: readonly OrderCount[]): Stretch[] {
  if ("stretches" in structures) return [...structures.stretches];
  let at = structures.pfn;
  return [...orders].reverse().map(({ order, blocks }) => {
    const unit = 2 ** order;
    const pfn = Math.ceil(at / unit) * unit;
    at = pfn + blocks * unit;
    return singleRun(order, pfn, blocks);
  });
}
