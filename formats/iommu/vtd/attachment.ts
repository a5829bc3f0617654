/** What the driver writes into the entry of a device or of a PASID for what it is attached to. */
import type { ValueOf } from "../../../src/layout/index.js";
import type { Domain } from "../domain.js";
import { frameOf } from "../entry.js";
import type { VtdAbilities } from "./capabilities.js";
import {
  CONTEXT_TT_DEV_IOTLB,
  CONTEXT_TT_MULTI_LEVEL,
  CONTEXT_TT_PASS_THROUGH,
  type contextEntry,
  FLPT_DEFAULT_DID,
  PASID_ENTRY_PGTT_FL_ONLY,
  PASID_ENTRY_PGTT_NESTED,
  PASID_ENTRY_PGTT_PT,
  PASID_ENTRY_PGTT_SL_ONLY,
  type pasidEntry,
} from "./layout.js";

/** What a device, or one of its PASIDs, can be attached to. */
export type VtdAttachment =
  /** Nothing: it cannot reach memory. */
  | { readonly kind: "blocked" }
  /** Memory as it is. */
  | { readonly kind: "identity" }
  | VtdTable
  | VtdNested
  | VtdShared;

/** A page table of the driver's: first stage or second stage, as its format says. */
export interface VtdTable {
  readonly kind: "table";
  readonly domain: Domain;
  /** 2 to 65535: 0 and 1 are the driver's own. */
  readonly domainId: number;
  /** True if hardware is to mark what it accesses and writes. Second stage in scalable mode alone. */
  readonly dirtyTracking?: boolean;
  /** True if all accesses are to be snooped. First stage alone: in a second stage that is up to the leaves. */
  readonly forceSnoop?: boolean;
}

/** A page table of a guest's, and the second-stage table that its addresses go through. Scalable mode alone. */
export interface VtdNested {
  readonly kind: "nested";
  readonly parent: Domain;
  readonly domainId: number;
  /** Where the guest's table is, as the guest counts addresses. */
  readonly root: bigint;
  readonly levels: 4 | 5;
  /** SRE, WPE and EAFE, which are up to user space. */
  readonly supervisorRequests?: boolean;
  readonly writeProtect?: boolean;
  readonly extendedAccessed?: boolean;
  readonly dirtyTracking?: boolean;
  readonly forceSnoop?: boolean;
}

/** The page table of a process: shared virtual addressing. Scalable mode alone. */
export interface VtdShared {
  readonly kind: "sva";
  readonly root: bigint;
  readonly levels: 4 | 5;
}

type Values<L> = Partial<ValueOf<L>>;

const bit = (set = false): 0 | 1 => (set ? 1 : 0);

/** Address width of a second-stage table. */
const widthOf = ({ levels }: Domain): number => levels - 2;
/** Paging mode of a first-stage table. */
const modeOf = ({ levels }: { readonly levels: number }): number => levels - 4;

/**
 * The context entry of legacy mode; undefined for what that mode does not have. `agaw` is the unit's.
 * @param ats true if the device can cache translations, whether it does or not
 */
export function contextValues(
  what: VtdAttachment,
  agaw: number,
  ats: boolean,
): Values<typeof contextEntry> | undefined {
  switch (what.kind) {
    case "blocked":
      return {};
    case "identity":
      return { P: 1, TT: CONTEXT_TT_PASS_THROUGH, AW: agaw, DID: FLPT_DEFAULT_DID };
    case "table":
      if (what.domain.format.name !== "vtdss") return undefined;
      return {
        P: 1,
        TT: ats ? CONTEXT_TT_DEV_IOTLB : CONTEXT_TT_MULTI_LEVEL,
        SSPTPTR: frameOf(what.domain.root),
        AW: widthOf(what.domain),
        DID: what.domainId,
      };
    default:
      return undefined;
  }
}

/** The entry of a PASID; undefined for what the driver does not attach. `agaw` is the unit's. */
export function pasidValues(
  what: VtdAttachment,
  agaw: number,
  { coherent, firstStage }: VtdAbilities,
): Values<typeof pasidEntry> | undefined {
  const PWSNP = bit(coherent);
  switch (what.kind) {
    case "blocked":
      return {};
    case "identity":
      return { P: 1, AW: agaw, PGTT: PASID_ENTRY_PGTT_PT, DID: FLPT_DEFAULT_DID, PWSNP };
    case "table":
      return tableValues(what, agaw, firstStage, PWSNP);
    case "nested": {
      const { parent, domainId, root, dirtyTracking, forceSnoop } = what;
      if (parent.format.name !== "vtdss" || !firstStage) return undefined;
      return {
        P: 1,
        AW: widthOf(parent),
        PGTT: PASID_ENTRY_PGTT_NESTED,
        SSADE: bit(dirtyTracking),
        SSPTPTR: frameOf(parent.root),
        DID: domainId,
        PWSNP,
        PGSNP: bit(forceSnoop),
        SRE: bit(what.supervisorRequests),
        FSPM: modeOf(what),
        WPE: bit(what.writeProtect),
        EAFE: bit(what.extendedAccessed),
        FSPTPTR: frameOf(root),
      };
    }
    case "sva":
      if (!firstStage) return undefined;
      return {
        P: 1,
        AW: agaw,
        PGTT: PASID_ENTRY_PGTT_FL_ONLY,
        DID: FLPT_DEFAULT_DID,
        PWSNP: 1,
        FSPM: modeOf(what),
        FSPTPTR: frameOf(what.root),
      };
  }
}

function tableValues(
  { domain, domainId, dirtyTracking, forceSnoop }: VtdTable,
  agaw: number,
  firstStage: boolean,
  PWSNP: 0 | 1,
): Values<typeof pasidEntry> | undefined {
  if (domain.format.name === "vtdss")
    return {
      P: 1,
      AW: widthOf(domain),
      PGTT: PASID_ENTRY_PGTT_SL_ONLY,
      SSADE: bit(dirtyTracking),
      SSPTPTR: frameOf(domain.root),
      DID: domainId,
      PWSNP,
    };
  if (domain.format.name !== "x86_64" || !firstStage) return undefined;
  return {
    P: 1,
    AW: agaw,
    PGTT: PASID_ENTRY_PGTT_FL_ONLY,
    DID: domainId,
    PWSNP,
    PGSNP: bit(forceSnoop),
    FSPM: modeOf(domain),
    FSPTPTR: frameOf(domain.root),
  };
}
