import { devicePath } from "../../../formats/iommu/device.js";
import { frameLg2, frameOf } from "../../../formats/iommu/entry.js";
import { deviceName } from "../../iommu/names.js";
import { maxRead, type PhysAddr, physAddr } from "../../memory/index.js";
import { KhoError } from "../../report/error.js";
import type { Finding } from "../../report/finding.js";
import { hex } from "../../report/hex.js";
import type { Ram } from "../ram.js";
import { type DmaAccess, type DmaPart, dmaParts } from "./dma.js";
import type { IommuHardware } from "./hardware.js";
import type { Reuse, Watch } from "./reuse.js";

/** A device that reads and writes memory by itself. It knows nothing of kernels, and addresses as its IOMMU translates them. */
export interface Device {
  /** `00:05.0` */
  readonly name: string;
  /** Requester id. */
  readonly id: number;
  /** @throws KhoError `iommu-fault`, `memory-absent`; `usage` for more bytes than any memory gives at once */
  read(iova: bigint, length: number): Uint8Array;
  /** What comes before the first byte that is refused is written. @throws KhoError `iommu-fault`, `memory-absent` */
  write(iova: bigint, bytes: Uint8Array): void;
  /** Its accesses to memory that is somebody else's by now, in order. They have happened all the same. */
  readonly incidents: readonly DmaIncident[];
}

/** An access to memory that was not preserved, or lies in scratch: `iommu-mapped-lost`, `iommu-mapped-scratch`. */
export interface DmaIncident extends Finding {
  /** `00:05.0` */
  readonly device: string;
  readonly access: DmaAccess;
  /** Of the first byte concerned, as the device sees it. */
  readonly iova: bigint;
  /** Who has that memory. */
  readonly owner: string;
}

/** What a device works on. */
export interface DmaTarget {
  readonly memory: Ram;
  readonly iommu: IommuHardware;
  /** Called before each access; undefined while no memory can be somebody else's. */
  watch(): Watch | undefined;
}

const frameBytes = 2 ** frameLg2;

export function newDevice(id: number, target: DmaTarget): Device {
  const { memory, iommu } = target;
  const name = deviceName(id);
  const incidents: DmaIncident[] = [];

  /** Runs an access part by part, and writes down which of them went astray. */
  const run = (
    access: DmaAccess,
    iova: bigint,
    length: number,
    each: (pa: PhysAddr, done: number, count: number) => void,
  ): void => {
    const watch = target.watch();
    let done = 0;
    for (const part of dmaParts(memory, iommu, { device: id, access, iova, length })) {
      each(part.pa, done, part.length);
      done += part.length;
      if (watch) note(access, part, watch);
    }
  };

  const note = (access: DmaAccess, part: DmaPart, watch: Watch): void => {
    let open: { from: number; length: number; found: Reuse } | undefined;
    const close = (): void => {
      if (open) incidents.push(incident(access, part, open.from, open.length, open.found));
      open = undefined;
    };
    for (let at = 0; at < part.length; ) {
      const pa = part.pa + BigInt(at);
      const count = Math.min(part.length - at, frameBytes - Number(pa % BigInt(frameBytes)));
      const found = watch(frameOf(pa));
      if (open?.found.code !== found?.code || open?.found.owner !== found?.owner) close();
      if (open) open.length += count;
      else if (found) open = { from: at, length: count, found };
      at += count;
    }
    close();
  };

  const incident = (
    access: DmaAccess,
    part: DmaPart,
    from: number,
    length: number,
    { code, owner }: Reuse,
  ): DmaIncident => {
    const iova = part.iova + BigInt(from);
    const pa = physAddr(part.pa + BigInt(from));
    const where = code === "iommu-mapped-lost" ? "memory that was not preserved" : "scratch";
    return {
      severity: "error",
      code,
      message: `${name} ${access === "read" ? "reads" : "writes"} ${length} bytes at ${hex(pa)}: ${where}, which is ${owner}`,
      path: devicePath(id),
      pa,
      length,
      device: name,
      access,
      iova,
      owner,
    };
  };

  return {
    name,
    id,
    incidents,
    read(iova, length) {
      if (!(Number.isInteger(length) && length >= 0 && length <= maxRead))
        throw new KhoError("usage", `no device reads ${length} bytes at once`, {
          expected: `0 to ${maxRead}`,
          actual: `${length}`,
        });
      const bytes = new Uint8Array(length);
      run("read", iova, length, (pa, done, count) => bytes.set(memory.read(pa, count), done));
      return bytes;
    },
    write(iova, bytes) {
      run("write", iova, bytes.length, (pa, done, count) =>
        memory.write(pa, bytes.subarray(done, done + count)),
      );
    },
  };
}
