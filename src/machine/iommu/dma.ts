/** How a device's accesses reach memory: as the hardware's registers and the tables in memory say, and no other way. */
import { type DeviceEntry, devicePath } from "../../../formats/iommu/device.js";
import { throughParent } from "../../../formats/iommu/nested.js";
import { IOMMU_READ, IOMMU_WRITE } from "../../../formats/iommu/prot.js";
import { type Translated, translate } from "../../../formats/iommu/translate.js";
import { deviceName } from "../../iommu/names.js";
import { newReading, openIommu } from "../../iommu/open.js";
import { type Memory, type PhysAddr, physAddr } from "../../memory/index.js";
import { KhoError } from "../../report/error.js";
import { hex } from "../../report/hex.js";
import type { IommuHardware } from "./hardware.js";

export type DmaAccess = "read" | "write";

/** A part of an access that is in one piece in memory. */
export interface DmaPart {
  readonly iova: bigint;
  readonly pa: PhysAddr;
  /** Bytes. */
  readonly length: number;
}

/** One access of a device. */
export interface DmaRequest {
  readonly device: number;
  readonly access: DmaAccess;
  /** First byte as the device sees it, 0 to 2^64 - 1. */
  readonly iova: bigint;
  /** Bytes. */
  readonly length: number;
}

/**
 * The parts of an access, page by page, each looked up only when the one before it is done: what a device writes to its own
 * tables counts from there on.
 * @throws KhoError `iommu-fault` for the first byte that is refused; `iommu-root-malformed` if the registers lead nowhere
 */
export function* dmaParts(
  memory: Memory,
  { vendor, registers }: IommuHardware,
  request: DmaRequest,
): Generator<DmaPart> {
  const { device, iova, length } = request;
  // As the entry of the device is when the access begins: hardware has it in a cache.
  const entry = registers && openIommu(newReading(memory), vendor, registers).device(device);
  for (let done = 0; done < length; ) {
    const at = iova + BigInt(done);
    const { pa, room } = lookUp(memory, entry, request, at);
    const count = room < BigInt(length - done) ? Number(room) : length - done;
    yield { iova: at, pa, length: count };
    done += count;
  }
}

/** Where a byte is, and how many follow it on both sides. */
function lookUp(
  memory: Memory,
  entry: DeviceEntry | undefined,
  request: DmaRequest,
  iova: bigint,
): { readonly pa: PhysAddr; readonly room: bigint } {
  const refused = (why: string): KhoError => fault(request, iova, why);
  if (iova < 0n || iova >= 1n << 64n) throw refused("out-of-range");
  if (!entry || entry.kind === "blocked") throw refused("blocked");
  const { table, parent } = entry;
  // Without a table addresses are taken as they are.
  if (!table) return { pa: physAddr(iova), room: BigInt(request.length) };
  const wanted = request.access === "read" ? IOMMU_READ : IOMMU_WRITE;
  const through = (of: Memory, one: typeof table, address: bigint) => {
    const { pa, size, access, fault: why }: Translated = translate(of, one, address);
    if (pa === undefined) throw refused(why ?? "not-present");
    if ((access & wanted) === 0)
      throw refused(access === 0 ? "no-access" : access === IOMMU_READ ? "read-only" : "write-only");
    return { pa, room: size! - (pa & (size! - 1n)) };
  };
  if (!parent) return through(memory, table, iova);
  const first = through(throughParent(memory, parent), table, iova);
  const second = through(memory, parent, first.pa);
  return { pa: second.pa, room: (first.room < second.room ? first : second).room };
}

function fault({ device, access }: DmaRequest, iova: bigint, why: string): KhoError {
  const name = deviceName(device);
  return new KhoError("iommu-fault", `the ${access} of ${name} at ${hex(iova)} is refused: ${why}`, {
    path: devicePath(device),
    expected: `an address that the device may ${access}`,
    actual: why,
  });
}
