import type { Struct } from "../src/layout/index.js";
import type { Kernel } from "./kernels.js";
import * as kho from "./kho/layout.js";
import * as luo from "./luo/layout.js";
import * as memfd from "./memfd/layout.js";

/** Every C structure that a kernel of this release hands over, by the kernel's names, in the order they are reached. */
export function layoutsOf(kernel: Kernel): readonly Struct[] {
  const layouts: Struct[] = [kho.setupData, kho.khoData, kho.khoScratch];
  if (kernel.kho === "kho-v1")
    layouts.push(
      kho.khoserMemChunkHdr,
      kho.khoserMemBitmapPtr,
      kho.khoserMemChunk,
      kernel.bitmap === 512 ? kho.khoMemPhysBits512 : kho.khoMemPhysBits,
    );
  else layouts.push(kho.khoRadixNode, kho.khoRadixLeaf);
  if (kernel.vmalloc) layouts.push(kho.khoVmalloc, kho.khoVmallocHdr, kho.khoVmallocChunk);
  if (kernel.metadata) layouts.push(kho.khoKexecMetadata);
  if (kernel.luo) {
    if (kernel.luo === "luo-v1") layouts.push(luo.luoSessionHeaderSer);
    else layouts.push(luo.luoSer, kho.khoBlockHeaderSer);
    layouts.push(luo.luoSessionSer, luo.luoFileSetSer, luo.luoFileSer);
    if (kernel.flb) layouts.push(luo.luoFlbHeaderSer, luo.luoFlbSer);
  }
  if (kernel.memfd)
    layouts.push(
      kernel.memfd === "memfd-v1" ? memfd.memfdLuoSerV1 : memfd.memfdLuoSerV2,
      memfd.memfdLuoFolioSer,
    );
  return layouts;
}
