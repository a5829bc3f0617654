import type { PhysAddr } from "../../../src/memory/index.js";
import { hex } from "../../../src/report/hex.js";
import { itemIgnored, misread } from "../../consequence.js";
import type { Context } from "../../context.js";
import type { Chain } from "./chain.js";
import { IOMMU_SER_FLAG_DELETED, IOMMU_SER_FLAG_INCOMING } from "./layout.js";
import { driverOf, type IommuKind, type IommuSeries, iommuKinds } from "./series.js";
import {
  type Iommu,
  type IommuDevice,
  type IommuDomain,
  type IommuRecord,
  iommuRootPath,
  isDeleted,
  isIncoming,
  type Placed,
  recordPath,
} from "./state.js";

/** The records of all three kinds. */
interface Chains {
  readonly iommus: Chain<Placed<Iommu>>;
  readonly domains: Chain<Placed<IommuDomain>>;
  readonly devices: Chain<Placed<IommuDevice>>;
}

/** The numbers in the root against the records that are there. */
export function checkCounts(
  ctx: Context,
  counts: Readonly<Record<IommuKind, bigint>>,
  chains: Chains,
  pa: PhysAddr,
): void {
  for (const kind of iommuKinds) {
    const { records, complete } = chains[kind];
    const there = BigInt(records.length);
    if (!complete || counts[kind] === there) continue;
    const fewer = counts[kind] < there;
    ctx.report(
      "warning",
      "iommu-state-count",
      `the root says that there are ${counts[kind]} ${kind}, the pages hold ${there}`,
      {
        path: `${iommuRootPath}.nr_${kind}`,
        pa,
        expected: String(there),
        actual: String(counts[kind]),
        consequence: fewer
          ? itemIgnored(`only the first ${counts[kind]} are found`)
          : misread("boot", "what is behind the last record is taken for records"),
      },
    );
  }
}

export function checkIommus(ctx: Context, series: IommuSeries, { iommus, devices }: Chains): void {
  const behind = new Map<number, number>();
  for (const device of devices.records)
    if (device.iommu !== undefined && !isDeleted(device))
      behind.set(device.iommu, (behind.get(device.iommu) ?? 0) + 1);
  const seen = new Set<string>();
  for (const [i, iommu] of iommus.records.entries()) {
    const path = recordPath("iommus", i);
    const { pa, token, type, refCount, intel, smmuv3 } = iommu;
    checkHead(ctx, iommu, i, path, intel?.restored);
    if (isDeleted(iommu)) continue;
    checkTwice(ctx, seen, `${token} ${type}`, `token ${hex(token)} and type ${type}`, pa, path);
    if (driverOf(series, type) === undefined && Object.keys(series.drivers).length > 0)
      ctx.report("error", "iommu-state-value", `no driver of series ${series.name} has type ${type}`, {
        path: `${path}.type`,
        pa,
        expected: Object.values(series.drivers)
          .map((driver) => driver.type)
          .join(" or "),
        actual: String(type),
        consequence: itemIgnored("the IOMMU is set up as if nothing had been preserved"),
      });
    const { registerBase = token } = intel ?? smmuv3 ?? {};
    if (registerBase !== token)
      ctx.report(
        "warning",
        "iommu-state-value",
        `${path} has a token that is not the address of its registers`,
        {
          path: `${path}.token`,
          pa,
          expected: hex(registerBase),
          actual: hex(token),
        },
      );
    if (intel && (intel.rootTable === 0n || intel.rootTable % BigInt(ctx.abi.pageSize) !== 0n))
      ctx.report("error", "bad-address", `the root table of ${path} cannot be at ${hex(intel.rootTable)}`, {
        path: `${path}.rootTable`,
        pa,
        actual: hex(intel.rootTable),
      });
    const devicesBehind = behind.get(i) ?? 0;
    if (devices.complete && refCount !== devicesBehind)
      ctx.report(
        "info",
        "iommu-state-count",
        `${path} counts ${refCount} devices, ${devicesBehind} lead to it`,
        {
          path: `${path}.refCount`,
          pa,
          expected: String(devicesBehind),
          actual: String(refCount),
        },
      );
  }
}

