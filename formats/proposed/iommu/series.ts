import { type Abi, capacity, type Struct, sizeOf } from "../../../src/layout/index.js";
import { KhoError } from "../../../src/report/error.js";
import * as now from "./layout.js";
import * as v1 from "./layout-v1.js";

/** The three kinds of records, each in pages of its own. */
export type IommuKind = "iommus" | "domains" | "devices";
export const iommuKinds: readonly IommuKind[] = ["iommus", "domains", "devices"];

/** Members of the unions of IOMMU and device records that one driver writes. */
export interface IommuDriver {
  /** `type` of the IOMMU record that says so, also for the devices behind that IOMMU. */
  readonly type: number;
  readonly iommu: typeof v1.iommuIntelSerV1 | typeof now.iommuIntelSer | typeof now.iommuSmmuv3HwSer;
  readonly device?:
    | typeof v1.deviceIntelSer
    | typeof now.iommuDeviceIntelSerV3
    | typeof now.iommuDeviceIntelSer
    | typeof now.iommuMasterSmmuv3Ser;
}

/** One posting of the IOMMU persistence series, or one state of its development trees: all that differs between them. */
export interface IommuSeries {
  /** The layout's letter in lower case. */
  readonly name: string;
  /** Name of the FLB. Several series have the same, so that it tells no layout. */
  readonly compatible: string;
  /** What the FLB's `data` leads to. With a `version`, readers check it. With numbers, readers go by them. */
  readonly root: typeof v1.iommuLuFlbSer | typeof now.iommuFlbSerV2 | typeof now.iommuFlbSer;
  /** Head of a page of records. */
  readonly array: typeof v1.iommuObjsSer | typeof now.iommuArrayHdrSer;
  readonly records: {
    readonly iommus:
      | typeof v1.iommuSerDraft
      | typeof v1.iommuSerV1
      | typeof now.iommuHwSerV2
      | typeof now.iommuHwSerV3
      | typeof now.iommuHwSer;
    readonly domains:
      | typeof v1.iommuDomainSerDraft
      | typeof v1.iommuDomainSerV1
      | typeof now.iommuDomainSerV2
      | typeof now.iommuDomainSerV3
      | typeof now.iommuDomainSer;
    readonly devices:
      | typeof v1.deviceSerDraft
      | typeof v1.deviceSerV1
      | typeof v1.deviceSerV1Intel
      | typeof now.iommuDeviceSerV2
      | typeof now.iommuDeviceSerV3
      | typeof now.iommuDeviceSer;
  };
  readonly drivers: { readonly intel?: IommuDriver; readonly smmuv3?: IommuDriver };
}

/**
 * RFC v2 of 2025-12-02, 32 patches; by its copyright year, the header is of that time. Its writer takes the capacity of a
 * page of IOMMUs for that of a page of devices, and so writes past the page from the 77th device on.
 */
const a0: IommuSeries = {
  name: "a0",
  compatible: "iommu-v1",
  root: v1.iommuLuFlbSer,
  array: v1.iommuObjsSer,
  records: { iommus: v1.iommuSerDraft, domains: v1.iommuDomainSerDraft, devices: v1.deviceSerDraft },
  drivers: { intel: { type: now.IOMMU_INTEL, iommu: v1.iommuIntelSerV1 } },
};
/**
 * First posting, 2026-02-03, 14 patches: as its first patch has the header. A device that is given up again keeps a record
 * that is not deleted, whatever becomes of its domain and its IOMMU.
 */
