/** What kernel code hands over, without anybody in user space. */
import { khoVmalloc } from "../../../formats/kho/layout.js";
import { encode } from "../../layout/index.js";
import { type Machine, patternBytes } from "../../machine/index.js";
import { pageOf, paOf } from "../../machine/kernel.js";
import type { State } from "./state.js";

/** Bytes of contents at the beginning of each page. */
const mark = 64;

/** Writes contents that no two pages have in common. */
function fill({ core, memory }: Machine, pfn: number, pages: number): void {
  for (let page = pfn; page < pfn + pages; page++)
    memory.write(paOf(page, core.abi), patternBytes(0n, page, mark));
}

export const empty: State = {
  name: "empty",
  summary: "KHO is on, live update as well where there is any, and nobody preserves anything",
  liveupdate: true,
};

/** Far apart, so that a memory map has several parts for each order. */
const blocks: readonly (readonly [mebibytes: number, order: number])[] = [
  [40, 0],
  [72, 3],
  [96, 9],
  [112, 1],
  [144, 0],
  [148, 4],
  [152, 8],
];

export const severalOrders: State = {
  name: "blocks",
  summary: "kernel code preserves blocks of orders 0 to 9 and a range that takes several",
  liveupdate: false,
  prepare(machine) {
    const { core, kho } = machine;
    const { pageSize } = core.abi;
    const base = Number(machine.hardware.banks[0]!.pa) / pageSize;
    // As many pages apart, whatever their size.
    const at = (mebibytes: number): number => base + mebibytes * 256;
    for (const [mebibytes, order] of blocks) {
      core.pages.reserve(at(mebibytes), 2 ** order, "test");
      fill(machine, at(mebibytes), 2 ** order);
      kho.preserveFolio(at(mebibytes), order);
    }
    const [odd, pages] = [at(156) + 3, 41];
    core.pages.reserve(odd, pages, "test");
    fill(machine, odd, pages);
    kho.preservePages(odd, pages);
  },
};

export const reserveMem: State = {
  name: "reserve-mem",
  summary: "two regions of reserve_mem= with contents",
  liveupdate: false,
  reserveMem: ({ pageSize }) => [
    { name: "trace", size: 512 * pageSize, align: 512 * pageSize },
    { name: "small", size: 3 * pageSize },
  ],
  prepare(machine) {
    const { pageSize } = machine.core.abi;
    for (const { start, size } of machine.regions)
      fill(machine, pageOf(start, machine.core.abi), Number(size) / pageSize);
  },
};

export const metadata: State = {
  name: "metadata",
  summary: "kexec-metadata that has counted two kexecs",
  liveupdate: false,
  kexecs: 2,
  lacks: (kernel) => (kernel.metadata === undefined ? "has no kexec-metadata" : undefined),
};

/** Pages of the area: those of two chunks, which list 511 pages of 4 KiB each, and more. */
const areaPages = ({ pageSize }: { readonly pageSize: number }): number => (pageSize / 8 - 1) * 2 + 1;

export const vmalloc: State = {
  name: "vmalloc",
  summary: "kernel code preserves a vmalloc area that three chunks describe",
  liveupdate: false,
  lacks: (kernel, abi) =>
    !kernel.vmalloc
      ? "cannot preserve vmalloc areas"
      : abi.pageSize > 4096
        ? `needs ${areaPages(abi)} pages of ${abi.pageSize} bytes for an area of three chunks`
        : undefined,
  prepare(machine) {
    const { core, kho, memory } = machine;
    const { abi, pages } = core;
    const area = Array.from({ length: areaPages(abi) }, () => {
      const pfn = pages.allocate(0, "test area")!;
      fill(machine, pfn, 1);
      return pfn;
    });
    const descriptor = kho.preserveVmalloc(area, 0, "test area");
    const pfn = pages.allocate(0, "test descriptor")!;
    memory.zero(pfn, 1);
    memory.write(paOf(pfn, abi), encode(khoVmalloc, descriptor, abi));
    kho.preserveFolio(pfn, 0);
  },
};
