/** The driver's writer: stream table entries of devices, and tables of context descriptors as they need them. */

import type { PhysAddr } from "../../../src/memory/index.js";
import { KhoError } from "../../../src/report/error.js";
import type { Domain, TableStore } from "../domain.js";
import { structureBytes } from "../structures.js";
import {
  abortSte,
  bypassSte,
  contextsSte,
  type DeviceFeatures,
  domainCd,
  type GuestFields,
  nestedSte,
  type SmmuFeatures,
  type SteFields,
  secondStageSte,
} from "./contents.js";
import { type ContextStore, newContextStore } from "./context-store.js";
import { armSmmuSte, STE_S1DSS_BYPASS, STE_S1DSS_SSID0, STE_S1DSS_TERMINATE } from "./layout.js";
import { newStreamStore } from "./stream-store.js";

export interface Smmuv3Options extends SmmuFeatures {
  /** Bits of StreamIDs, 0 to 32. IDR1.SIDSIZE */
  readonly sidBits: number;
  /** False if stream tables can only be one array. IDR0.ST_LEVEL */
  readonly twoLevelStreams?: boolean;
  /** False if tables of context descriptors can only be one array. IDR0.CD2L */
  readonly twoLevelContexts?: boolean;
}

/** A device's requests go through a domain. */
export interface TableAttachment extends DeviceFeatures {
  readonly kind: "table";
  readonly domain: Domain;
  /** ASID of a domain of stage 1, VMID of one of stage 2: 1 to 65535. */
  readonly domainId: number;
  /** Just requests with this PASID, of at least 1: stage 1 alone. */
  readonly pasid?: number;
  /** Bits of the PASIDs that the device has, up to 20; counts when its table of contexts is made. */
  readonly pasidBits?: number;
  /** As the domain's format has it. */
  readonly dirtyTracking?: boolean;
  /** As the domain's format has it. */
  readonly s2fwb?: boolean;
}

/** A device's requests go through a guest's tables first. */
export interface NestedAttachment extends DeviceFeatures {
  readonly kind: "nested";
  readonly parent: Domain;
  /** VMID. */
  readonly domainId: number;
  readonly guest: GuestFields;
  /** As the parent's format has it. */
  readonly s2fwb?: boolean;
}

/** What becomes of a device's requests. */
export type Attachment =
  | { readonly kind: "blocked" }
  | { readonly kind: "identity" }
  | TableAttachment
  | NestedAttachment;

/** An SMMU with its structures in memory. */
export interface Smmuv3Unit {
  /** STRTAB_BASE. */
  readonly root: bigint;
  /** STRTAB_BASE_CFG. */
  readonly cfg: bigint;
  /**
   * Attaches a stream, or one PASID of it.
   * @returns `ENOMEM` if there is no memory for a table. Then the stream's entry is as it was; tables that were made stay
   * @throws KhoError `usage` for what no driver does, `value-range` for an id that does not fit
   */
  attach(device: number, what: Attachment): "ENOMEM" | undefined;
  /** Detaches a PASID, or takes the whole device away. */
  detach(device: number, pasid?: number): void;
}

/** A device that the driver knows. */
interface Master {
  readonly ste: PhysAddr;
  /** What becomes of requests without PASID. */
  plain: Attachment;
  features: DeviceFeatures;
  contexts: ContextStore | undefined;
  /** PASIDs that are attached. */
  readonly pasids: Set<number>;
}

/**
 * Makes an SMMU's stream table, as the driver does when it probes one; undefined if there is no memory for it.
 * @throws KhoError `usage` if `sidBits` is not 0 to 32
 */
