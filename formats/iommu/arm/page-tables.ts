/** The page tables that context descriptors and stream table entries name. */
import type { ValueOf } from "../../../src/layout/index.js";
import type { PhysAddr } from "../../../src/memory/index.js";
import { hex } from "../../../src/report/hex.js";
import { frameLg2 } from "../entry.js";
import { entriesOf, itemLg2, type PageTable, type TableFormat } from "../format.js";
import { levelsFor, mostBits } from "./geometry.js";
import { addressFrom, addressSizes, armSmmuCd, armSmmuSte, granules } from "./layout.js";
import { type ArmOptions, armFormat } from "./table.js";

export type Cd = Readonly<ValueOf<typeof armSmmuCd>>;
export type Ste = Readonly<ValueOf<typeof armSmmuSte>>;

/** Why there is no page table to be read. */
export interface Refusal {
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

/** Makes formats; the same one for the same options. */
export type FormatSource = (options: ArmOptions) => TableFormat;

export function newFormatSource(): FormatSource {
  const made = new Map<string, TableFormat>();
  return (options) => {
    const key = JSON.stringify(options);
    let format = made.get(key);
    if (!format) made.set(key, (format = armFormat(options)));
    return format;
  };
}

/** Fewest bits of input addresses: larger T0SZ do not exist. */
const fewestBits = 16;

/** The table of stage 1 at TTB0. The descriptor has to be valid, and EPD0 clear. */
export function stage1Table(cd: Cd, formats: FormatSource): PageTable | Refusal {
  const { T0SZ, TG0, IPS, AA64, ENDI, HD } = cd;
  if (!AA64) return refused("tables of AArch32 are not read", "AA64 1", "AA64 0");
  if (ENDI) return refused("big-endian tables are not read", "ENDI 0", "ENDI 1");
  const granuleLg2 = granules[TG0];
  if (granuleLg2 === undefined) return refused("there is no such granule", "TG0 0 to 2", `TG0 ${TG0}`);
  const paBits = addressSizes[IPS];
  if (paBits === undefined) return refused("there is no such address size", "IPS 0 to 6", `IPS ${IPS}`);
  const vaBits = 64 - T0SZ;
  const fewest = Math.max(fewestBits, granuleLg2 + 1);
  if (vaBits < fewest || vaBits > mostBits(granuleLg2))
    return refused(
      "its input addresses have too many or too few bits",
      `T0SZ ${64 - mostBits(granuleLg2)} to ${64 - fewest}`,
      `T0SZ ${T0SZ}`,
    );
  const format = formats({ stage: 1, granuleLg2, paBits, dirtyTracking: HD === 1 });
  const levels = levelsFor(granuleLg2, vaBits);
  return tableAt(addressFrom(armSmmuCd, "TTB0", cd.TTB0), "TTB0", format, levels, vaBits);
}

/** Most tables in a row that can be the top of stage 2, as a base-2 logarithm. */
const mostConcatenatedLg2 = 4;

/** The table of stage 2 at S2TTB. */
export function stage2Table(ste: Ste, formats: FormatSource): PageTable | Refusal {
  const { S2T0SZ, S2TG, S2SL0, S2PS, S2AA64, S2ENDI } = ste;
  if (!S2AA64) return refused("tables of AArch32 are not read", "S2AA64 1", "S2AA64 0");
  if (S2ENDI) return refused("big-endian tables are not read", "S2ENDI 0", "S2ENDI 1");
  const granuleLg2 = granules[S2TG];
  if (granuleLg2 === undefined) return refused("there is no such granule", "S2TG 0 to 2", `S2TG ${S2TG}`);
  const paBits = addressSizes[S2PS];
  if (paBits === undefined) return refused("there is no such address size", "S2PS 0 to 6", `S2PS ${S2PS}`);
  const levels = levelsBySL0(granuleLg2)[S2SL0];
  const vaBits = 64 - S2T0SZ;
  const format = formats({ stage: 2, granuleLg2, paBits });
  const topBits = levels === undefined ? 0 : vaBits - itemLg2(format, levels - 1);
  const most = Math.log2(entriesOf(format)) + mostConcatenatedLg2;
  if (levels === undefined || vaBits > mostBits(granuleLg2) || topBits < 1 || topBits > most)
    return refused(
      "its walks cannot begin at that level with that many bits of input addresses",
      "S2SL0 and S2T0SZ that fit",
      `S2SL0 ${S2SL0}, S2T0SZ ${S2T0SZ}`,
    );
  return tableAt(addressFrom(armSmmuSte, "S2TTB", ste.S2TTB), "S2TTB", format, levels, vaBits);
}

/** Levels by S2SL0. */
const levelsBySL0 = (granuleLg2: number): readonly (number | undefined)[] =>
  granuleLg2 === 12 ? [2, 3, 4, 1] : [1, 2, 3, undefined];
/** S2SL0 of a table of so many levels. */
export const sl0Of = (granuleLg2: number, levels: number): number => levelsBySL0(granuleLg2).indexOf(levels);

/** Smallest multiple that a table can be at. */
const smallestRoot = 64;

function tableAt(
  root: PhysAddr,
  field: string,
  format: TableFormat,
  levels: number,
  vaBits: number,
): PageTable | Refusal {
  const bytes = Math.max(smallestRoot, 8 * 2 ** (vaBits - itemLg2(format, levels - 1)));
  // Smaller tables may begin anywhere in a page, but no kernel puts them there.
  const alignment = Math.max(bytes, 2 ** frameLg2);
  if (root % BigInt(alignment) !== 0n)
    return refused(
      "its table is at an odd address",
      `a multiple of ${hex(alignment)}`,
      `${field} ${hex(root)}`,
    );
  return { format, root, levels, vaBits, signExtend: false };
}

const refused = (what: string, expected: string, actual: string): Refusal => ({ what, expected, actual });
