import { mapArm, unmapArm } from "./arm/map.js";
import type { Domain, MapErrno } from "./domain.js";
import { addressOfFrame, frameOf } from "./entry.js";
import { mapGeneric, unmapGeneric } from "./map-generic.js";

/** What came of a map call. */
export interface MapResult {
  /** The kernel's errno; absent where all went well. */
  readonly errno?: MapErrno;
  /** Bytes. */
  readonly mapped: bigint;
}

const isArm = ({ format: { name } }: Domain): boolean => name === "arm_s1" || name === "arm_s2";

/** What a driver's table code refuses as unaligned. */
const unaligned = (domain: Domain): MapErrno => (isArm(domain) ? "EINVAL" : "ENXIO");

/**
 * Maps as the table code of the domain's driver does. A failure leaves what was mapped up to there.
 * @param iova first byte as the device sees it, 0 to 2^64 - 1
 * @param pa first byte of memory. An encryption bit in it is not refused, and lost: leaves are read without
 * @param size bytes, more than 0
 * @param prot `IOMMU_*` bits
 */
export function mapTable(domain: Domain, iova: bigint, pa: bigint, size: bigint, prot: number): MapResult {
  const granule = (1n << BigInt(domain.format.granuleLg2)) - 1n;
  if (size <= 0n || ((iova | pa | size) & granule) !== 0n) return { errno: unaligned(domain), mapped: 0n };
  if (iova + size > 1n << 64n || pa + size > 1n << 64n) return { errno: "ERANGE", mapped: 0n };
  const engine = isArm(domain) ? mapArm : mapGeneric;
  const { errno, mapped } = engine(domain, frameOf(iova), frameOf(pa), frameOf(size), prot);
  return { ...(errno && { errno }), mapped: addressOfFrame(mapped) };
}

/**
 * Unmaps as the table code of the domain's driver does, and returns the bytes: less where it comes to a hole, more where
 * the end is inside of a large page.
 */
export function unmapTable(domain: Domain, iova: bigint, size: bigint): bigint {
  const granule = (1n << BigInt(domain.format.granuleLg2)) - 1n;
  if (size <= 0n || ((iova | size) & granule) !== 0n || iova + size > 1n << 64n) return 0n;
  const engine = isArm(domain) ? unmapArm : unmapGeneric;
  return addressOfFrame(engine(domain, frameOf(iova), frameOf(size)));
}

/** iommu_map(): {@link mapTable}, and nothing stays of a call that fails but tables. */
export function iommuMap(
  domain: Domain,
  iova: bigint,
  pa: bigint,
  size: bigint,
  prot: number,
): MapErrno | undefined {
  const { errno, mapped } = mapTable(domain, iova, pa, size, prot);
  if (errno && mapped > 0n) unmapTable(domain, iova, mapped);
  return errno;
}