export function newSmmuv3Unit(options: Smmuv3Options, store: TableStore): Smmuv3Unit | undefined {
  const { sidBits, twoLevelStreams = true, twoLevelContexts = true } = options;
  const streams = newStreamStore(store, sidBits, twoLevelStreams);
  if (!streams) return undefined;
  const masters = new Map<number, Master>();

  const masterOf = (sid: number): Master | undefined => {
    const known = masters.get(sid);
    if (known) return known;
    const ste = streams.entryAt(sid);
    if (ste === undefined) return undefined;
    const master: Master = {
      ste,
      plain: { kind: "blocked" },
      features: {},
      contexts: undefined,
      pasids: new Set(),
    };
    masters.set(sid, master);
    return master;
  };

  const writeSte = (master: Master): void =>
    store.write(master.ste, structureBytes(armSmmuSte, steOf(options, master)));

  const writeContext = (master: Master, what: TableAttachment, ssid: number): "ENOMEM" | undefined => {
    const { domain, domainId, dirtyTracking = false, pasidBits = 0 } = what;
    master.contexts ??= newContextStore(store, pasidBits, twoLevelContexts);
    const features = { ...master.features, ...featuresOf(what) };
    const cd = domainCd(options, features, domain, domainId, dirtyTracking);
    if (!master.contexts?.write(ssid, cd)) return "ENOMEM";
    master.features = features;
    return undefined;
  };

  const attachPasid = (master: Master, what: TableAttachment, pasid: number): "ENOMEM" | undefined => {
    if (secondStageOf(master.plain) || secondStageOf(what))
      throw new KhoError("usage", "PASIDs have stage 1 alone", { expected: "arm_s1" });
    if (pasid < 1) throw new KhoError("usage", `PASID ${pasid}`, { expected: "1 and more" });
    const failed = writeContext(master, what, pasid);
    if (failed) return failed;
    master.pasids.add(pasid);
    writeSte(master);
    return undefined;
  };

  const attachStream = (master: Master, what: Attachment): "ENOMEM" | undefined => {
    const second = secondStageOf(what);
    if (second && master.pasids.size > 0)
      throw new KhoError("usage", "there is no stage 2 while PASIDs are in use", { actual: what.kind });
    if (what.kind === "table" && !second) {
      const failed = writeContext(master, what, 0);
      if (failed) return failed;
      master.plain = what;
      writeSte(master);
      return undefined;
    }
    if (second) master.features = { ...master.features, ...featuresOf(second) };
    master.plain = what;
    writeSte(master);
    master.contexts?.clear(0);
    return undefined;
  };

  return {
    root: streams.root,
    cfg: streams.cfg,
    attach(sid, what) {
      const master = masterOf(sid);
      if (!master) return "ENOMEM";
      if (what.kind === "table" && what.pasid !== undefined) return attachPasid(master, what, what.pasid);
      return attachStream(master, what);
    },
    detach(sid, pasid) {
      const master = masters.get(sid);
      if (!master) return;
      if (pasid === undefined) {
        store.write(master.ste, structureBytes(armSmmuSte, abortSte));
        master.contexts?.free();
        masters.delete(sid);
      } else if (master.pasids.delete(pasid)) {
        writeSte(master);
        master.contexts?.clear(pasid);
      }
    },
  };
}

const featuresOf = ({ ats, stall }: DeviceFeatures): DeviceFeatures => ({
  ...(ats !== undefined && { ats }),
  ...(stall !== undefined && { stall }),
});

/** An attachment with stage 2, with the domain of that. */
function secondStageOf(
  what: Attachment,
): ((TableAttachment | NestedAttachment) & { second: Domain }) | undefined {
  if (what.kind === "nested") return { ...what, second: what.parent };
  return what.kind === "table" && what.domain.format.name === "arm_s2"
    ? { ...what, second: what.domain }
    : undefined;
}

/** The entry that goes with what a device is attached to. */
function steOf(smmu: SmmuFeatures, { plain, features, contexts, pasids }: Master): SteFields {
  const behind = secondStageOf(plain);
  if (behind) {
    const { second, domainId, s2fwb = false } = behind;
    const alone = secondStageSte(smmu, features, second, domainId, s2fwb);
    return behind.kind === "nested" ? nestedSte(alone, behind.guest) : alone;
  }
  if (contexts && plain.kind === "table")
    return contextsSte(smmu, features, contexts.root, STE_S1DSS_SSID0, false);
  const isIdentity = plain.kind === "identity";
  if (contexts && pasids.size > 0) {
    const dss = isIdentity ? STE_S1DSS_BYPASS : STE_S1DSS_TERMINATE;
    return contextsSte(smmu, features, contexts.root, dss, isIdentity);
  }
  return isIdentity ? bypassSte(smmu) : abortSte;
}
