/** The same handover, written anew without some of its parts. */
import type { Claim } from "../../../formats/claims.js";
import { misread } from "../../../formats/consequence.js";
import { KHO_METADATA_NODE_NAME } from "../../../formats/kho/metadata.js";
import { KHO_TEST_FDT } from "../../../formats/kho/test-module.js";
import { LUO_KHO_ENTRY_NAME } from "../../../formats/luo/luo.js";
import { MEMBLOCK_KHO_FDT } from "../../../formats/memblock/memblock.js";
import { filePath, flbPath, sessionPath } from "../../../formats/paths.js";
import { type Decoded, encodeHandover, type Handover, placedBy } from "../../handover/index.js";
import { dataRanges } from "../../handover/pack-ranges.js";
import { addressOf, type MemoryRange, pfnOf, physAddr } from "../../memory/index.js";
import { mergedRanges } from "../../memory/ranges.js";
import { rangesWithout } from "../reads.js";
import { type CapturedDeparture, type LeftBehind, withHandoff } from "./departure.js";
import { type Part, type PartKind, partsOf, regionKey, subtreeKey } from "./parts.js";
import { newVacancies } from "./vacant.js";

/** Keys of the parts to leave out: a session takes its files along, a subtree all that hangs on it. */
export type Dropped = ReadonlySet<string>;

/** True if the subtree of a name is left out. Of two of one name readers find the first. */
const goes = ({ subtrees }: Handover, dropped: Dropped, name: string): boolean =>
  dropped.has(subtreeKey(subtrees.findIndex((subtree) => subtree.name === name)));

/** The parts of the rest, by the names and keys that they have in the whole. */
export function partsWithout(handover: Handover, dropped: Dropped): Part[] {
  const [liveUpdate, regions] = [LUO_KHO_ENTRY_NAME, MEMBLOCK_KHO_FDT].map((name) =>
    goes(handover, dropped, name),
  );
  const owned: Partial<Record<PartKind, boolean>> = {
    session: liveUpdate!,
    file: liveUpdate!,
    FLB: liveUpdate!,
    region: regions!,
  };
  const kept = partsOf(handover).filter(
    ({ kind, key, within = "" }) => !dropped.has(key) && !dropped.has(within) && !owned[kind],
  );
  const counted = partsOf(handoverWithout(handover, dropped));
  return kept.map((part, i) => ({ ...part, judged: counted[i]!.judged }));
}

/** A handover without some parts. */
export function handoverWithout(handover: Handover, dropped: Dropped): Handover {
  const { luo, reserveMem, kexecMetadata, khoTest, ...rest } = handover;
  const left = (name: string): boolean => !goes(handover, dropped, name);
  const regions = left(MEMBLOCK_KHO_FDT) ? reserveMem.filter((_, i) => !dropped.has(regionKey(i))) : [];
  // Without regions no kernel hands over their tree.
  const noTree = reserveMem.length > 0 && regions.length === 0;
  return {
    ...rest,
    subtrees: handover.subtrees.filter(
      ({ name }, i) => !dropped.has(subtreeKey(i)) && !(noTree && name === MEMBLOCK_KHO_FDT),
    ),
    reserveMem: regions,
    ...(kexecMetadata && left(KHO_METADATA_NODE_NAME) && { kexecMetadata }),
    ...(khoTest && left(KHO_TEST_FDT) && { khoTest }),
    ...(luo && left(LUO_KHO_ENTRY_NAME) && { luo: liveUpdateWithout(luo, dropped) }),
  };
}

function liveUpdateWithout(luo: NonNullable<Handover["luo"]>, dropped: Dropped): typeof luo {
  return {
    ...luo,
    sessions: luo.sessions
      .map((session, s) => ({ session, path: sessionPath(s) }))
      .filter(({ path }) => !dropped.has(path))
      .map(({ session, path }) => ({
        ...session,
        files: session.files.filter((_, f) => !dropped.has(filePath(path, f))),
      })),
    flbs: luo.flbs.filter((_, f) => !dropped.has(flbPath(f))),
  };
}

/**
 * What the writing release would have left without these parts: every structure at a place of its own, and no memory
 * preserved for what is left out. Contents stay where they are.
 * @throws KhoError as {@link encodeHandover} does for what cannot be written; `usage` if there is no room
 */
export function departureWithout(
  { departure, vacant }: CapturedDeparture,
  { handover, structures }: Pick<Decoded, "handover" | "structures">,
  dropped: Dropped,
): LeftBehind {
  const { pageSize } = handover;
  const rest = handoverWithout(handover, dropped);
  const pages = newVacancies(vacant, pageSize);
  const nowhere = { recordPa: physAddr(0), scratchPa: physAddr(0), scratchSize: 0n };
  const placement = placedBy(pages, [...structures, ...contentsOnlyIn({ handover, structures }, rest)]);
  const { memory: written, handoff } = encodeHandover(
    { ...rest, handoff: { ...handover.handoff, ...nowhere } },
    placement,
  );
  const memory = departure.memory.snapshot();
  for (const { pa, size } of written.ranges)
    for (let at = 0; at < Number(size); at += pageSize) {
      const page = physAddr(pa + BigInt(at));
      memory.write(page, written.read(page, Math.min(pageSize, Number(size) - at)));
    }
  return withHandoff({ ...departure, memory }, { ...departure.handoff, fdtPa: handoff.fdtPa }, pages);
}

/** The memory of files and regions that the rest has no more, in the form in which a placement is told of it. */
function contentsOnlyIn(whole: Pick<Decoded, "handover" | "structures">, rest: Handover): Claim[] {
  const test = rest.khoTest ? whole.structures : [];
  const all = mergedRanges(dataRanges(whole));
  const kept = mergedRanges(dataRanges({ handover: rest, structures: test }));
  return rangesWithout(all, kept).map((range) => claimOf(range, whole.handover.pageSize));
}

const claimOf = ({ pa, size }: MemoryRange, pageSize: number): Claim => {
  const first = pfnOf(pa, pageSize);
  const end = Number((pa + size + BigInt(pageSize - 1)) / BigInt(pageSize));
  return {
    pa: addressOf(first, pageSize),
    pages: end - first,
    keeping: "any-order",
    path: "contents",
    lost: misread("boot", "left out"),
  };
};
