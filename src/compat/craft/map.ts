/** Takes blocks out of the memory map of a handover, or puts them in, bit by bit. */
import { khoMemPhysBits, khoRadixLeaf, khoRadixNode, khoserMemChunk } from "../../../formats/kho/layout.js";
import { radixKey, radixPath, radixShape } from "../../../formats/kho/map-radix.js";
import type { Struct } from "../../layout/index.js";
import { addressOf, type PhysAddr } from "../../memory/index.js";
import { KhoError } from "../../report/error.js";
import type { Editor } from "./edit.js";

/** Sets or clears the bit of the block of `2 ** order` pages at `pfn`. The map must have a leaf or bitmap for it. */
export function setPreserved(editor: Editor, order: number, pfn: number, preserved: boolean): void {
  const { layout, pa, member, bit } = placeOf(editor, order, pfn);
  const word = Math.floor(bit / 64);
  const mask = 1n << BigInt(bit % 64);
  const words = editor.get(layout, pa)[member] as BigUint64Array;
  const was = words[word]!;
  editor.setElement(layout, pa, member, word, preserved ? was | mask : was & ~mask);
}

interface BitPlace {
  readonly layout: Struct;
  readonly pa: PhysAddr;
  readonly member: string;
  readonly bit: number;
}

function placeOf(editor: Editor, order: number, pfn: number): BitPlace {
  const { abi, handover } = editor;
  const { rootPa } = handover.preserved!;
  if (editor.kernel.bitmap === undefined) {
    const { indices, bit } = radixPath(radixKey(addressOf(pfn, abi.pageSize), order, abi), radixShape(abi));
    let pa = rootPa;
    for (const index of indices)
      pa = (editor.get(khoRadixNode, pa).table as BigUint64Array)[index]! as PhysAddr;
    if (pa === 0n) throw missing(order, pfn);
    return { layout: khoRadixLeaf, pa, member: "bitmap", bit };
  }
  const bits = abi.pageSize * 8;
  for (let chunk = rootPa; chunk !== 0n; ) {
    const { hdr, bitmaps } = editor.get(khoserMemChunk, chunk);
    for (const { phys_start, bitmap } of bitmaps.slice(0, hdr.num_elms)) {
      const bit = pfn / 2 ** order - Number(phys_start / BigInt(abi.pageSize)) / 2 ** order;
      if (hdr.order === order && bit >= 0 && bit < bits)
        return { layout: khoMemPhysBits, pa: bitmap, member: "preserve", bit };
    }
    chunk = hdr.next;
  }
  throw missing(order, pfn);
}

const missing = (order: number, pfn: number): KhoError =>
  new KhoError("not-found", `the map has no place for the block of order ${order} at PFN ${pfn}`);
