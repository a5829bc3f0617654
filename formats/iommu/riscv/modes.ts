/** MODE fields of `fsc` and `iohgatp`, and the page tables that they stand for. */
import { addressOfFrame } from "../entry.js";
import type { PageTable } from "../format.js";
import { riscv64 } from "./table.js";

/** A scheme of page tables. */
export interface Scheme {
  /** Its name, which is also that of the bit of `capabilities` that offers it. */
  readonly name: "Sv39" | "Sv48" | "Sv57";
  readonly MODE: number;
  readonly levels: number;
  /** Bits of input addresses, which are sign extended. As a second stage it takes two more, without that. */
  readonly vaBits: number;
}

/** What there is, smallest first. */
export const schemes: readonly Scheme[] = [
  { name: "Sv39", MODE: 8, levels: 3, vaBits: 39 },
  { name: "Sv48", MODE: 9, levels: 4, vaBits: 48 },
  { name: "Sv57", MODE: 10, levels: 5, vaBits: 57 },
];
/** MODE where a stage takes addresses as they are. */
export const BARE = 0;
/** MODE of `fsc` with `PDTV`: process directories of one to three levels, and the bits of PASIDs that they decide over. */
export const processModes = [
  { name: "PD8", MODE: 1, levels: 1, idBits: 8 },
  { name: "PD17", MODE: 2, levels: 2, idBits: 17 },
  { name: "PD20", MODE: 3, levels: 3, idBits: 20 },
] as const;

export const schemeOf = (MODE: number): Scheme | undefined => schemes.find((scheme) => scheme.MODE === MODE);

const format = riscv64();

/** The table that `fsc` names. @param PPN its frame, below 2^44 */
export const firstStage = ({ levels, vaBits }: Scheme, PPN: number): PageTable => ({
  format,
  root: addressOfFrame(PPN),
  levels,
  vaBits,
  signExtend: true,
});

/** How many tables in a row are the top of a second stage, which they have to be aligned to. */
export const secondStageTops = 4;

/** The table that `iohgatp` names. @param PPN its first frame, below 2^44 */
export const secondStage = ({ levels, vaBits }: Scheme, PPN: number): PageTable => ({
  format,
  root: addressOfFrame(PPN),
  levels,
  vaBits: vaBits + Math.log2(secondStageTops),
  signExtend: false,
});
