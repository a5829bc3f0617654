import { khoVmallocChunk } from "../../../formats/kho/layout.js";
import { decodeVmalloc } from "../../../formats/kho/vmalloc.js";
import { encodeVmalloc, vmallocChunks } from "../../../formats/kho/vmalloc-encode.js";
import type { Target } from "../../../formats/target.js";
import { decode } from "../../layout/index.js";
import { addressOf, type Pfn, type PhysAddr } from "../../memory/index.js";
import type { Finding } from "../../report/finding.js";
import type { Memories } from "../allocate.js";
import { pageOf } from "../kernel.js";
import { readingContext } from "../reading.js";
import type { Received } from "./received.js";
import type { VmallocDescriptor } from "./types.js";

/** What preserving areas is made of. */
interface Parts extends Memories {
  readonly target: Target;
  readonly received: Received | undefined;
  allocPreserve(size: number, what: string): PhysAddr;
  freePreserved(pa: PhysAddr, order: number): void;
  log(line: string): void;
  preserveFolios(pfn: number, order: number, count: number): void;
  unpreserveFolios(pfn: number, order: number, count: number): void;
}

/** Preserves and restores vmalloc areas. */
export function vmallocOps(parts: Parts) {
  const { target, ram, pages, received } = parts;
  const { abi, kernel } = target;
  /** The chunks of an area that this kernel made itself. */
  const chunksOf = ({ first }: VmallocDescriptor): PhysAddr[] => {
    const chunks: PhysAddr[] = [];
    for (let pa = first; pa !== 0n; ) {
      chunks.push(pa);
      pa = decode(khoVmallocChunk, ram.read(pa, abi.pageSize), 0, abi).hdr.next;
    }
    return chunks;
  };
  const areaOf = (descriptor: VmallocDescriptor) => {
    const findings: Finding[] = [];
    const area = decodeVmalloc(readingContext({ ram, abi, kernel }, findings), descriptor, "vmalloc");
    return { ...area, usable: area.complete && !findings.some(({ severity }) => severity === "error") };
  };
  return {
    preserve(blocks: readonly number[], order: number, what: string): VmallocDescriptor {
      const chunks: PhysAddr[] = [];
      let done = 0;
      try {
        for (let i = 0; i < vmallocChunks(blocks.length, abi); i++)
          chunks.push(parts.allocPreserve(abi.pageSize, `${what} chunk`));
        for (; done < blocks.length; done++) parts.preserveFolios(blocks[done]!, order, 1);
      } catch (error) {
        while (done-- > 0) parts.unpreserveFolios(blocks[done]!, order, 1);
        for (const pa of chunks) parts.freePreserved(pa, 0);
        throw error;
      }
      return encodeVmalloc(target, chunks, blocks, order);
    },
    unpreserve(descriptor: VmallocDescriptor): void {
      for (const pfn of areaOf(descriptor).pfns) parts.unpreserveFolios(pfn, descriptor.order, 1);
      for (const pa of chunksOf(descriptor)) parts.freePreserved(pa, 0);
    },
    restore(descriptor: VmallocDescriptor, owner: string): Pfn[] | undefined {
      const { pfns, usable } = areaOf(descriptor);
      if (!received) return undefined;
      const { first } = descriptor;
      // Of a list that cannot be followed the first chunk is looked at before that is noticed.
      const chunks = usable ? chunksOf(descriptor) : first === 0n ? [] : [first];
      for (const pfn of [...chunks.map((pa) => pageOf(pa, abi)), ...pfns])
        if (received.orderOf(pfn) < 0 && ram.has(addressOf(pfn, abi.pageSize), abi.pageSize)) {
          parts.log(`WARNING: no block was received that begins at PFN ${pfn}, for ${owner}`);
          return undefined;
        }
      if (!usable) return undefined;
      for (const pfn of pfns) if (received.take(pfn, owner) !== descriptor.order) return undefined;
      for (const pa of chunks) {
        const pfn = pageOf(pa, abi);
        if (received.take(pfn, owner) === 0) pages.free(pfn, 0);
      }
      return pfns as Pfn[];
    },
  };
}