const a: IommuSeries = {
  ...a0,
  name: "a",
  records: { iommus: v1.iommuSerV1, domains: v1.iommuDomainSerV1, devices: v1.deviceSerV1 },
};
/** The same posting from its ninth patch on, which adds the PASID table to devices. */
const aIntel: IommuSeries = {
  ...a,
  name: "a-intel",
  records: { ...a.records, devices: v1.deviceSerV1Intel },
  drivers: { intel: { ...a.drivers.intel!, device: v1.deviceIntelSer } },
};
/** Second posting, 2026-04-27, 16 patches: as its second patch has the header. Later ones append unions. */
const b: IommuSeries = {
  name: "b",
  compatible: "iommu-liveupdate-v1",
  root: now.iommuFlbSerV2,
  array: now.iommuArrayHdrSer,
  records: {
    iommus: now.iommuHwSerV2,
    domains: now.iommuDomainSerV2,
    devices: now.iommuDeviceSerV2,
  },
  drivers: {},
};
/** Probably the third posting, of June 2026; read in the author's tree. */
const c: IommuSeries = {
  ...b,
  name: "c",
  records: {
    iommus: now.iommuHwSerV3,
    domains: now.iommuDomainSerV3,
    devices: now.iommuDeviceSerV3,
  },
  drivers: {
    intel: { type: now.IOMMU_INTEL, iommu: now.iommuIntelSer, device: now.iommuDeviceIntelSerV3 },
  },
};
/** Probably the fourth posting, of about 2026-08-08, 18 patches; read in the author's tree. */
const cPrime: IommuSeries = {
  ...c,
  name: "c-prime",
  compatible: "iommu-liveupdate",
  root: now.iommuFlbSer,
};
/** The tree of September 2026 with SMMUv3 on top; the fifth posting, 2026-09-21, is this or `c-prime`. */
const d: IommuSeries = {
  ...cPrime,
  name: "d",
  records: { iommus: now.iommuHwSer, domains: now.iommuDomainSer, devices: now.iommuDeviceSer },
  drivers: {
    intel: { type: now.IOMMU_INTEL, iommu: now.iommuIntelSer, device: now.iommuDeviceIntelSer },
    smmuv3: {
      type: now.IOMMU_ARM_SMMUV3,
      iommu: now.iommuSmmuv3HwSer,
      device: now.iommuMasterSmmuv3Ser,
    },
  },
};

/** Every series that is known, oldest first. */
export const iommuSeries: readonly IommuSeries[] = [a0, a, aIntel, b, c, cPrime, d];

/** The series of that name. @throws KhoError `unknown-series` */
export function seriesOf(name: string): IommuSeries {
  const found = iommuSeries.find((series) => series.name === name);
  if (found) return found;
  throw new KhoError("unknown-series", `no IOMMU series is known as ${name.slice(0, 80)}`, {
    expected: iommuSeries.map((series) => series.name).join(", "),
    actual: name.slice(0, 80),
  });
}

/** The series whose FLB has this name: none, or any number, since postings changed layouts and kept the name. */
export const seriesWithCompatible = (compatible: string): readonly IommuSeries[] =>
  iommuSeries.filter((series) => series.compatible === compatible);

/** Most records of a kind in one page. */
export const recordsPerPage = (series: IommuSeries, kind: IommuKind, abi: Abi): number =>
  capacity(series.records[kind], abi.pageSize - sizeOf(series.array, abi), abi);

/** True if readers compare the root's version, and demand a page of each kind, before they do anything else. */
export const checksRoot = ({ root }: IommuSeries): boolean => "version" in root.fields;

/** True if readers go by the numbers of records in the root, and not by those of the pages. */
export const goesByRootCounts = ({ root }: IommuSeries): boolean => "nr_iommus" in root.fields;

/** A driver's part of a series, and what the state calls it. */
export type DriverName = keyof IommuSeries["drivers"];

/** The driver whose IOMMUs have this `type`, if the series knows it. */
export function driverOf(series: IommuSeries, type: bigint): DriverName | undefined {
  const names = Object.keys(series.drivers) as DriverName[];
  return names.find((name) => BigInt(series.drivers[name]!.type) === type);
}

/** The layouts of a series, by the kernel's names, in the order they are reached. */
export function iommuLayoutsOf({ root, array, records, drivers }: IommuSeries): readonly Struct[] {
  const unions = Object.values(drivers).flatMap(({ iommu, device }) => (device ? [iommu, device] : [iommu]));
  return [root, array, records.iommus, records.domains, records.devices, ...unions];
}
