import { decode, sizeOf } from "../../../src/layout/index.js";
import type { PhysAddr } from "../../../src/memory/index.js";
import { hex } from "../../../src/report/hex.js";
import { bootStops, itemIgnored, misread } from "../../consequence.js";
import { type Context, readMemory } from "../../context.js";
import { decodeChain, type RecordPlace, restoreFails } from "./chain.js";
import { checkCounts, checkDevices, checkDomains, checkIommus } from "./check.js";
import { driverStateOf } from "./drivers.js";
import { IOMMU_LUO_FLB_VERSION } from "./layout.js";
import {
  countsOf,
  type DeviceSer,
  type DomainSer,
  deviceOf,
  domainOf,
  headsOf,
  type IommuSer,
  iommuOf,
  linksOf,
  type RootSer,
} from "./records.js";
import { checksRoot, driverOf, goesByRootCounts, type IommuSeries, iommuKinds } from "./series.js";
import {
  type Iommu,
  type IommuDevice,
  type IommuDomain,
  type IommuState,
  iommuRootPath,
  type Placed,
  recordsPath,
} from "./state.js";

/**
 * Reads what the FLB of a series hands over; `rootPa` is the FLB's `data`. Reads on past damage. Undefined if the root
 * itself cannot be read. Page tables are not followed.
 */
export function decodeIommuState(
  ctx: Context,
  series: IommuSeries,
  rootPa: PhysAddr,
): IommuState | undefined {
  const { abi } = ctx;
  const root = decodeRoot(ctx, series, rootPa);
  if (!root) return undefined;
  const heads = headsOf(root);
  const room = { records: ctx.limits.maxRecords };

  const iommuAt = ({ bytes, at, pa }: RecordPlace): Placed<Iommu> => {
    const ser: IommuSer = decode(series.records.iommus, bytes, at, abi);
    const iommu = iommuOf(ser);
    const driver = driverOf(series, iommu.type);
    return { ...iommu, ...driverStateOf(series, "iommu", driver, ser.union, abi), pa };
  };
  const domainAt = ({ bytes, at, pa, path }: RecordPlace): Placed<IommuDomain> => {
    const ser: DomainSer = decode(series.records.domains, bytes, at, abi);
    checkStored(ctx, ser, pa, path);
    return { ...domainOf(ser), pa };
  };
  const iommus = decodeChain(ctx, series, "iommus", heads.iommus, room, iommuAt);
  const domains = decodeChain(ctx, series, "domains", heads.domains, room, domainAt);

  const iommuBy = new Map(iommus.records.map((iommu, i) => [iommu.pa, i]));
  const domainBy = new Map(domains.records.map((domain, i) => [domain.pa, i]));
  const deviceAt = ({ bytes, at, pa }: RecordPlace): Placed<IommuDevice> => {
    const ser: DeviceSer = decode(series.records.devices, bytes, at, abi);
    const links = linksOf(ser);
    const domain = domainBy.get(links.domainPa);
    const iommu = iommuBy.get(links.iommuPa);
    const driver = iommu === undefined ? undefined : driverOf(series, iommus.records[iommu]!.type);
    return {
      ...deviceOf(ser),
      ...links,
      ...(domain !== undefined && { domain }),
      ...(iommu !== undefined && { iommu }),
      ...driverStateOf(series, "device", driver, ser.union, abi),
      pa,
    };
  };
  const devices = decodeChain(ctx, series, "devices", heads.devices, room, deviceAt);

  const counts = countsOf(root);
  const chains = { iommus, domains, devices };
  if (counts) checkCounts(ctx, counts, chains, rootPa);
  checkIommus(ctx, series, chains);
  checkDomains(ctx, chains);
  checkDevices(ctx, chains);
  return {
    places: { root: rootPa, iommus: iommus.pages, domains: domains.pages, devices: devices.pages },
    ...(counts && { counts }),
    iommus: iommus.records,
    domains: domains.records,
    devices: devices.records,
  };
}

function decodeRoot(ctx: Context, series: IommuSeries, pa: PhysAddr): RootSer | undefined {
  const { abi } = ctx;
  const path = iommuRootPath;
  const length = sizeOf(series.root, abi);
  const place = { path, pa, length };
  if (pa === 0n) {
    ctx.report("error", "bad-address", "the address of the IOMMU state is 0", {
      ...place,
      consequence: restoreFails,
    });
    return undefined;
  }
  if (pa % BigInt(abi.pageSize) !== 0n)
    ctx.report("warning", "bad-address", `the IOMMU state at ${hex(pa)} is not page aligned`, place);
  const bytes = readMemory(ctx, pa, length, path, restoreFails);
  if (!bytes) return undefined;
  const owner = ctx.claims.claim(pa, 1, 0, path, restoreFails);
  if (owner !== undefined) {
    ctx.report("error", "structure-reused", `the page of the IOMMU state is in use already, as ${owner}`, {
      ...place,
      consequence: restoreFails,
    });
    return undefined;
  }
  const root: RootSer = decode(series.root, bytes, 0, abi);
  const { version = IOMMU_LUO_FLB_VERSION } = root;
  if (version !== IOMMU_LUO_FLB_VERSION)
    ctx.report("error", "iommu-state-version", `the IOMMU state is of version ${version}`, {
      ...place,
      path: `${path}.version`,
      expected: String(IOMMU_LUO_FLB_VERSION),
      actual: String(version),
      consequence: bootStops("panic: the IOMMU state cannot be restored"),
    });
  const heads = headsOf(root);
  for (const kind of iommuKinds)
    if (heads[kind] === 0n)
      ctx.report("error", "bad-address", `the address of the first page of ${kind} is 0`, {
        ...place,
        path: recordsPath(kind),
        consequence: checksRoot(series)
          ? bootStops("panic: the IOMMU state cannot be restored")
          : goesByRootCounts(series)
            ? misread("boot", "what is at address 0 is taken for records")
            : itemIgnored(`no ${kind} are found`),
      });
  return root;
}

/** What of a domain's bytes does not reach the state. */
function checkStored(ctx: Context, ser: DomainSer, pa: PhysAddr, path: string): void {
  const { restored_domain = 0n, sign_extend = 0, unused = 0 } = ser;
  if (restored_domain !== 0n)
    ctx.report(
      "warning",
      "iommu-state-value",
      `${path} has a pointer that only the reading kernel can write`,
      {
        path: `${path}.restored_domain`,
        pa,
        expected: "0",
        actual: hex(restored_domain),
        consequence: misread("boot", "the number is taken for the address of a domain in use"),
      },
    );
  if (sign_extend > 1 || unused !== 0)
    ctx.report(
      "warning",
      "iommu-state-value",
      `${path} has more than one bit for the extension of the sign`,
      {
        path: `${path}.sign_extend`,
        pa,
        expected: "0 or 1",
        actual: hex(sign_extend + 2 * unused),
      },
    );
}
