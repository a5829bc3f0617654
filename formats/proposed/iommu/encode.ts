import { encodeInto, type Struct, sizeOf, type ValueOf } from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import { hex } from "../../../src/report/hex.js";
import { encodedAt } from "../../fill.js";
import type { Target } from "../../target.js";
import { driverStateBytes } from "./drivers.js";
import { IOMMU_LUO_FLB_VERSION } from "./layout.js";
import { type ArraySer, deviceSer, domainSer, iommuSer, rootSer } from "./records.js";
import { driverOf, type IommuKind, type IommuSeries, iommuKinds, recordsPerPage } from "./series.js";
import {
  type DeviceLinks,
  type Iommu,
  type IommuDeviceFields,
  type IommuDomain,
  type IommuPlaces,
  type IommuState,
  iommuRootPath,
  iommuStatePath,
  recordPath,
  recordsPath,
} from "./state.js";
import { valueRange } from "./value-range.js";

/** A device to write. A position takes precedence over an address; without either the address is 0. */
export type IommuDeviceSource = IommuDeviceFields & Partial<DeviceLinks>;

/** What {@link encodeIommuState} writes: a state that was read, or one made by hand. */
export interface IommuStateSource {
  /** Numbers in the root, where the series has them; absent for those of the records, which kernels write. */
  readonly counts?: IommuState["counts"];
  readonly iommus: readonly Iommu[];
  readonly domains: readonly IommuDomain[];
  readonly devices: readonly IommuDeviceSource[];
}

/** Pages that `count` records of a kind take: at least one, since each kind has its first page from the beginning. */
export const pagesFor = (
  series: IommuSeries,
  kind: IommuKind,
  count: number,
  { abi }: Pick<Target, "abi">,
): number => Math.max(1, Math.ceil(count / recordsPerPage(series, kind, abi)));

/**
 * Writes what the FLB of a series hands over: the page of the root and the pages of records, whole, since kernels allocate
 * them zeroed and use no slot twice. Pages are filled up before the next one is begun. Plain members that the series does
 * not have are left out.
 * @throws KhoError `value-range` for a value that does not fit its member, a link to a record that there is not, another
 * number of pages than {@link pagesFor} says, or an address that begins no page of its own
 */
export function encodeIommuState(
  target: Target,
  series: IommuSeries,
  places: IommuPlaces,
  state: IommuStateSource,
): void {
  const { abi } = target;
  checkPlaces(target, series, places, state);
  const { iommus, domains, devices } = state;

  /** The address of the record that a device leads to. */
  const linkTo = (kind: IommuKind, position: number | undefined, pa = physAddr(0)): PhysAddr => {
    if (position === undefined) return pa;
    if (!(position in state[kind]))
      throw valueRange(recordsPath(kind), `a position below ${state[kind].length}`, `${position}`);
    const most = recordsPerPage(series, kind, abi);
    const at = sizeOf(series.array, abi) + (position % most) * sizeOf(series.records[kind], abi);
    return physAddr(places[kind][Math.floor(position / most)]! + BigInt(at));
  };

  // Nothing is written before all of it is known to fit.
  const pages = [
    ...chainPages(target, series, "iommus", places, iommus, (iommu, i, layout) => {
      const driver = driverOf(series, iommu.type);
      return iommuSer(iommu, i, driverStateBytes(series, "iommu", driver, iommu, layout, abi));
    }),
    ...chainPages(target, series, "domains", places, domains, domainSer),
    ...chainPages(target, series, "devices", places, devices, (device, i, layout) => {
      const links = {
        domainPa: linkTo("domains", device.domain, device.domainPa),
        iommuPa: linkTo("iommus", device.iommu, device.iommuPa),
      };
      const behind = device.iommu === undefined ? undefined : iommus[device.iommu];
      const driver = behind && driverOf(series, behind.type);
      return deviceSer(device, i, links, driverStateBytes(series, "device", driver, device, layout, abi));
    }),
    rootPage(target, series, places, state),
  ];
  for (const { pa, bytes } of pages) target.write(pa, bytes);
}

interface Page {
  readonly pa: PhysAddr;
  readonly bytes: Uint8Array;
}

function rootPage(target: Target, series: IommuSeries, places: IommuPlaces, state: IommuStateSource): Page {
  const { counts = countsOf(state) } = state;
  const root = rootSer(places, counts, IOMMU_LUO_FLB_VERSION);
  const bytes = new Uint8Array(target.abi.pageSize);
  encodedAt(iommuRootPath, () => encodeAny(series.root, root, bytes, 0, target));
  return { pa: places.root, bytes };
}

const countsOf = (state: IommuStateSource) => ({
  iommus: BigInt(state.iommus.length),
  domains: BigInt(state.domains.length),
  devices: BigInt(state.devices.length),
});

/** The pages of records of a kind; `serOf` makes a record's members, by the names of every series. */
function chainPages<R>(
  target: Target,
  series: IommuSeries,
  kind: IommuKind,
  places: IommuPlaces,
  records: readonly R[],
  serOf: (record: R, position: number, layout: Struct) => object,
): Page[] {
  const { abi } = target;
  const layout: Struct = series.records[kind];
  const first = sizeOf(series.array, abi);
  const size = sizeOf(layout, abi);
  const most = recordsPerPage(series, kind, abi);
  return places[kind].map((pa, p) => {
    const bytes = new Uint8Array(abi.pageSize);
    const part = records.slice(p * most, (p + 1) * most);
    const next = places[kind][p + 1] ?? physAddr(0);
    const count = BigInt(part.length);
    const head: ArraySer = { next_objs: next, nr_objs: count, next_array_phys: next, nr_objects: count };
    encodeAny(series.array, head, bytes, 0, target);
    for (const [i, record] of part.entries()) {
      const position = p * most + i;
      encodedAt(recordPath(kind, position), () =>
        encodeAny(layout, serOf(record, position, layout), bytes, first + i * size, target),
      );
    }
    return { pa, bytes };
  });
}

/** Writes what a layout has of a value that has the members of several. */
const encodeAny = (layout: Struct, value: object, bytes: Uint8Array, at: number, { abi }: Target): void =>
  encodeInto(layout, value as ValueOf<Struct>, bytes, at, abi);

function checkPlaces(
  target: Target,
  series: IommuSeries,
  places: IommuPlaces,
  state: IommuStateSource,
): void {
  for (const kind of iommuKinds) {
    const wanted = pagesFor(series, kind, state[kind].length, target);
    if (places[kind].length !== wanted)
      throw valueRange(recordsPath(kind), `${wanted} pages`, `${places[kind].length} pages`);
  }
  const taken = new Set<bigint>();
  for (const pa of [places.root, ...iommuKinds.flatMap((kind) => places[kind])]) {
    if (pa === 0n || pa % BigInt(target.abi.pageSize) !== 0n || taken.has(pa))
      throw valueRange(iommuStatePath, "addresses of different pages", hex(pa));
    taken.add(pa);
  }
}
