/** How drivers/iommu/io-pgtable-arm.c maps and unmaps, with the page sizes that the core chooses. All addresses are in frames. */
import {
  childOf,
  covers,
  type Domain,
  entryAt,
  freeTables,
  indexIn,
  kindOf,
  levelOf,
  type MapErrno,
  type Mapped,
  readEntries,
  tableFor,
  topNode,
  writeEntries,
  writeEntry,
} from "../domain.js";
import { frameLg2 } from "../entry.js";
import { EMPTY, entriesOf, LEAF, TABLE } from "../format.js";
import { writeLeaves } from "../leaves.js";
import { nextLeaves, pageSizes } from "../page-sizes.js";
import { IOMMU_READ, IOMMU_WRITE } from "../prot.js";

/** Entries from `index` on that are in one table: of tables in a row, which a stage 2 can have on top, in one of them. */
const roomIn = ({ format }: Domain, index: number): number => entriesOf(format) - (index % entriesOf(format));

/** Maps `frames` frames. What was mapped before a failure stays: the caller takes it back. */
export function mapArm(domain: Domain, iova: number, pa: number, frames: number, prot: number): Mapped {
  const failed = (errno: MapErrno, mapped = 0): Mapped => ({ errno, mapped });
  const sizes = pageSizes(domain.pgsizeBitmap);
  if (!(prot & (IOMMU_READ | IOMMU_WRITE)) || !nextLeaves(sizes, iova, pa, frames)) return failed("EINVAL");
  if (!covers(domain, iova, frames) || pa + frames > 2 ** (domain.paBits - frameLg2)) return failed("ERANGE");

  let done = 0;
  while (done < frames) {
    const next = nextLeaves(sizes, iova + done, pa + done, frames - done);
    if (!next) return failed("EINVAL", done);
    const { size, count } = next;
    const level = levelOf(domain, size);
    if (level >= domain.levels) return failed("EINVAL", done);
    for (let left = count; left > 0; ) {
      const found = tableFor(domain, iova + done, level, "EEXIST");
      if (typeof found === "string") return failed(found, done);
      const { node, index } = found;
      const batch = Math.min(left, node.entries - index, roomIn(domain, index));
      const words = readEntries(domain, node, index, batch);
      for (let i = 0; i < batch; i++) {
        const lo = words[2 * i]!;
        const hi = words[2 * i + 1]!;
        const kind = kindOf(domain, lo, hi, level);
        if (kind === LEAF) return failed("EEXIST", done);
        if (kind !== TABLE) continue;
        // A table in the way is dropped, whatever it maps, and even if a leaf behind it ends the call.
        writeEntry(domain, node, index + i, 0n);
        freeTables(domain, childOf(domain, node, lo, hi));
      }
      writeLeaves(domain, node, index, 1, { pa: pa + done, size, count: batch, prot });
      done += batch * 2 ** size;
      left -= batch;
    }
  }
  return { mapped: done };
}

/**
 * Unmaps in the steps that mapping to the same addresses would take, up to the first that finds nothing or a leaf larger than
 * itself, or begins beyond what the domain covers.
 * @returns frames that were unmapped
 */
export function unmapArm(domain: Domain, iova: number, frames: number): number {
  const sizes = pageSizes(domain.pgsizeBitmap);
  let done = 0;
  while (done < frames && covers(domain, iova + done, 1)) {
    const next = nextLeaves(sizes, iova + done, iova + done, frames - done);
    if (!next) return done;
    const entries = unmapEntries(domain, iova + done, levelOf(domain, next.size), next.count);
    if (entries === 0) return done;
    done += entries * 2 ** next.size;
  }
  return done;
}

/** Clears up to `most` entries of one table of a level; returns how many, up to the first that nothing is in. */
function unmapEntries(domain: Domain, iova: number, level: number, most: number): number {
  let node = topNode(domain);
  if (level > node.level) return 0;
  let index = indexIn(domain, node, iova);
  while (node.level > level) {
    const { lo, hi, kind } = entryAt(domain, node, index);
    if (kind !== TABLE) return 0;
    node = childOf(domain, node, lo, hi);
    index = indexIn(domain, node, iova);
  }
  const batch = Math.min(most, node.entries - index, roomIn(domain, index));
  const words = readEntries(domain, node, index, batch);
  let count = 0;
  for (; count < batch; count++) {
    const lo = words[2 * count]!;
    const hi = words[2 * count + 1]!;
    const kind = kindOf(domain, lo, hi, node.level);
    if (kind === EMPTY) break;
    if (kind === TABLE) freeTables(domain, childOf(domain, node, lo, hi));
  }
  writeEntries(domain, node, index, new Int32Array(2 * count));
  return count;
}
