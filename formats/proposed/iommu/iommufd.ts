import {
  decode,
  encodeInto,
  pa,
  padding,
  type Struct,
  sizeOf,
  struct,
  u8,
  u32,
  u64,
  type ValueOf,
} from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { hex } from "../../../src/report/hex.js";
import { itemIgnored, misread } from "../../consequence.js";
import type { Context } from "../../context.js";
import { encodedAt } from "../../fill.js";
import type { Target } from "../../target.js";
import { readBlock, writeBlock } from "./block.js";
import type { Loose } from "./records.js";
import { type IommuState, isDeleted } from "./state.js";

/** Name of the handler of iommufd files. All variants have it. */
export const IOMMUFD_LUO_COMPATIBLE = "iommufd-v1";

const header = "include/linux/kho/abi/iommufd.h";
const v1 = { header, since: "proposed 2026-02-03" };
const v2 = { header, since: "proposed 2026" };

/** Head of the block of an iommufd file as posted with the first IOMMU series; `nr_hwpts` entries follow. */
export const iommufdLu = struct("iommufd_lu", { nr_hwpts: u32 }, v1);
/** A page table that user space marked with a token. `domain_data` is the address of its record. */
export const iommufdHwptLu = struct("iommufd_hwpt_lu", { token: u32, domain_data: pa, reclaimed: u8 }, v1);

/** The same in later development trees. */
export const iommufdSer = struct("iommufd_ser", { nr_hwpts: u64 }, v2);
export const iommufdHwptSer = struct(
  "iommufd_hwpt_ser",
  { domain_data: pa, token: u64, reclaimed: u8, padding: padding(7) },
  v2,
);

/**
 * The layouts of an iommufd file by the number of the variant. A third one is a single pointer that means something only in
 * the reading kernel: there is nothing to decode in it.
 */
export const iommufdVariants = {
  1: { head: iommufdLu, entry: iommufdHwptLu },
  2: { head: iommufdSer, entry: iommufdHwptSer },
} as const;
export type IommufdVariant = keyof typeof iommufdVariants;

type EntrySer = Loose<ValueOf<typeof iommufdHwptLu | typeof iommufdHwptSer>>;

/** A page table (HWPT) of an iommufd that user space wants back. */
export interface IommufdHwpt {
  /** What user space marked it with; u32 in variant 1, u64 in variant 2. Unique in the file. */
  readonly token: bigint;
  /** Address of the record of its domain. */
  readonly domainPa: PhysAddr;
  /** Written by the reading kernel once user space has it back, u8. */
  readonly reclaimed: number;
  /** Position of the domain in the state that was given; undefined without one, or if its record is not there. */
  readonly domain?: number;
}

/** What an iommufd file hands over. */
export interface Iommufd {
  readonly hwpts: readonly IommufdHwpt[];
}

/** Domains by the addresses of their records: what the page tables of all iommufd files are looked up in. */
export interface DomainIndex {
  readonly domains: IommuState["domains"];
  readonly positions: ReadonlyMap<bigint, number>;
}
export const domainIndex = ({ domains }: Pick<IommuState, "domains">): DomainIndex => ({
  domains,
  positions: new Map(domains.map(({ pa }, i) => [pa, i])),
});

/**
 * Reads the block of an iommufd file; `at` is the file's `data`. Undefined, and reported, if that is not possible, or has
 * been done already.
 */
export function decodeIommufd(
  ctx: Context,
  variant: IommufdVariant,
  at: PhysAddr,
  path: string,
  index?: DomainIndex,
): Iommufd | undefined {
  const { abi } = ctx;
  const { head, entry } = iommufdVariants[variant];
  const sizes = { head: sizeOf(head, abi), entry: sizeOf(entry, abi) };
  const countIn = (bytes: Uint8Array): number | bigint => decode(head, bytes, 0, abi).nr_hwpts;
  const block = readBlock(ctx, at, sizes, countIn, path);
  if (!block) return undefined;
  const tokens = new Set<bigint>();
  const hwpts = Array.from({ length: block.count }, (_, i): IommufdHwpt => {
    const offset = sizes.head + i * sizes.entry;
    const ser: EntrySer = decode(entry, block.bytes, offset, abi);
    const domainPa = ser.domain_data ?? physAddr(0);
    const domain = index?.positions.get(domainPa);
    const hwpt = {
      token: BigInt(ser.token ?? 0),
      domainPa,
      reclaimed: ser.reclaimed ?? 0,
      ...(domain !== undefined && { domain }),
    };
    const place = { path: `${path}.hwpts[${i}]`, pa: physAddr(at + BigInt(offset)), length: sizes.entry };
    checkHwpt(ctx, hwpt, tokens, index, place);
    return hwpt;
  });
  return { hwpts };
}

function checkHwpt(
  ctx: Context,
  { token, domainPa, domain, reclaimed }: IommufdHwpt,
  tokens: Set<bigint>,
  index: DomainIndex | undefined,
  place: { readonly path: string; readonly pa: PhysAddr; readonly length: number },
): void {
  const { path } = place;
  if (tokens.has(token))
    ctx.report("error", "iommu-state-duplicate", `an earlier page table than ${path} has token ${token}`, {
      ...place,
      path: `${path}.token`,
      actual: String(token),
      consequence: itemIgnored("the first of the two is found", undefined, "retrieve"),
    });
  tokens.add(token);
  if (reclaimed !== 0)
    ctx.report("info", "iommu-state-value", `${path} has been taken back: a reading kernel was here`, {
      ...place,
      path: `${path}.reclaimed`,
      actual: String(reclaimed),
    });
  if (!index || (domain !== undefined && !isDeleted(index.domains[domain]!))) return;
  ctx.report(
    "error",
    "iommu-state-link",
    domain === undefined
      ? `the domain of ${path} is at ${hex(domainPa)}, where no record is`
      : `the domain of ${path} is deleted`,
    {
      ...place,
      path: `${path}.domainPa`,
      actual: hex(domainPa),
      consequence: misread("retrieve", "the reader follows the address without a look at the record"),
    },
  );
}

/** Writes the block of an iommufd file. @throws KhoError `value-range`, also for an address that begins no page */
export function encodeIommufd(
  target: Target,
  variant: IommufdVariant,
  at: PhysAddr,
  { hwpts }: Iommufd,
): void {
  const { abi } = target;
  const head: Struct = iommufdVariants[variant].head;
  const entry: Struct = iommufdVariants[variant].entry;
  const first = sizeOf(head, abi);
  const size = sizeOf(entry, abi);
  writeBlock(target, at, first + hwpts.length * size, (bytes) => {
    encodeInto(head, { nr_hwpts: BigInt(hwpts.length) }, bytes, 0, abi);
    for (const [i, { token, domainPa, reclaimed }] of hwpts.entries()) {
      const value = { token, domain_data: domainPa, reclaimed };
      encodedAt(`hwpts[${i}]`, () => encodeInto(entry, value, bytes, first + i * size, abi));
    }
  });
}
