/** What a device directory's pages tell of it where registers do not: how many levels it has, and how large contexts are. */
import { littleWords, memberOf, sizeOf } from "../../../src/layout/index.js";
import { type Memory, type PhysAddr, physAddr } from "../../../src/memory/index.js";
import {
  addressOfFrame,
  frameLg2,
  frameOf,
  frameReader,
  halvesOf,
  iommuAbi,
  maskOf,
  reservedOf,
} from "../entry.js";
import { newFrameSet } from "../frames.js";
import type { IommuContext } from "../walk.js";
import { decodeContext } from "./context.js";
import { contextOf, type Directory, reachable } from "./directory.js";
import { type DeviceContext, mostLevels, reservedSet, riscvIommuDdte } from "./layout.js";
import { BARE } from "./modes.js";
import { newPageReader } from "./pages.js";

const pageBytes = 2 ** frameLg2;
const { lo: valid } = halvesOf(maskOf(riscvIommuDdte, "V"));
const reserved = halvesOf(reservedOf(riscvIommuDdte));
const pointedFrame = frameReader(
  maskOf(riscvIommuDdte, "PPN"),
  memberOf(riscvIommuDdte, "PPN", iommuAbi).shift!,
);

/** A page, if it is there. */
const pageAt = (memory: Memory, pa: PhysAddr): Uint8Array | undefined =>
  memory.has(pa, pageBytes) ? memory.read(pa, pageBytes) : undefined;

/** Pages that a page leads to, with the index of the pointer; none if most of what it holds are no pointers. */
function pointersIn(memory: Memory, page: Uint8Array): { readonly index: number; readonly pa: PhysAddr }[] {
  const halves = littleWords(page);
  const pointers: { readonly index: number; readonly pa: PhysAddr }[] = [];
  let others = 0;
  for (let i = 0; i < halves.length; i += 2) {
    const lo = halves[i]!;
    const hi = halves[i + 1]!;
    if (lo === 0 && hi === 0) continue;
    const pa = addressOfFrame(pointedFrame(lo, hi));
    const isPointer = (lo & valid) !== 0 && (lo & reserved.lo) === 0 && (hi & reserved.hi) === 0 && pa !== 0n;
    if (isPointer && memory.has(pa, pageBytes)) pointers.push({ index: i / 2, pa });
    else others++;
  }
  return pointers.length > others ? pointers : [];
}

const isEmpty = (page: Uint8Array): boolean => page.every((byte) => byte === 0);

/** Levels of a directory: as many as there are pages of pointers one below the other, and one. Three for an empty root. */
export function guessLevels(memory: Memory, root: PhysAddr): number {
  /** Levels from a page down; 0 where nothing is in it. */
  const levelsAt = (pa: PhysAddr, most: number): number => {
    const page = pageAt(memory, pa);
    if (!page || isEmpty(page)) return 0;
    const pointers = most > 1 ? pointersIn(memory, page) : [];
    for (const { pa: child } of pointers) {
      const below = levelsAt(child, most - 1);
      if (below > 0) return below + 1;
    }
    // Linux makes all pages that lead to a context at once: what is empty are contexts.
    return pointers.length > 0 ? 2 : 1;
  };
  return levelsAt(root, mostLevels) || mostLevels;
}

/** How little sense contexts of one size make. */
interface Strangeness {
  /** Contexts that no driver writes. */
  impossible: number;
  /** Groups of eight that have valid ones, but not the first: PCI devices have a function 0. */
  odd: number;
}

/** Contexts that are enough to decide by. */
const enough = 1024;

/**
 * Judges the contexts of a page. An extended one begins with a base one: what tells is where its second half would be.
 * @returns how many there are
 */
function judge({ context }: Directory, page: Uint8Array, strange: Strangeness): number {
  const size = sizeOf(context, iommuAbi);
  let count = 0;
  for (let group = 0; group < pageBytes; group += 8 * size) {
    let functions = 0;
    for (let at = group; at < group + 8 * size; at += size) {
      const bytes = page.subarray(at, at + size);
      if (isEmpty(bytes)) continue;
      count++;
      const dc = decodeContext(bytes);
      if (isImpossible(dc)) strange.impossible++;
      if (dc.V) functions |= 1 << ((at - group) / size);
    }
    if (functions !== 0 && (functions & 1) === 0) strange.odd++;
  }
  return count;
}

