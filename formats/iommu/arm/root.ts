/** The two registers that say where the stream table is, and which form it has. */
import { decode, sizeOf } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { KhoError } from "../../../src/report/error.js";
import { hex } from "../../../src/report/hex.js";
import type { IommuRoot } from "../device.js";
import { iommuAbi, packWord, unpackWord } from "../entry.js";
import { structureBytes } from "../structures.js";
import type { IommuContext } from "../walk.js";
import { guessStreamTable } from "./guess.js";
import {
  addressFrom,
  armSmmuSte,
  armSmmuStrtabL1,
  mostStreamBits,
  STRTAB_FMT_2LVL,
  STRTAB_FMT_LINEAR,
  strtabBase,
  strtabBaseCfg,
} from "./layout.js";
import type { StreamTable } from "./stream-table.js";

const steBytes = sizeOf(armSmmuSte, iommuAbi);
const l1Bytes = sizeOf(armSmmuStrtabL1, iommuAbi);
/** What SPLIT can be. */
const splits: readonly number[] = [6, 8, 10];
const rootPath = "root";

/** The stream table that the registers name. @throws KhoError `iommu-root-malformed` */
export function openStreamTable(ctx: IommuContext, { root, cfg }: IommuRoot): StreamTable {
  const { ADDR, ...register } = unpackWord(strtabBase, BigInt.asUintN(64, root));
  const base = addressFrom(strtabBase, "ADDR", ADDR);
  const known = packWord(strtabBase, { ...register, ADDR, rsvd0: 0, rsvd52: 0, rsvd63: 0 });
  if (known !== root)
    ctx.report("error", "iommu-reserved-bits", "STRTAB_BASE has bits set that have to be zero", {
      path: rootPath,
      expected: hex(known),
      actual: hex(root),
    });
  const table = cfg === undefined ? guessStreamTable(ctx, base) : tableOfCfg(ctx, base, cfg);
  const { bits, split } = table;
  const entry = split === undefined ? steBytes : l1Bytes;
  if (!ctx.memory.has(base, entry))
    throw malformed(`the stream table at ${hex(base)} is not captured`, base, "its memory", "not captured");
  // How large a guess is says nothing about where it can be.
  if (cfg === undefined) return table;
  const size = Math.max(steBytes, 2 ** (split === undefined ? bits : Math.max(0, bits - split)) * entry);
  const aligned = physAddr(base - (base % BigInt(size)));
  if (aligned !== base)
    ctx.report("warning", "iommu-root-malformed", "STRTAB_BASE is not aligned to the table's size", {
      path: rootPath,
      pa: base,
      expected: `a multiple of ${hex(size)}; hardware reads from ${hex(aligned)} on`,
      actual: hex(base),
    });
  return { ...table, base: aligned };
}

const malformed = (message: string, pa: PhysAddr, expected: string, actual: string): KhoError =>
  new KhoError("iommu-root-malformed", message, { path: rootPath, pa, expected, actual });

function tableOfCfg(ctx: IommuContext, base: PhysAddr, cfg: bigint): StreamTable {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, cfg), true);
  const { LOG2SIZE, SPLIT, FMT, rsvd11, rsvd18 } = decode(strtabBaseCfg, bytes, 0, iommuAbi);
  if (rsvd11 !== 0 || rsvd18 !== 0 || cfg >> 32n !== 0n)
    ctx.report("error", "iommu-reserved-bits", "STRTAB_BASE_CFG has bits set that have to be zero", {
      path: rootPath,
      actual: hex(cfg),
    });
  const refused = (what: string, expected: string): KhoError =>
    malformed(`STRTAB_BASE_CFG says ${what} that there is not`, base, expected, hex(cfg));
  if (LOG2SIZE > mostStreamBits) throw refused("a size", `LOG2SIZE 0 to ${mostStreamBits}`);
  if (FMT === STRTAB_FMT_LINEAR) return { base, bits: LOG2SIZE };
  if (FMT !== STRTAB_FMT_2LVL) throw refused("a form", "FMT 0 or 1");
  if (!splits.includes(SPLIT)) throw refused("a split", `SPLIT ${splits.join(", ")}`);
  return { base, bits: LOG2SIZE, split: SPLIT };
}

/** STRTAB_BASE_CFG of a table. */
export function cfgOf({ bits, split = 0 }: Omit<StreamTable, "base">): bigint {
  const FMT = split === 0 ? STRTAB_FMT_LINEAR : STRTAB_FMT_2LVL;
  const bytes = structureBytes(strtabBaseCfg, { LOG2SIZE: bits, SPLIT: split, FMT });
  return BigInt(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true));
}
