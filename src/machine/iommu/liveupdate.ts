/** Live update of an IOMMU: the FLB of a proposed series, which follows iommufds. */
import type { IommuSeries } from "../../../formats/proposed/iommu/series.js";
import type { Finding } from "../../report/finding.js";
import { errnoOf, refusal } from "../errno.js";
import type { Flb, KernelCore } from "../kernel.js";
import type { Luo } from "../luo/luo.js";
import type { Persistence, Vendor } from "./driver.js";
import type { IommuHardware } from "./hardware.js";
import { type Incoming, takeIncoming } from "./incoming.js";
import { newIommufdHandler } from "./iommufd.js";
import { newOutgoing, type Outgoing } from "./outgoing.js";
import type { IommuUnit } from "./unit.js";

/** What the kernel before handed over, or what this one is going to. */
type FlbObject = Outgoing | Incoming;

/** What live update adds to an IOMMU's driver. */
export interface IommuLiveUpdate {
  /**
   * What was handed over; undefined if nothing was.
   * @throws KhoError with a consequence where the kernel panics
   */
  readonly incoming: Incoming | undefined;
  /** Devices that are to be handed over; undefined if nothing is. */
  outgoingDevices(): ReadonlySet<number> | undefined;
  /** Has the IOMMU set up, and files retrieved from now on. */
  start(unit: IommuUnit): void;
}

export interface LiveUpdateOptions {
  readonly series: IommuSeries;
  /** False to preserve domains whatever they map. */
  readonly checkFiles: boolean;
  /** Where what is wrong with what was handed over is added. */
  readonly findings: Finding[];
}

/** Registers the FLB and the handler, and takes over what was handed over. */
export function newIommuLiveUpdate(
  core: KernelCore,
  luo: Luo,
  iommu: IommuHardware,
  vendor: Vendor,
  options: LiveUpdateOptions,
): IommuLiveUpdate {
  const { series } = options;
  const persistence = vendor.persistence && series.drivers[vendor.persistence.name] && vendor.persistence;
  let outgoing: Outgoing | undefined;
  let unit: IommuUnit | undefined;

  const flb: Flb<FlbObject> = {
    name: series.compatible,
    preserve() {
      const made = newOutgoing(core, iommu, series, mustPersist(persistence));
      outgoing = made;
      return { data: made.rootPa, object: made };
    },
    unpreserve(_, object) {
      object.free();
      outgoing = undefined;
    },
    retrieve: (data) => takeIncoming(core, options, vendor.domainOptions(core), data),
    finish: (_, object) => object.free(),
  };
  const incomingState = (): Incoming | undefined => {
    try {
      const object = luo.incomingFlb(flb) as Incoming;
      luo.putIncomingFlb(flb);
      return object;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return undefined;
    }
  };

  const handler = newIommufdHandler(options.checkFiles, () => {
    if (!unit) throw refusal("ENODEV", "the IOMMU could not be set up");
    return { unit, outgoing, incoming };
  });
  luo.registerHandler(handler);
  luo.registerFlb(handler, flb);
  const incoming = persistence && incomingState();
  return {
    incoming,
    outgoingDevices: () => outgoing?.devices,
    start(started) {
      unit = started;
    },
  };
}

function mustPersist(persistence: Persistence | undefined): Persistence {
  if (persistence) return persistence;
  throw refusal("EOPNOTSUPP", "the series has no place for an IOMMU of this maker");
}