/** True where bits are set that have to be zero, or MSIs are told apart that are not translated. */
function isImpossible(dc: DeviceContext): boolean {
  const { msiptp_MODE = BARE, msiptp_PPN = 0, msi_addr_mask = 0, msi_addr_pattern = 0 } = dc;
  const hasMsis = msiptp_PPN !== 0 || msi_addr_mask !== 0 || msi_addr_pattern !== 0;
  return reservedSet(dc).length > 0 || (msiptp_MODE === BARE && hasMsis);
}

/** Which of two directories it is that both begin at the same page, and why. */
export interface Guess {
  readonly directory: Directory;
  readonly why: string;
}

const undecided = "nothing tells, and units that translate MSIs have them";

/** Decides by what all contexts say, as far as pages of them are there. */
export function guessContexts(
  memory: Memory,
  base: Directory,
  extended: Directory,
  mostPages: number,
): Guess {
  const asBase = { impossible: 0, odd: 0 };
  const asExtended = { impossible: 0, odd: 0 };
  let left = enough;
  for (const page of contextPages(memory, base, mostPages, () => asBase.impossible++)) {
    judge(base, page, asBase);
    left -= judge(extended, page, asExtended);
    if (left <= 0) break;
  }
  return better(base, asBase, extended, asExtended) ?? { directory: extended, why: undecided };
}

/** Decides for one device, by the pages where its context can be; where these do not tell, by where there is a valid one. */
export function guessContext(ctx: IommuContext, base: Directory, extended: Directory, id: number): Guess {
  const { memory } = ctx;
  // What keeps a place from being read is reported once it was chosen.
  const pages = newPageReader({ ...ctx, report: () => {} }, newFrameSet());
  const asBase = { impossible: 0, odd: 0 };
  const asExtended = { impossible: 0, odd: 0 };
  const context = [base, extended].map((directory) => contextOf(pages, directory, id, "")?.words.at(-1));
  for (const pa of new Set(context.flatMap((words) => (words ? [words.pa & ~BigInt(pageBytes - 1)] : [])))) {
    const page = pageAt(memory, physAddr(pa));
    if (!page) continue;
    judge(base, page, asBase);
    judge(extended, page, asExtended);
  }
  const told = better(base, asBase, extended, asExtended);
  if (told) return told;
  const [inBase, inExtended] = context.map(
    (words) => words !== undefined && decodeContext(words.bytes).V === 1,
  );
  return inBase && !inExtended
    ? { directory: base, why: "where those of the other size would be is no valid one" }
    : {
        directory: extended,
        why: inExtended && !inBase ? "where those of the other size would be is no valid one" : undecided,
      };
}

/** The one that makes more sense, if either does. */
function better(
  base: Directory,
  asBase: Strangeness,
  extended: Directory,
  asExtended: Strangeness,
): Guess | undefined {
  for (const [key, what] of [
    ["impossible", "would say what no driver writes"],
    ["odd", "devices would have no function 0"],
  ] as const) {
    const more = Math.max(asBase[key], asExtended[key]);
    if (asBase[key] !== asExtended[key])
      return {
        directory: asBase[key] < asExtended[key] ? base : extended,
        why: `of the other size, ${more} ${what}`,
      };
  }
  return undefined;
}

/** Every page of contexts, once. `beyond` is told of pointers that base contexts have no device ids for. */
function* contextPages(
  memory: Memory,
  base: Directory,
  most: number,
  beyond: () => void,
): Generator<Uint8Array> {
  const seen = newFrameSet();
  let left = most;
  yield* at(base.root, base.levels - 1);

  function* at(pa: PhysAddr, level: number): Generator<Uint8Array> {
    if (!seen.add(frameOf(pa)) || left-- <= 0) return;
    const page = pageAt(memory, pa);
    if (!page) return;
    if (level === 0) {
      yield page;
      return;
    }
    for (const { index, pa: child } of pointersIn(memory, page)) {
      if (index >= reachable(base, level)) beyond();
      yield* at(child, level - 1);
    }
  }
}
