/** The device table: an entry for every requester id. */
import { littleWords, sizeOf } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { hex } from "../../../src/report/hex.js";
import { readMemory } from "../../context.js";
import { devicePath } from "../device.js";
import { frameLg2, frameOf, iommuAbi, isReserved } from "../entry.js";
import type { FrameSet } from "../frames.js";
import { atIndex, found, maskWords } from "../structures.js";
import type { IommuContext } from "../walk.js";
import { type Dte, isPlausible } from "./dte.js";
import { devTableEntry } from "./layout.js";

const pageBytes = 2 ** frameLg2;
const entryBytes = sizeOf(devTableEntry, iommuAbi);
const entryWords = entryBytes / 4;
/** Entries of one page. */
export const pageEntries = pageBytes / entryBytes;
/** Pages of a table for all requester ids, which have 16 bits. */
export const mostPages = 2 ** 16 / pageEntries;

export interface DeviceTable {
  /** The entry of a device; undefined if the table has none, or if it is absent, which is reported. */
  entry(device: number): Dte | undefined;
  /** Entries that are not as the driver leaves those of devices that nobody uses. Ascending. */
  used(): Iterable<{ readonly device: number; readonly dte: Dte }>;
}

/**
 * @param pages of the table; undefined if nobody says how many: as many as look like it then
 * @param tables collects the frames of what was read
 */
export function deviceTable(
  ctx: IommuContext,
  base: PhysAddr,
  pages: number | undefined,
  tables: FrameSet,
): DeviceTable {
  const { memory, report } = ctx;
  const pageAt = (page: number): PhysAddr => physAddr(base + BigInt(page * pageBytes));
  let size = pages;
  let said = false;
  const guessed = (path: string, what: string, actual: string): void => {
    if (!said)
      report("info", "iommu-mode-guessed", `nothing says how large the device table is; ${what}`, {
        path,
        pa: base,
        expected: "a register with the size of the table",
        actual,
      });
    said = true;
  };

  /** Pages in a row that hold nothing but what a driver could have written; empty ones at the end do not count. */
  const plausiblePages = (): number => {
    let count = 1;
    for (let page = 1; page < mostPages && memory.has(pageAt(page), pageBytes); page++) {
      const kind = kindOf(pageAt(page), memory.read(pageAt(page), pageBytes));
      if (kind === "foreign") break;
      if (kind === "entries") count = page + 1;
    }
    if (count > 1) {
      const actual = `${count * pageEntries} entries in a row that drivers write`;
      guessed("devices", "what looks like its entries is taken for them", actual);
    }
    return count;
  };

  return {
    entry(device) {
      if (!Number.isInteger(device) || device < 0 || device >= (size ?? mostPages) * pageEntries)
        return undefined;
      const path = devicePath(device);
      const pa = atIndex(devTableEntry, base, device);
      const isOpen = size === undefined && device >= pageEntries;
      if (isOpen && !memory.has(pa, entryBytes)) return undefined;
      const bytes = readMemory(ctx, pa, entryBytes, path);
      if (!bytes) return undefined;
      const dte = found(devTableEntry, pa, bytes);
      if (isOpen) {
        if (!isPlausible(dte)) return undefined;
        guessed(path, "an entry is taken to be in it that looks like one", `an entry at ${hex(pa)}`);
      }
      tables.add(frameOf(pa));
      return dte;
    },
    *used() {
      size ??= plausiblePages();
      for (let page = 0; page < size; page++) {
        const first = page * pageEntries;
        if (!memory.has(pageAt(page), pageBytes)) {
          // What is missing in one piece is reported as one.
          let end = page + 1;
          while (end < size && !memory.has(pageAt(end), pageBytes)) end++;
          readMemory(ctx, pageAt(page), (end - page) * pageBytes, devicePath(first));
          page = end - 1;
          continue;
        }
        const pa = pageAt(page);
        const bytes = memory.read(pa, pageBytes);
        tables.add(frameOf(pa));
        const words = littleWords(bytes);
        for (let i = 0; i < pageEntries; i++)
          if (!isUnused(words, i * entryWords)) yield { device: first + i, dte: entryIn(pa, bytes, i) };
      }
    },
  };
}

const entryIn = (page: PhysAddr, bytes: Uint8Array, i: number): Dte =>
  found(devTableEntry, atIndex(devTableEntry, page, i), bytes.subarray(i * entryBytes, (i + 1) * entryBytes));

/** What a page behind a device table's first one is. */
function kindOf(pa: PhysAddr, bytes: Uint8Array): "entries" | "empty" | "foreign" {
  const words = littleWords(bytes);
  if (words.every((word) => word === 0)) return "empty";
  for (let i = 0; i < pageEntries; i++)
    if (!isInitial(words, i * entryWords) && !isPlausible(entryIn(pa, bytes, i))) return "foreign";
  return "entries";
}

const maskOf = (...names: (keyof typeof devTableEntry.fields)[]): Int32Array =>
  maskWords(devTableEntry, (name) => names.some((wanted) => wanted === name));
const reserved = maskWords(devTableEntry, isReserved);
const valid = maskOf("V")[0]!;
const translated = maskOf("TV")[0]!;
const rights = maskOf("IR", "IW")[1]!;
/** What drivers set in entries of devices that nobody uses: the firmware's wishes, and that interrupts are remapped. */
const quiet = maskOf(
  "V",
  "TV",
  "IW",
  "IV",
  "SysMgt",
  "INITPass",
  "EINTPass",
  "NMIPass",
  "Lint0Pass",
  "Lint1Pass",
);

/** True for entries with nothing set but what {@link quiet} has: most entries of most tables. */
function isInitial(words: Int32Array, at: number): boolean {
  let more = 0;
  for (let i = 0; i < entryWords; i++) more |= words[at + i]! & ~quiet[i]!;
  return more === 0;
}

/**
 * True for entries of which the driver has set up no translation: zero behind the last device, else blocked. Interrupts,
 * and what may be left in the second word, do not matter.
 */
function isUnused(words: Int32Array, at: number): boolean {
  for (let i = 0; i < entryWords; i++) if ((words[at + i]! & reserved[i]!) !== 0) return false;
  const lo = words[at]!;
  const hi = words[at + 1]!;
  if (lo === 0 && hi === 0) return true;
  const isBlocked = (lo & translated) === 0 || (hi & rights) === 0;
  return (lo & valid) !== 0 && (lo & ~(valid | translated)) === 0 && (hi & ~rights) === 0 && isBlocked;
}
