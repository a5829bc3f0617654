import { decode, sizeOf, type ValueOf } from "../../src/layout/index.js";
import type { PhysAddr } from "../../src/memory/index.js";
import { hex } from "../../src/report/hex.js";
import { misread, retrieveFails, retrieveOops } from "../consequence.js";
import { type Context, readMemory } from "../context.js";
import type { MemfdVersion } from "../kernels.js";
import type { OrderOf } from "../kho/runs.js";
import { decodeFolios, type FolioRoom } from "./folio-list.js";
import type { FolioRuns } from "./folios.js";
import { MEMFD_LUO_ALL_SEALS, memfdLuoSerV1, memfdLuoSerV2, seals as sealBits } from "./layout.js";

/** A preserved memfd. include/linux/kho/abi/memfd.h, since 6.19. */
export interface Memfd {
  /** File size in bytes. */
  readonly size: bigint;
  /** File position in bytes. */
  readonly pos: bigint;
  /** F_SEAL_* bits that the file has once retrieved: `memfd-v1` carries none, and its files get F_SEAL_SEAL. */
  readonly seals: number;
  readonly flags: number;
  /** Entries of the folio list, as the header says. */
  readonly nrFolios: bigint;
  readonly folios: FolioRuns;
}

/** The layout of each version of the handler. */
export const memfdLayouts = { "memfd-v1": memfdLuoSerV1, "memfd-v2": memfdLuoSerV2 } as const;

/** True for the name of a memfd handler that can be read. */
export const isMemfd = (compatible: string): compatible is MemfdVersion =>
  Object.hasOwn(memfdLayouts, compatible);

const maxOffset = (1n << 63n) - 1n;

/**
 * Reads the memfd at `pa`. `orderOf` gives the order of the preserved block that begins at a PFN, or -1, and is left out
 * where there is no memory map: the entries themselves do not say how long a folio is. `left` is what the lists of this and all later files may hold.
 */
export function decodeMemfd(
  ctx: Context,
  version: MemfdVersion,
  pa: PhysAddr,
  orderOf: OrderOf | undefined,
  path: string,
  left: FolioRoom = { entries: ctx.limits.maxFolios, runs: ctx.limits.maxRuns },
): Memfd | undefined {
  const { abi } = ctx;
  const size = sizeOf(memfdLayouts[version], abi);
  const place = { path, pa, length: size };
  const garbage = retrieveFails(version === "memfd-v1" ? "EINVAL" : "EOPNOTSUPP");
  if (pa === 0n) {
    ctx.report("error", "memfd-bad-header", "the file's data is 0: address 0 is read as its structure", {
      ...place,
      consequence: garbage,
    });
    return undefined;
  }
  const bytes = readMemory(ctx, pa, size, path, retrieveOops);
  if (!bytes) return undefined;
  const reused = misread("retrieve", "the memory may be used for something else before it is read");
  const owner = ctx.claims.claim(pa, 1, 0, path, reused);
  if (owner !== undefined) {
    ctx.report(
      "error",
      "structure-reused",
      `the memfd's structure at ${hex(pa)} is in use already, as ${owner}`,
      {
        ...place,
        consequence: misread("retrieve", "it is freed once the first of the two is retrieved"),
      },
    );
    return undefined;
  }
  const header =
    version === "memfd-v1"
      ? { ...decode(memfdLuoSerV1, bytes, 0, abi), seals: sealBits.F_SEAL_SEAL, flags: 0 }
      : decode(memfdLuoSerV2, bytes, 0, abi);
  checkHeader(ctx, header, path, pa);
  return {
    size: header.size,
    pos: header.pos,
    seals: header.seals,
    flags: header.flags,
    nrFolios: header.nr_folios,
    folios: decodeFolios(ctx, header, orderOf, path, pa, left),
  };
}

type Header = ValueOf<typeof memfdLuoSerV2>;

function checkHeader(ctx: Context, { pos, size, seals, flags }: Header, path: string, pa: PhysAddr): void {
  if ((seals & ~MEMFD_LUO_ALL_SEALS) !== 0)
    ctx.report("error", "memfd-bad-seals", `seals ${hex(seals)} contain unknown bits`, {
      path: `${path}.seals`,
      pa,
      expected: `bits of ${hex(MEMFD_LUO_ALL_SEALS)}`,
      actual: hex(seals),
      consequence: retrieveFails("EOPNOTSUPP"),
    });
  if (flags !== 0)
    ctx.report("info", "memfd-bad-header", `flags are ${hex(flags)}: reserved, readers do not look at them`, {
      path: `${path}.flags`,
      pa,
      expected: "0",
      actual: hex(flags),
    });
  if (pos > maxOffset)
    ctx.report("warning", "memfd-bad-position", `position ${hex(pos)} is negative`, {
      path: `${path}.pos`,
      pa,
      actual: hex(pos),
      consequence: misread("retrieve", "the position stays 0"),
    });
  if (size > maxOffset)
    ctx.report("error", "memfd-bad-size", `size ${hex(size)} is negative`, {
      path: `${path}.size`,
      pa,
      actual: hex(size),
      consequence: misread("retrieve", "a file of negative size"),
    });
}