export function checkDomains(ctx: Context, { domains }: Chains): void {
  for (const [i, domain] of domains.records.entries()) {
    const path = recordPath("domains", i);
    const { pa, topTablePa, vaBits = 0 } = domain;
    checkHead(ctx, domain, i, path);
    if (isDeleted(domain)) continue;
    if (topTablePa === 0n)
      ctx.report("error", "bad-address", `the page table of ${path} is at address 0`, {
        path: `${path}.topTablePa`,
        pa,
      });
    if (vaBits > 64)
      ctx.report("warning", "iommu-state-value", `${path} has addresses of ${vaBits} bits`, {
        path: `${path}.vaBits`,
        pa,
        expected: "at most 64",
        actual: String(vaBits),
      });
  }
}

export function checkDevices(ctx: Context, { iommus, domains, devices }: Chains): void {
  const seen = new Set<string>();
  for (const [i, device] of devices.records.entries()) {
    const path = recordPath("devices", i);
    const { pa, devid, pciDomain, intel } = device;
    checkHead(ctx, device, i, path, intel?.restored);
    // A device that could not be preserved is deleted before anything else of it is written.
    if (isDeleted(device)) continue;
    checkTwice(
      ctx,
      seen,
      `${pciDomain} ${devid}`,
      `PCI domain ${pciDomain} and devid ${hex(devid)}`,
      pa,
      path,
    );
    if (devid > 0xffff)
      ctx.report(
        "warning",
        "iommu-state-value",
        `${path} has a devid of more than bus, device and function`,
        {
          path: `${path}.devid`,
          pa,
          expected: "at most 0xffff",
          actual: hex(devid),
        },
      );
    checkLink(ctx, domains, device.domain, device.domainPa, "domain", pa, path);
    checkLink(ctx, iommus, device.iommu, device.iommuPa, "iommu", pa, path);
  }
}

/** What all records begin with, and `restored` of those that have it, which tells what the flag tells. */
function checkHead(
  ctx: Context,
  record: Placed<IommuRecord>,
  position: number,
  path: string,
  restored = 0,
): void {
  const { pa, flags, index = position } = record;
  const known = IOMMU_SER_FLAG_DELETED | IOMMU_SER_FLAG_INCOMING;
  if ((flags & ~known) !== 0)
    ctx.report("warning", "iommu-state-value", `${path} has flags that no kernel knows`, {
      path: `${path}.flags`,
      pa,
      expected: `at most ${hex(known)}`,
      actual: hex(flags),
    });
  if (isIncoming(record) || restored !== 0)
    ctx.report("info", "iommu-state-value", `${path} has been taken over: a reading kernel was here`, {
      path: `${path}.flags`,
      pa,
      actual: hex(flags),
    });
  if (index !== position)
    ctx.report("warning", "iommu-state-value", `${path} is numbered ${index}`, {
      path: `${path}.index`,
      pa,
      expected: String(position),
      actual: String(index),
    });
}

/** Readers look for the first record that matches. */
function checkTwice(
  ctx: Context,
  seen: Set<string>,
  key: string,
  what: string,
  pa: PhysAddr,
  path: string,
): void {
  if (seen.has(key))
    ctx.report("error", "iommu-state-duplicate", `an earlier record than ${path} has ${what}`, {
      path,
      pa,
      actual: what,
      consequence: itemIgnored("the first of the two is found"),
    });
  seen.add(key);
}

function checkLink(
  ctx: Context,
  { records, complete }: Chain<Placed<IommuRecord>>,
  target: number | undefined,
  address: PhysAddr,
  name: "domain" | "iommu",
  pa: PhysAddr,
  path: string,
): void {
  if (target === undefined ? !complete : !isDeleted(records[target]!)) return;
  ctx.report(
    "error",
    "iommu-state-link",
    target === undefined
      ? `the ${name} of ${path} is at ${hex(address)}, where no record is`
      : `the ${name} of ${path} is deleted`,
    {
      path: `${path}.${name}`,
      pa,
      actual: hex(address),
      consequence: misread("boot", "the reader follows the address without a look at the record"),
    },
  );
}
