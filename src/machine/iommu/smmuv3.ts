/** SMMUv3 with one stream table for bus 0, and domains of stage 1. */
import { newSmmuv3Unit, type Smmuv3Options } from "../../../formats/iommu/arm/encode.js";
import { stage1Domain } from "../../../formats/iommu/arm/geometry.js";
import { addressFrom, armSmmuSte, strtabBase } from "../../../formats/iommu/arm/layout.js";
import { iommuAbi, unpackWord } from "../../../formats/iommu/entry.js";
import { decodeDmaAllocation } from "../../../formats/proposed/iommu/dma-alloc.js";
import { decode, pageShift, sizeOf } from "../../layout/index.js";
import { type PhysAddr, physAddr } from "../../memory/index.js";
import type { KernelCore } from "../kernel.js";
import { readingContext } from "../reading.js";
import type { Persistence, Vendor } from "./driver.js";
import type { IommuHardware } from "./hardware.js";
import { bug, discardBlock, restoreBlock } from "./restore.js";
import { orderOf, unitOwner } from "./tables.js";

/** Few enough bits of StreamIDs that the driver makes one table of them, which the proposed series keeps in one piece. */
const options: Smmuv3Options = { sidBits: 8 };
const smmu = { granules: [12, 14, 16], outputBits: 48 };
/** CONFIG_ARM64_VA_BITS */
const vaBits = 48;

const steBytes = sizeOf(armSmmuSte, iommuAbi);
const streamTable = ({ registers }: IommuHardware): PhysAddr =>
  addressFrom(strtabBase, "ADDR", unpackWord(strtabBase, registers!.root).ADDR);

/** Where the context descriptor of an attached device is. */
function contextsOf({ ram }: KernelCore, iommu: IommuHardware, device: number): PhysAddr {
  const ste = ram.read(physAddr(streamTable(iommu) + BigInt(device * steBytes)), steBytes);
  return addressFrom(armSmmuSte, "S1ContextPtr", decode(armSmmuSte, ste, 0, iommuAbi).S1ContextPtr);
}

/**
 * Takes over a DMA allocation of one piece that a token tells of. Nothing says what tokens are: they are taken for addresses of
 * the blocks that development trees have for DMA allocations.
 */
function restoreDma(core: KernelCore, token: bigint, path: string): PhysAddr {
  const allocation = decodeDmaAllocation(readingContext(core, []), physAddr(token), path);
  discardBlock(core, physAddr(token), unitOwner, path);
  const pa = physAddr(allocation?.pages[0] ?? 0n);
  restoreBlock(core, pa, unitOwner, path);
  return pa;
}

const persistence: Persistence = {
  name: "smmuv3",
  // As QEMU's arm64 board has it.
  registerBase: physAddr(0x9050000),
  blocksOf: (core, iommu, device) => [
    { pa: streamTable(iommu), order: orderOf(steBytes * 2 ** options.sidBits, core), dma: true },
    { pa: contextsOf(core, iommu, device), order: 0, dma: true },
  ],
  unitState: (iommu, _, tokenOf) => ({
    smmuv3: {
      registerBase: persistence.registerBase,
      strtabBaseCfg: iommu.registers!.cfg!,
      l1StrtabState: tokenOf(streamTable(iommu)),
      l2StrtabStates: physAddr(0),
    },
  }),
  deviceState: (core, iommu, device, tokenOf) => ({
    smmuv3: {
      l1CdtabState: tokenOf(contextsOf(core, iommu, device)),
      numL2Cdtabs: 0,
      l2CdtabStates: physAddr(0),
    },
  }),
  restore(core, unit, devices) {
    const tokens = [unit.smmuv3?.l1StrtabState, ...devices.map(({ smmuv3 }) => smmuv3?.l1CdtabState)];
    return tokens.map((token, i) => {
      const path = i === 0 ? "iommu.iommus[0].l1StrtabState" : "iommu.devices.l1CdtabState";
      if (token === undefined) throw bug("iommu-state-value", "a record has no state of SMMUv3", path, 0n);
      return restoreDma(core, token, path);
    });
  },
};

export const smmuv3: Vendor = {
  firstDomainId: 1,
  domainOptions: ({ abi }) => stage1Domain(smmu, { pageLg2: pageShift(abi), vaBits }),
  open(_, __, store) {
    const unit = newSmmuv3Unit(options, store);
    if (!unit) return undefined;
    return {
      registers: { root: unit.root, cfg: unit.cfg },
      attach: (device, domain, domainId) => unit.attach(device, { kind: "table", domain, domainId }),
      block(device) {
        unit.attach(device, { kind: "blocked" });
      },
    };
  },
  persistence,
};
