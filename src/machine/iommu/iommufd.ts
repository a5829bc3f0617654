import { seals } from "../../../formats/memfd/layout.js";
import {
  decodeIommufd,
  encodeIommufd,
  IOMMUFD_LUO_COMPATIBLE,
  type IommufdVariant,
  iommufdVariants,
} from "../../../formats/proposed/iommu/iommufd.js";
import { sizeOf } from "../../layout/index.js";
import { physAddr } from "../../memory/index.js";
import { refusal } from "../errno.js";
import type { File, FileHandler, KernelCore, SessionFiles } from "../kernel.js";
import type { MemfdFile } from "../memfd/inode.js";
import { readingContext } from "../reading.js";
import { targetOf } from "../target.js";
import { dropTables, type IommufdInode, isIommufd, openRestored } from "./domain.js";
import type { Incoming } from "./incoming.js";
import type { Outgoing } from "./outgoing.js";
import { discardBlock } from "./restore.js";
import type { IommuUnit } from "./unit.js";

/** As in the later development trees. */
const variant: IommufdVariant = 2;
/** User space marks the page tables that are to be handed over with tokens; an iommufd here has one. */
const token = 0n;

/** What a preserved iommufd can be taken back with. */
interface State {
  readonly undo: () => void;
}

/** What the handler works on. */
export interface IommufdSite {
  readonly unit: IommuUnit;
  /** There is one while there are preserved files: LUO sees to that before it preserves the first. */
  readonly outgoing: Outgoing | undefined;
  readonly incoming: Incoming | undefined;
}

/**
 * The handler for iommufds. Devices go with the domain that they are in, as if the drivers that they are in use by had been
 * preserved, too.
 * @param checkFiles false to preserve domains whatever they map
 * @param now asked in each call
 */
export function newIommufdHandler(checkFiles: boolean, now: () => IommufdSite): FileHandler<State> {
  /** Incoming domains that user space has asked for, by what their files say. */
  const retrieved = new Map<bigint, IommufdInode>();
  const layouts = iommufdVariants[variant];
  const sizeIn = ({ abi }: KernelCore): number => sizeOf(layouts.head, abi) + sizeOf(layouts.entry, abi);

  return {
    compatible: IOMMUFD_LUO_COMPATIBLE,
    canPreserve: isIommufd,
    getId: ({ inode }) => inode,
    preserve(file, core, session) {
      const { hwpt, space } = (file as File<IommufdInode>).inode;
      const { outgoing, unit } = now();
      if (!space) throw refusal("EINVAL", "the domain is that of the kernel before");
      if (hwpt.preserved) throw refusal("EBUSY", "the domain is preserved already");
      if (checkFiles) for (const mapped of space.files()) mustBePreserved(mapped, session);
      const devices = unit.devicesOf(hwpt).map((id) => ({ id, domainId: hwpt.domainId! }));
      const { pa, undo } = outgoing!.preserve(hwpt.domain, devices);
      try {
        const data = core.kho.allocPreserve(sizeIn(core), "iommufd");
        encodeIommufd(targetOf(core), variant, data, { hwpts: [{ token, domainPa: pa, reclaimed: 0 }] });
        hwpt.preserved = true;
        return { data, state: { undo } };
      } catch (error) {
        undo();
        throw error;
      }
    },
    unpreserve(file, { data, state }, core) {
      core.kho.unpreserveFree(physAddr(data), sizeIn(core));
      state.undo();
      (file as File<IommufdInode>).inode.hwpt.preserved = false;
    },
    retrieve(data, core) {
      const { incoming, unit } = now();
      if (!incoming) throw refusal("ENOENT", "no IOMMU state was handed over");
      const path = "iommufd";
      const iommufd = decodeIommufd(readingContext(core, []), variant, physAddr(data), path);
      const [hwpt] = iommufd?.hwpts ?? [];
      if (!hwpt) throw refusal("EINVAL", "the file has no page table", path);
      discardBlock(core, physAddr(data), path, path);
      const { file } = openRestored(unit, incoming.hwptAt(hwpt.domainPa));
      retrieved.set(data, file.inode);
      return file;
    },
    canFinish(data, status) {
      const inode = retrieved.get(data);
      if (!inode) return status === "failed";
      return now().unit.devicesOf(inode.hwpt).length === 0;
    },
    finish(data) {
      const inode = retrieved.get(data);
      if (inode) dropTables(inode.hwpt);
    },
  };
}

/** A mapping gets over a kexec only with the file: one that cannot change its size, preserved in the same session before. */
function mustBePreserved(file: MemfdFile, session: SessionFiles): void {
  const { F_SEAL_GROW, F_SEAL_SHRINK } = seals;
  const wanted = F_SEAL_GROW | F_SEAL_SHRINK;
  if ((file.inode.seals & wanted) !== wanted)
    throw refusal("EINVAL", "a file that is mapped is not sealed against growing and shrinking");
  if (!session.has(file)) throw refusal("ENOENT", "a file that is mapped is not preserved in this session");
}
