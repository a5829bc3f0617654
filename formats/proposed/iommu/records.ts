import type { ValueOf } from "../../../src/layout/index.js";
import { physAddr } from "../../../src/memory/index.js";
import type { iommuHdrSer, iommuHdrSerV2 } from "./layout.js";
import type { iommuObjSer } from "./layout-v1.js";
import type { IommuKind, IommuSeries } from "./series.js";
import type { Iommu, IommuDeviceFields, IommuDomain, IommuPlaces, IommuRecord, IommuState } from "./state.js";

/**
 * Between a record's bytes and the state, for all series at once. Postings renamed members and left others out: reading
 * takes the name that is there, and writing offers all names, of which a layout takes its own.
 */
export type Loose<U> = { readonly [K in KeyOf<U>]?: U extends { readonly [P in K]: infer V } ? V : never };
type KeyOf<U> = U extends unknown ? keyof U : never;

export type RootSer = Loose<ValueOf<IommuSeries["root"]>>;
export type ArraySer = Loose<ValueOf<IommuSeries["array"]>>;
export type IommuSer = Loose<ValueOf<IommuSeries["records"]["iommus"]>>;
export type DomainSer = Loose<ValueOf<IommuSeries["records"]["domains"]>>;
export type DeviceSer = Loose<ValueOf<IommuSeries["records"]["devices"]>>;
type HeadSer = Loose<ValueOf<typeof iommuObjSer | typeof iommuHdrSerV2 | typeof iommuHdrSer>>;
type MapSer = Loose<NonNullable<DeviceSer["domain_iommu_ser"]>>;

const none = physAddr(0);

/** First page of each kind. */
export const headsOf = (root: RootSer) => ({
  iommus: root.iommu_array_phys ?? root.iommus_phys ?? none,
  domains: root.iommu_domain_array_phys ?? root.iommu_domains_phys ?? none,
  devices: root.device_array_phys ?? root.devices_phys ?? none,
});

/** Numbers of records, where the root has them. */
export function countsOf({ nr_iommus, nr_domains, nr_devices }: RootSer): IommuState["counts"] {
  if (nr_iommus === undefined || nr_domains === undefined || nr_devices === undefined) return undefined;
  return { iommus: nr_iommus, domains: nr_domains, devices: nr_devices };
}

export function rootSer(
  places: IommuPlaces,
  counts: Readonly<Record<IommuKind, bigint>>,
  version: bigint,
): RootSer {
  const [iommus = none, domains = none, devices = none] = [
    places.iommus[0],
    places.domains[0],
    places.devices[0],
  ];
  return {
    version,
    iommu_array_phys: iommus,
    iommu_domain_array_phys: domains,
    device_array_phys: devices,
    iommus_phys: iommus,
    iommu_domains_phys: domains,
    devices_phys: devices,
    nr_iommus: counts.iommus,
    nr_domains: counts.domains,
    nr_devices: counts.devices,
  };
}

function headOf({ obj, hdr }: { readonly obj?: HeadSer; readonly hdr?: HeadSer }): IommuRecord {
  const { ref_count = 0, flags, idx, deleted = 0, incoming = 0, unused = 0 }: HeadSer = obj ?? hdr ?? {};
  return {
    refCount: ref_count,
    flags: flags ?? deleted | (incoming << 1) | (unused << 2),
    ...(idx !== undefined && { index: idx }),
  };
}

/** `position` is what the kernel numbers the record with. */
function headSer({ refCount, flags, index }: IommuRecord, position: number) {
  const bitFields = { deleted: flags & 1, incoming: (flags >>> 1) & 1, unused: flags >>> 2 };
  const head = { idx: index ?? position, ref_count: refCount, flags, ...bitFields };
  return { obj: head, hdr: head };
}

/** An IOMMU without what its driver adds. */
export const iommuOf = (ser: IommuSer): Iommu => ({
  ...headOf(ser),
  token: ser.token ?? 0n,
  type: BigInt(ser.type ?? 0),
});

export const iommuSer = (iommu: Iommu, position: number, union: Uint8Array): IommuSer => ({
  ...headSer(iommu, position),
  token: iommu.token,
  type: iommu.type,
  union,
});

export const domainOf = (ser: DomainSer): IommuDomain => ({
  ...headOf(ser),
  topTablePa: ser.top_table_phys ?? ser.top_table ?? none,
  topLevel: ser.top_level ?? 0n,
  ...(ser.vasz !== undefined && { vaBits: ser.vasz }),
  ...(ser.sign_extend !== undefined && { signExtend: ser.sign_extend !== 0 }),
  ...(ser.attach_count !== undefined && { attachCount: ser.attach_count }),
});

/** The restored domain is always 0: the reading kernel would take anything else for a domain of its own. */
export const domainSer = (domain: IommuDomain, position: number): DomainSer => ({
  ...headSer(domain, position),
  top_table: domain.topTablePa,
  top_table_phys: domain.topTablePa,
  top_level: domain.topLevel,
  ...(domain.vaBits !== undefined && { vasz: domain.vaBits }),
  sign_extend: domain.signExtend ? 1 : 0,
  unused: 0,
  attach_count: domain.attachCount ?? 0n,
  restored_domain: 0n,
});

/** A device without what its driver adds. */
export const deviceOf = (ser: DeviceSer): IommuDeviceFields => {
  const { attachment_id, did = 0 }: MapSer = ser.domain_iommu_ser ?? {};
  return {
    ...headOf(ser),
    devid: ser.devid ?? 0,
    pciDomain: ser.pci_domain_nr ?? ser.pci_domain ?? 0,
    attachmentId: attachment_id ?? BigInt(did),
    ...(ser.token !== undefined && { token: ser.token }),
    ...(ser.dma_owner_token !== undefined && { dmaOwnerToken: ser.dma_owner_token }),
    ...(ser.type !== undefined && { type: ser.type }),
  };
};

/** Addresses of the records that a device leads to. */
export const linksOf = ({ domain_iommu_ser: map }: DeviceSer) => ({
  domainPa: map?.domain_phys ?? none,
  iommuPa: map?.iommu_phys ?? none,
});

export const deviceSer = (
  device: IommuDeviceFields,
  position: number,
  links: ReturnType<typeof linksOf>,
  union: Uint8Array,
) => ({
  ...headSer(device, position),
  token: device.token ?? 0n,
  devid: device.devid,
  pci_domain: device.pciDomain,
  pci_domain_nr: device.pciDomain,
  dma_owner_token: device.dmaOwnerToken ?? 0n,
  domain_iommu_ser: {
    did: device.attachmentId,
    attachment_id: device.attachmentId,
    domain_phys: links.domainPa,
    iommu_phys: links.iommuPa,
  },
  type: device.type ?? 0,
  union,
});
