/** What a device table entry says. */
import { hex } from "../../../src/report/hex.js";
import { addressOfFrame } from "../entry.js";
import { type EntryReader, itemLg2, type PageTable } from "../format.js";
import { type Access, IOMMU_READ, IOMMU_WRITE, readWrite } from "../prot.js";
import { type Found, reportReserved, reservedIn } from "../structures.js";
import type { IommuContext } from "../walk.js";
import { x86Format } from "../x86.js";
import type { Encryption } from "./encryption.js";
import type { Gcr3Table } from "./gcr3.js";
import {
  type devTableEntry,
  fewestGuestLevels,
  gcr3Frame,
  mostGcr3Levels,
  mostGuestLevels,
  mostHostLevels,
} from "./layout.js";
import { amdv1 } from "./v1.js";

export type Dte = Found<typeof devTableEntry>;

/** What an IOMMU makes of an entry. */
export interface Translation {
  /** What requests without PASID go through, unless `guest` takes them. */
  readonly host: "blocked" | "identity" | PageTable;
  /** Present where the device has page tables by PASID. */
  readonly guest?: Guest;
}

export interface Guest {
  readonly gcr3: Gcr3Table;
  /** True if requests without PASID go through the table of PASID 0. */
  readonly takesAll: boolean;
  /** The v2 table whose top is at an address. */
  tableAt(root: PageTable["root"]): PageTable;
}

/** Both formats of page tables, made once for every `smeMask`. */
export type Formats = () => { readonly mask: bigint; readonly v1: EntryReader; readonly v2: EntryReader };

export function newFormats(encryption: Encryption): Formats {
  let made: ReturnType<Formats> | undefined;
  return () => {
    const { mask } = encryption;
    if (made?.mask !== mask) made = { mask, v1: amdv1({ smeMask: mask }), v2: x86Format({ smeMask: mask }) };
    return made;
  };
}

export function translationOf(
  ctx: IommuContext,
  encryption: Encryption,
  formats: Formats,
  dte: Dte,
  path: string,
): Translation {
  const { value } = dte;
  // Nothing else of an entry that is not valid is looked at: requests pass as they are.
  if (value.V === 0) return { host: "identity" };
  reportReserved(ctx, dte, path);
  if (value.TV === 0) return { host: "blocked" };
  const refused = refusalOf(dte);
  if (refused) {
    const what = `${dte.layout.name} at ${hex(dte.pa)} is none that hardware takes`;
    ctx.report("error", "iommu-bad-context", what, {
      path,
      pa: dte.pa,
      length: dte.bytes.length,
      ...refused,
    });
    return { host: "blocked" };
  }
  const access = (value.IR ? IOMMU_READ : 0) | (value.IW ? IOMMU_WRITE : 0);
  if (access === 0) return { host: "blocked" };

  const hostRoot = value.Mode > 0 ? encryption.root(addressOfFrame(value.HostRoot), path) : undefined;
  const host =
    hostRoot === undefined ? undefined : tableOf(limited(formats().v1, access), hostRoot, value.Mode);
  if (value.GV === 0) return { host: host ?? "identity" };
  const root = addressOfFrame(gcr3Frame(value));
  return {
    host: host ?? "identity",
    guest: {
      gcr3: {
        root: host ? encryption.plain(root) : encryption.root(root, path),
        levels: value.GLX + 1,
        ...(host && { parent: host }),
      },
      takesAll: value.GIOV === 1,
      tableAt: (top) =>
        tableOf(limited(formats().v2, access), top, fewestGuestLevels + value.GuestPagingMode),
    },
  };
}

/** Input addresses are as wide as the top table decodes, and at most 64 bits. */
const tableOf = (format: EntryReader, root: PageTable["root"], levels: number): PageTable => ({
  format,
  root,
  levels,
  vaBits: Math.min(64, itemLg2(format, levels)),
  signExtend: false,
});

/** A format whose leaves allow no more than `access`: what an entry forbids, its tables do not allow. */
const limited = (format: EntryReader, access: Access): EntryReader =>
  access === readWrite ? format : { ...format, leafAccess: (lo, hi) => format.leafAccess(lo, hi) & access };

/** What makes hardware refuse an entry that is valid: field values that it reserves. */
function refusalOf({ value }: Dte): { readonly expected: string; readonly actual: string } | undefined {
  const { Mode, GV, GLX, GuestPagingMode } = value;
  const above = (name: string, is: number, most: number) =>
    is > most ? { expected: `${name} of 0 to ${most}`, actual: `${name}=${is}` } : undefined;
  return (
    above("Mode", Mode, mostHostLevels) ??
    (GV === 1
      ? (above("GLX", GLX, mostGcr3Levels - 1) ??
        above("GuestPagingMode", GuestPagingMode, mostGuestLevels - fewestGuestLevels))
      : undefined)
  );
}

/**
 * True if a driver could have written the entry: to tell a device table from what lies behind it. Stricter than hardware,
 * which does not look at fields that others switch off.
 */
export function isPlausible(dte: Dte): boolean {
  const { value } = dte;
  const { V, TV, Mode, HostRoot, GV } = value;
  if (reservedIn(dte).length > 0 || refusalOf(dte)) return false;
  if (GV === 0 && gcr3Frame(value) !== 0) return false;
  if (Mode === 0 && HostRoot !== 0) return false;
  return (V === 1 && TV === 1) || (Mode === 0 && GV === 0);
}
