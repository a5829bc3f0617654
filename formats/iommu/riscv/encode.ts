import { decode, encode, sizeOf } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import type { Domain, TableStore } from "../domain.js";
import { addressOfFrame, frameLg2, frameOf, iommuAbi, packWord, unpackWord } from "../entry.js";
import { type Directory, deviceDirectory, idWidth, indexAt, layoutAt } from "./directory.js";
import {
  DDTP_1LVL,
  mostLevels,
  riscvCapabilities,
  riscvDdtp,
  riscvIommuDc,
  riscvIommuDcBase,
  riscvIommuDdte,
} from "./layout.js";
import { BARE, schemes } from "./modes.js";

export interface RiscvUnitOptions {
  /** The register `capabilities`. */
  readonly capabilities: bigint;
  /** Levels of the device directory, 1 to 3: Linux asks for three and takes what the unit grants. Default 3. */
  readonly levels?: number;
  /** True for 6.16 to 7.0, which let a unit that can keep accessed and dirty bits. */
  readonly before71?: boolean;
}

/** What is to become of a device's requests. */
export type RiscvTranslation =
  | { readonly kind: "blocked" }
  | { readonly kind: "identity" }
  /** `domainId` is the PSCID, 1 to 2^20 - 1. */
  | { readonly kind: "table"; readonly domain: Domain; readonly domainId: number };

/** An IOMMU's structures under construction. */
export interface RiscvUnit {
  /** The register `ddtp`. */
  readonly root: bigint;
  /** The register `capabilities`. */
  readonly cfg: bigint;
  /**
   * Sets a device up, as the driver does when it finds one and when its domain changes. ENODEV: the directory has no place
   * for it, there is no memory for one, or the unit does not read tables of that kind.
   */
  attach(device: number, what: RiscvTranslation): "ENODEV" | undefined;
  /** Blocks a device for good. Its context stays. */
  detach(device: number): void;
}

const pageBytes = 2 ** frameLg2;

/** Makes an empty device directory; undefined if there is no memory for it. */
export function newRiscvUnit(options: RiscvUnitOptions, store: TableStore): RiscvUnit | undefined {
  const { capabilities: cfg, levels = mostLevels, before71 = false } = options;
  const capabilities = unpackWord(riscvCapabilities, cfg);
  const root = store.allocate(pageBytes, levels - 1);
  if (root === undefined) return undefined;
  const directory = deviceDirectory(root, levels, capabilities.MSI_FLAT ? riscvIommuDc : riscvIommuDcBase);
  const SADE = before71 ? capabilities.AMO_HWAD : 0;

  const update = (pa: PhysAddr, what: RiscvTranslation): "ENODEV" | undefined => {
    const dc = decode(riscvIommuDcBase, store.read(pa, sizeOf(riscvIommuDcBase, iommuAbi)), 0, iommuAbi);
    const off = { ...dc, V: 0, SADE, PSCID: 0, fsc_MODE: BARE, fsc_PPN: 0 };
    const write = (value: typeof dc) => store.write(pa, encode(riscvIommuDcBase, value, iommuAbi));
    if (what.kind !== "table") {
      write({ ...off, V: what.kind === "identity" ? 1 : 0 });
      return undefined;
    }
    const { domain, domainId: PSCID } = what;
    const scheme =
      domain.format.name === "riscv64" ? schemes.find((each) => each.levels === domain.levels) : undefined;
    if (!scheme || !capabilities[scheme.name]) {
      // The driver has found the device by then.
      if (!dc.V) write(off);
      return "ENODEV";
    }
    write({ ...off, V: 1, PSCID, fsc_MODE: scheme.MODE, fsc_PPN: frameOf(domain.root) });
    return undefined;
  };

  return {
    root: packWord(riscvDdtp, { iommu_mode: DDTP_1LVL + levels - 1, PPN: frameOf(root) }),
    cfg,
    attach(device, what) {
      const pa = contextAt(store, directory, device, true);
      return pa === undefined ? "ENODEV" : update(pa, what);
    },
    detach(device) {
      const pa = contextAt(store, directory, device, false);
      if (pa !== undefined) update(pa, { kind: "blocked" });
    },
  };
}

/** Where a device's context is; pages that lead there are made, from the root on, if they are to be. */
function contextAt(store: TableStore, directory: Directory, id: number, make: boolean): PhysAddr | undefined {
  if (!(id >= 0 && id < 2 ** idWidth(directory))) return undefined;
  const pointerBytes = sizeOf(riscvIommuDdte, iommuAbi);
  let page = directory.root;
  const at = (level: number): PhysAddr =>
    physAddr(page + BigInt(indexAt(directory, level, id) * sizeOf(layoutAt(directory, level), iommuAbi)));
  for (let level = directory.levels - 1; level > 0; level--) {
    const pa = at(level);
    const pointer = decode(riscvIommuDdte, store.read(pa, pointerBytes), 0, iommuAbi);
    if (pointer.V) {
      page = addressOfFrame(pointer.PPN);
      continue;
    }
    const made = make ? store.allocate(pageBytes, level - 1) : undefined;
    if (made === undefined) return undefined;
    store.write(pa, encode(riscvIommuDdte, { ...pointer, V: 1, PPN: frameOf(made) }, iommuAbi));
    page = made;
  }
  return at(0);
}
