/** What user space maps through an iommufd: stretches of files, whose pages are pinned as long as devices can reach them. */
import type { Domain } from "../../../formats/iommu/domain.js";
import { iommuMap, unmapTable } from "../../../formats/iommu/map.js";
import { IOMMU_CACHE, IOMMU_READ, IOMMU_WRITE } from "../../../formats/iommu/prot.js";
import { pageShift } from "../../layout/index.js";
import { refusal } from "../errno.js";
import { getFile, type KernelCore, paOf, putFile } from "../kernel.js";
import type { MemfdFile } from "../memfd/inode.js";
import { type PinnedRun, pinPages, unpinPages } from "../memfd/pin.js";

/** A part of a file, in bytes, both multiples of the page size. */
export interface FileRange {
  /** 0 unless given. */
  readonly offset?: bigint;
  /** Up to the last page of the file unless given. */
  readonly length?: bigint;
}

/** One mapping: unmapped as a whole or not at all. */
interface Area {
  readonly iova: bigint;
  readonly size: bigint;
  readonly file: MemfdFile;
  readonly runs: readonly PinnedRun[];
}

/** A domain's addresses, and what they lead to. */
export interface AddressSpace {
  /** @throws KhoError `refused`: EINVAL, EOVERFLOW, EEXIST, ENOMEM, and what the driver's table code fails with */
  map(iova: bigint, file: MemfdFile, prot: number, range?: FileRange): void;
  /** @throws KhoError `refused` ENOENT if no mapping is there, or not all of one */
  unmap(iova: bigint, size: bigint): void;
  unmapAll(): void;
  /** Files with pages that are mapped. */
  files(): MemfdFile[];
}

/** @param topChanged told that the domain has got another top table */
export function newAddressSpace(core: KernelCore, domain: Domain, topChanged: () => void): AddressSpace {
  const { abi } = core;
  const page = 1n << BigInt(Math.max(pageShift(abi), domain.format.granuleLg2));
  const areas: Area[] = [];

  /** Maps run by run, as IOMMU_IOAS_MAP_FILE does; what was mapped before a failure is taken back. */
  const mapRuns = (iova: bigint, runs: readonly PinnedRun[], prot: number): void => {
    let at = iova;
    for (const { pfn, pages } of runs) {
      const size = BigInt(pages) * BigInt(abi.pageSize);
      const errno = iommuMap(domain, at, paOf(pfn, abi), size, prot);
      if (errno) {
        if (at > iova) unmapTable(domain, iova, at - iova);
        throw refusal(errno, `${pages} pages cannot be mapped`);
      }
      at += size;
    }
  };
  const drop = ({ iova, size, file, runs }: Area): void => {
    unmapTable(domain, iova, size);
    unpinPages(file.inode, runs);
    putFile(file);
  };

  return {
    map(iova, file, prot, { offset = 0n, length } = {}) {
      if (file.refs <= 0) throw refusal("EBADF", "the file is closed");
      const size = length ?? (file.inode.size - offset + page - 1n) & -page;
      const rights = prot & (IOMMU_READ | IOMMU_WRITE);
      if (rights === 0 || size <= 0n || offset < 0n || ((iova | offset | size) & (page - 1n)) !== 0n)
        throw refusal("EINVAL", "a mapping has rights, and whole pages on both sides");
      if (iova < 0n || iova + size > 1n << 64n) throw refusal("EOVERFLOW", "the mapping has no end");
      if (areas.some((area) => iova < area.iova + area.size && area.iova < iova + size))
        throw refusal("EEXIST", "something is mapped there");
      const from = Number(offset / BigInt(abi.pageSize));
      const runs = pinPages(file, from, from + Number(size / BigInt(abi.pageSize)));
      const root = domain.root;
      try {
        mapRuns(iova, runs, rights | IOMMU_CACHE);
      } catch (error) {
        unpinPages(file.inode, runs);
        throw error;
      } finally {
        if (domain.root !== root) topChanged();
      }
      areas.push({ iova, size, file: getFile(file), runs });
    },
    unmap(iova, size) {
      const touched = areas.filter((area) => iova < area.iova + area.size && area.iova < iova + size);
      const isWhole = touched.every((area) => area.iova >= iova && area.iova + area.size <= iova + size);
      if (touched.length === 0 || !isWhole) throw refusal("ENOENT", "no mappings are there as a whole");
      for (const area of touched) {
        areas.splice(areas.indexOf(area), 1);
        drop(area);
      }
    },
    unmapAll() {
      for (const area of areas.splice(0)) drop(area);
    },
    files: () => [...new Set(areas.map(({ file }) => file))],
  };
}
