/** What a context entry of legacy mode, or the entry of a PASID, makes of requests. */
import type { ValueOf } from "../../../src/layout/index.js";
import { type DeviceEntry, type DeviceWords, devicePath } from "../device.js";
import { addressOfFrame } from "../entry.js";
import { itemLg2, type PageTable } from "../format.js";
import { type Found, reportBad } from "../structures.js";
import type { IommuContext } from "../walk.js";
import { x86Format } from "../x86.js";
import {
  CONTEXT_TT_DEV_IOTLB,
  CONTEXT_TT_MULTI_LEVEL,
  CONTEXT_TT_PASS_THROUGH,
  type contextEntry,
  PASID_ENTRY_PGTT_FL_ONLY,
  PASID_ENTRY_PGTT_NESTED,
  PASID_ENTRY_PGTT_PT,
  PASID_ENTRY_PGTT_SL_ONLY,
  type pasidEntry,
} from "./layout.js";
import { vtdss } from "./second-stage.js";

type Translation = Pick<DeviceEntry, "kind" | "domain" | "table" | "parent">;

const blocked: Translation = { kind: "blocked" };

/** What is done with the requests of a device, or with those that have a PASID; nothing is let through unless given. */
export function deviceEntry(
  device: number,
  pasid: number | undefined,
  words: readonly DeviceWords[],
  translation: Translation = blocked,
): DeviceEntry {
  const path = devicePath(device, pasid);
  const place = pasid === undefined ? { device, words, path } : { device, pasid, words, path };
  return Object.assign(place, translation);
}

/** Highest address width that there is: 57 bits. Tables have two levels more. */
const widest = 3;

const secondStageFormat = vtdss();
const firstStageFormat = x86Format();

const secondStage = (AW: number, frame: number): PageTable => ({
  format: secondStageFormat,
  root: addressOfFrame(frame),
  levels: AW + 2,
  vaBits: itemLg2(secondStageFormat, AW + 2),
  signExtend: false,
});

/** `FSPM` 0 is four levels, 1 five. */
const firstStage = (FSPM: number, frame: number): PageTable => ({
  format: firstStageFormat,
  root: addressOfFrame(frame),
  levels: FSPM + 4,
  vaBits: itemLg2(firstStageFormat, FSPM + 4),
  signExtend: true,
});

/** False for an address width that no unit has. */
function takesWidth(ctx: IommuContext, found: DeviceWords, AW: number, path: string): boolean {
  const expected = `AW 1 to ${widest}`;
  const actual = `AW ${AW}`;
  if (AW > widest) {
    reportBad(ctx, found, path, `no unit has address width ${AW}`, expected, actual);
    return false;
  }
  // The first units could have it; the driver never asks for it.
  if (AW === 0)
    ctx.report(
      "warning",
      "iommu-bad-context",
      `${path}: input addresses of 30 bits, which no kernel sets up`,
      {
        path,
        pa: found.pa,
        length: found.bytes.length,
        expected,
        actual,
      },
    );
  return true;
}

/** What a present context entry of legacy mode says. */
export function contextTranslation(
  ctx: IommuContext,
  found: Found<typeof contextEntry>,
  path: string,
): Translation {
  const { TT, AW, DID, SSPTPTR }: ValueOf<typeof contextEntry> = found.value;
  const domain = { name: "DID", id: DID };
  if (TT !== CONTEXT_TT_MULTI_LEVEL && TT !== CONTEXT_TT_DEV_IOTLB && TT !== CONTEXT_TT_PASS_THROUGH) {
    reportBad(ctx, found, path, "the translation type is reserved", "TT 0 to 2", `TT ${TT}`);
    return blocked;
  }
  if (!takesWidth(ctx, found, AW, path)) return blocked;
  if (TT === CONTEXT_TT_PASS_THROUGH) return { kind: "identity", domain };
  return { kind: "table", domain, table: secondStage(AW, SSPTPTR) };
}

/** What the present entry of a PASID says. */
export function pasidTranslation(
  ctx: IommuContext,
  found: Found<typeof pasidEntry>,
  path: string,
): Translation {
  const { PGTT, AW, FSPM, DID, SSPTPTR, FSPTPTR }: ValueOf<typeof pasidEntry> = found.value;
  const domain = { name: "DID", id: DID };
  const first = firstStage(FSPM, FSPTPTR);
  const second = secondStage(AW, SSPTPTR);
  const takesMode = (): boolean => {
    if (FSPM <= 1) return true;
    const what = "the paging mode of the first stage is reserved";
    reportBad(ctx, found, path, what, "FSPM 0 or 1", `FSPM ${FSPM}`);
    return false;
  };
  switch (PGTT) {
    case PASID_ENTRY_PGTT_FL_ONLY:
      // What it has as AW, hardware does not look at.
      return takesMode() ? { kind: "table", domain, table: first } : blocked;
    case PASID_ENTRY_PGTT_SL_ONLY:
      return takesWidth(ctx, found, AW, path) ? { kind: "table", domain, table: second } : blocked;
    case PASID_ENTRY_PGTT_NESTED:
      return takesMode() && takesWidth(ctx, found, AW, path)
        ? { kind: "nested", domain, table: first, parent: second }
        : blocked;
    case PASID_ENTRY_PGTT_PT:
      return takesWidth(ctx, found, AW, path) ? { kind: "identity", domain } : blocked;
    default:
      reportBad(ctx, found, path, "the translation type is reserved", "PGTT 1 to 4", `PGTT ${PGTT}`);
      return blocked;
  }
}
