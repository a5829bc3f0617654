import fc from "fast-check";
import type { IommuDeviceSource, IommuStateSource } from "../../../../formats/proposed/iommu/encode.js";
import type { Iommu, IommuDomain } from "../../../../formats/proposed/iommu/state.js";
import { physAddr } from "../../../../src/memory/index.js";
import type { Kind, Place, Places, SeriesSpec } from "./spec.js";

const bytesOf = (width: number) => fc.bigInt({ min: 0n, max: (1n << BigInt(8 * width)) - 1n });

/** Members that the state has as a `bigint`, whatever their width. */
const wide = new Set([
  ...["topTablePa", "topLevel", "attachCount", "token", "type", "attachmentId", "domainPa", "iommuPa"],
  ...["dmaOwnerToken", "registerBase", "rootTable", "pasidTable", "maxPasid", "strtabBaseCfg"],
  ...["l1StrtabState", "l2StrtabStates", "l1CdtabState", "l2CdtabStates"],
]);

function anyMember(kind: Kind | "union", name: string, [, width]: Place): fc.Arbitrary<unknown> {
  if (name === "contextTables")
    return fc.array(bytesOf(8), { minLength: 8, maxLength: 8 }).map((words) => BigUint64Array.from(words));
  if (name === "signExtend") return fc.boolean();
  // Of a device the type is a number: it decides nothing.
  if (wide.has(name) && !(kind === "devices" && name === "type")) return bytesOf(width);
  return bytesOf(width).map(Number);
}

const membersOf = (kind: Kind | "union", places: Places): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(
    Object.fromEntries(Object.entries(places).map(([name, place]) => [name, anyMember(kind, name, place)])),
  );

/** Any state of a series, of up to `most` records of each kind; whatever the members hold. */
export function anyState(spec: SeriesSpec, most: number): fc.Arbitrary<IommuStateSource> {
  const { restoredDomain: _, ...domain } = spec.domains.members;
  const { domainPa: __, iommuPa: ___, ...device } = spec.devices.members;
  const drivers = Object.entries(spec.drivers);
  const iommu = fc.oneof(
    ...drivers.map(([name, { type, iommus }]) =>
      fc
        .tuple(membersOf("iommus", spec.iommus.members), membersOf("union", iommus))
        .map(([members, state]) => ({ ...members, type, [name]: state })),
    ),
    // Of a type that no driver has: its union is bytes.
    fc
      .tuple(membersOf("iommus", spec.iommus.members), unionBytes(spec.iommus.union))
      .map(([members, union]) => ({ ...members, type: 7n, ...union })),
  ) as fc.Arbitrary<unknown> as fc.Arbitrary<Iommu>;

  return fc
    .tuple(
      fc.array(iommu, { maxLength: most }),
      fc.array(membersOf("domains", domain) as fc.Arbitrary<unknown> as fc.Arbitrary<IommuDomain>, {
        maxLength: most,
      }),
    )
    .chain(([iommus, domains]) =>
      fc
        .array(anyDevice(spec, device, iommus, domains.length), { maxLength: most })
        .map((devices) => ({ iommus, domains, devices })),
    );
}

const unionBytes = (union: Place | undefined): fc.Arbitrary<object> =>
  union
    ? fc
        .uint8Array({ minLength: union[1], maxLength: union[1] })
        .map((bytes) => (bytes.some((byte) => byte !== 0) ? { union: bytes } : {}))
    : fc.constant({});

/** A device that leads to records or to addresses where none are, with a union as the IOMMU's driver writes it. */
function anyDevice(
  spec: SeriesSpec,
  members: Places,
  iommus: readonly Iommu[],
  domains: number,
): fc.Arbitrary<IommuDeviceSource> {
  const wild = fc.bigInt({ min: 0n, max: 0xffffn }).map(physAddr);
  const linkTo = (name: "domain" | "iommu", count: number): fc.Arbitrary<Record<string, unknown>> => {
    const nowhere = wild.map((pa) => ({ [`${name}Pa`]: pa }));
    if (count === 0) return nowhere;
    return fc.oneof(
      nowhere,
      fc.nat(count - 1).map((position) => ({ [name]: position })),
    );
  };
  return fc
    .tuple(membersOf("devices", members), linkTo("domain", domains), linkTo("iommu", iommus.length))
    .chain(([fields, domain, iommu]) => {
      const behind = iommu.iommu === undefined ? undefined : iommus[iommu.iommu as number];
      const driver = Object.entries(spec.drivers).find(([name]) => behind && name in behind);
      const union = driver?.[1].devices
        ? membersOf("union", driver[1].devices).map((state) => ({ [driver[0]]: state }))
        : unionBytes(spec.devices.union);
      return union.map((rest) => ({ ...fields, ...domain, ...iommu, ...rest }));
    }) as fc.Arbitrary<unknown> as fc.Arbitrary<IommuDeviceSource>;
}
