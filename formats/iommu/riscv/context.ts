/** What contexts of devices and of processes say. */
import { decode, sizeOf, type ValueOf } from "../../../src/layout/index.js";
import { type DeviceEntry, type DeviceWords, devicePath } from "../device.js";
import { addressOfFrame, iommuAbi } from "../entry.js";
import type { PageTable } from "../format.js";
import { wrongInDevice, wrongInProcess } from "./checks.js";
import { contextOf, contextsOf, type Directory, type Found } from "./directory.js";
import {
  type Capabilities,
  type DeviceContext,
  reservedSet,
  riscvIommuDc,
  riscvIommuDcBase,
  riscvIommuPc,
  riscvIommuPdte,
} from "./layout.js";
import { firstStage, processModes, schemeOf, secondStage } from "./modes.js";
import type { PageReader } from "./pages.js";

/** A context of either size. */
export const decodeContext = (bytes: Uint8Array): DeviceContext =>
  decode(bytes.length < sizeOf(riscvIommuDc, iommuAbi) ? riscvIommuDcBase : riscvIommuDc, bytes, 0, iommuAbi);

/** A device context that was read and judged. */
export interface Device {
  readonly id: number;
  readonly words: readonly DeviceWords[];
  readonly dc: DeviceContext;
  /** True if nothing of the device gets through, because the context says so or because hardware refuses it. */
  readonly blocked: boolean;
  readonly second?: PageTable;
  /** Where the contexts of its PASIDs are; a guest's are behind `second`. */
  readonly processes?: Directory;
}

/** Reads a device context; what hardware refuses it for is reported. */
export function deviceOf(pages: PageReader, found: Found, capabilities?: Capabilities): Device {
  const { id, words, refused } = found;
  const dc = decodeContext(words.at(-1)!.bytes);
  if (!dc.V || refused) return { id, words, dc, blocked: true };
  if (isWrong(pages, found, devicePath(id), reservedSet(dc), wrongInDevice(dc, capabilities)))
    return { id, words, dc, blocked: true };
  const scheme = schemeOf(dc.iohgatp_MODE);
  const second = scheme && secondStage(scheme, dc.iohgatp_PPN);
  const mode = dc.PDTV ? processModes.find(({ MODE }) => MODE === dc.fsc_MODE) : undefined;
  const processes = mode && {
    root: addressOfFrame(dc.fsc_PPN),
    levels: mode.levels,
    idBits: mode.idBits,
    pointer: riscvIommuPdte,
    context: riscvIommuPc,
    ...(second && { parent: second }),
  };
  return { id, words, dc, blocked: false, ...(second && { second }), ...(processes && { processes }) };
}

/** What becomes of a device's requests without a PASID. */
export function plainRequests(pages: PageReader, device: Device, capabilities?: Capabilities): DeviceEntry {
  const { id, words, dc, blocked, processes } = device;
  const path = devicePath(id);
  if (blocked) return { device: id, kind: "blocked", words, path };
  if (dc.PDTV && dc.DPE && processes) {
    const found = contextOf(pages, processes, 0, `${path}.pasids`);
    if (!found) return { device: id, kind: "blocked", words, path };
    return processRequests(pages, device, found, path, capabilities);
  }
  // Without a PASID a process directory says nothing, and the first stage takes addresses as they are.
  const first = dc.PDTV ? undefined : tableOf(dc);
  return { device: id, ...through(device, first, dc.PSCID), words, path };
}

/** What becomes of its requests with PASIDs, for each that has a context. */
export function* pasidsOf(
  pages: PageReader,
  device: Device,
  capabilities?: Capabilities,
): Generator<DeviceEntry> {
  if (!device.processes) return;
  for (const found of contextsOf(pages, device.processes, `${devicePath(device.id)}.pasids`))
    yield pasidEntry(pages, device, found, capabilities);
}

/** What becomes of its requests with one PASID; undefined where nothing says anything about it. */
export function pasidOf(
  pages: PageReader,
  device: Device,
  pasid: number,
  capabilities?: Capabilities,
): DeviceEntry | undefined {
  const { id, words, blocked, processes } = device;
  if (blocked) return { device: id, pasid, kind: "blocked", words, path: devicePath(id, pasid) };
  const found = processes && contextOf(pages, processes, pasid, `${devicePath(id)}.pasids`);
  return found && pasidEntry(pages, device, found, capabilities);
}

const pasidEntry = (
  pages: PageReader,
  device: Device,
  found: Found,
  capabilities?: Capabilities,
): DeviceEntry => ({
  ...processRequests(pages, device, found, devicePath(device.id, found.id), capabilities),
  pasid: found.id,
});

function processRequests(
  pages: PageReader,
  device: Device,
  found: Found,
  path: string,
  capabilities?: Capabilities,
): DeviceEntry {
  const pc = decode(riscvIommuPc, found.words.at(-1)!.bytes, 0, iommuAbi);
  const common = { device: device.id, words: [...device.words, ...found.words], path };
  const blocked =
    !pc.V || found.refused || isWrong(pages, found, path, reservedSet(pc), wrongInProcess(pc, capabilities));
  if (blocked) return { ...common, kind: "blocked" };
  return { ...common, ...through(device, tableOf(pc), pc.PSCID) };
}

const tableOf = ({ fsc_MODE, fsc_PPN }: Pick<ValueOf<typeof riscvIommuPc>, "fsc_MODE" | "fsc_PPN">) => {
  const scheme = schemeOf(fsc_MODE);
  return scheme && firstStage(scheme, fsc_PPN);
};

/** What the two stages make together. */
function through(
  { dc, second }: Device,
  first: PageTable | undefined,
  PSCID: number,
): Pick<DeviceEntry, "kind" | "domain" | "table" | "parent"> {
  if (first) {
    const domain = { name: "PSCID", id: PSCID };
    return second
      ? { kind: "nested", domain, table: first, parent: second }
      : { kind: "table", domain, table: first };
  }
  if (!second) return { kind: "identity" };
  return { kind: "table", domain: { name: "GSCID", id: dc.GSCID }, table: second };
}

/** Reports what is wrong with a context, and says whether anything is. */
function isWrong(
  { ctx }: PageReader,
  { words }: Found,
  path: string,
  reserved: readonly string[],
  wrong: readonly string[],
): boolean {
  const { pa, bytes, layout } = words.at(-1)!;
  const place = { path, pa, length: bytes.length };
  if (reserved.length > 0)
    ctx.report(
      "error",
      "iommu-reserved-bits",
      `${layout.name}: ${reserved.join(", ")} have to be zero`,
      place,
    );
  for (const what of wrong) ctx.report("error", "iommu-bad-context", `${layout.name}: ${what}`, place);
  return reserved.length > 0 || wrong.length > 0;
}
