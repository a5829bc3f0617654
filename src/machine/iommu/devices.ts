import type { Kept } from "../../iommu/cross-check.js";
import type { Hardware } from "../firmware.js";
import type { Departure } from "../kexec.js";
import type { Ram } from "../ram.js";
import { type Device, newDevice } from "./device.js";
import { deviceIn, mustHaveIommu } from "./hardware.js";
import { keptIn, type Watch, watchFor } from "./reuse.js";
import type { SetUp } from "./set-up.js";

/**
 * The devices of a machine with a kernel, by name. What the kernel did not let them reach itself is watched.
 * @param mustBeHere throws once the machine has jumped: its devices go on in the departure
 */
export function newDevices(
  memory: Ram,
  hardware: Hardware,
  { running, iommu }: SetUp,
  arrival: Departure | undefined,
  mustBeHere: () => void,
): (name: string) => Device {
  const devices = new Map<number, Device>();
  let kept: Kept | undefined;
  const watch = (device: number): Watch | undefined => {
    mustBeHere();
    if (!arrival || iommu?.isOwn(device)) return undefined;
    kept ??= keptIn(arrival);
    const pages = running?.core.pages;
    if (!pages) return watchFor(kept, () => "nobody's");
    const pageOf = (frame: number): number => Math.floor((frame * 4096) / hardware.abi.pageSize);
    return watchFor(
      kept,
      (frame) => pages.ownerOf(pageOf(frame)) ?? "free",
      (frame) => pages.wasReturned(pageOf(frame)),
    );
  };
  return (name) => {
    mustBeHere();
    const behind = mustHaveIommu(hardware);
    const id = deviceIn(behind, name);
    const known = devices.get(id);
    if (known) return known;
    const device = newDevice(id, { memory, iommu: behind, watch: () => watch(id) });
    devices.set(id, device);
    return device;
  };
}
