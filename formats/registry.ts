import type { Struct } from "../src/layout/index.js";
import type { Kernel, LuoVersion } from "./kernels.js";
import * as kho from "./kho/layout.js";
import { KHO_METADATA_NODE_NAME } from "./kho/metadata.js";
import * as luo from "./luo/layout.js";
import { LUO_FDT_FLB_COMPATIBLE, LUO_FDT_SESSION_COMPATIBLE } from "./luo/luo.js";
import * as memfd from "./memfd/layout.js";

/** A structure that a release hands over, and what tells its reader that it is of this form. */
export interface HandedOver {
  readonly layout: Struct;
  /**
   * The version that a reader compares before it looks at the structure. Absent where it compares none: the boot
   * protocol has only a number for the whole of it.
   */
  readonly compatible?: string;
  /** The only architecture whose kernels have it; absent for all. */
  readonly arch?: "x86_64";
  /** The version of live update that leads to it, if the reader of that stops where it finds no such structure. */
  readonly demandedBy?: LuoVersion;
}

/** Every C structure that a kernel of this release hands over, by the kernel's names, in the order they are reached. */
export function handedOver(kernel: Kernel): readonly HandedOver[] {
  const under = (compatible: string, ...layouts: Struct[]): HandedOver[] =>
    layouts.map((layout) => ({ layout, compatible }));
  const all: HandedOver[] = [
    { layout: kho.setupData, arch: "x86_64" },
    { layout: kho.khoData, arch: "x86_64" },
    ...under(kernel.kho, kho.khoScratch),
  ];
  if (kernel.kho === "kho-v1")
    all.push(
      ...under(
        kernel.kho,
        kho.khoserMemChunkHdr,
        kho.khoserMemBitmapPtr,
        kho.khoserMemChunk,
        kernel.bitmap === 512 ? kho.khoMemPhysBits512 : kho.khoMemPhysBits,
      ),
    );
  else all.push(...under(kernel.kho, kho.khoRadixNode, kho.khoRadixLeaf));
  if (kernel.vmalloc) all.push(...under(kernel.kho, kho.khoVmalloc, kho.khoVmallocHdr, kho.khoVmallocChunk));
  if (kernel.metadata)
    all.push(...under(`${KHO_METADATA_NODE_NAME} version ${kernel.metadata}`, kho.khoKexecMetadata));
  if (kernel.luo) {
    const tree = kernel.luo === "luo-v1";
    // The tree has a version at each of its nodes; the structure has one for all that it leads to.
    const sessions = tree ? LUO_FDT_SESSION_COMPATIBLE : kernel.luo;
    if (tree) all.push(...under(sessions, luo.luoSessionHeaderSer));
    else all.push(...under(kernel.luo, luo.luoSer), ...under(kernel.kho, kho.khoBlockHeaderSer));
    all.push(...under(sessions, luo.luoSessionSer, luo.luoFileSetSer, luo.luoFileSer));
    if (kernel.flb)
      for (const entry of under(
        tree ? LUO_FDT_FLB_COMPATIBLE : kernel.luo,
        luo.luoFlbHeaderSer,
        luo.luoFlbSer,
      ))
        all.push({ ...entry, demandedBy: kernel.luo });
  }
  if (kernel.memfd)
    all.push(
      ...under(
        kernel.memfd,
        kernel.memfd === "memfd-v1" ? memfd.memfdLuoSerV1 : memfd.memfdLuoSerV2,
        memfd.memfdLuoFolioSer,
      ),
    );
  return all;
}

/** The structures of {@link handedOver} alone. */
export const layoutsOf = (kernel: Kernel): readonly Struct[] =>
  handedOver(kernel).map(({ layout }) => layout);
