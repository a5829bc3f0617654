/** What `kho iommu --json` prints, by proto/kho/v1/iommu.proto. */
import { create, type DescMessage, type MessageShape, toJsonString } from "@bufbuild/protobuf";
import type { DeviceEntry } from "../formats/iommu/device.js";
import type { PageTable } from "../formats/iommu/format.js";
import { type Mapping, type MappingRuns, mappingsOf } from "../formats/iommu/mappings.js";
import { type Access, IOMMU_READ, IOMMU_WRITE } from "../formats/iommu/prot.js";
import type { Translated } from "../formats/iommu/translate.js";
import { isDeleted } from "../formats/proposed/iommu/state.js";
import {
  IommuDeviceDiffSchema,
  IommuDeviceSchema,
  IommuDevicesSchema,
  IommuDiffSchema,
  IommuRangesSchema,
  IommuStateSchema,
  IommuTranslationSchema,
} from "./gen/kho/v1/iommu_pb.js";
import { asU64, findingMessage } from "./interchange.js";
import type { Change, Side } from "./iommu/diff.js";
import { deviceName, pciName } from "./iommu/names.js";
import type { PersistedIommus } from "./iommu/persisted.js";
import { mappedBytes } from "./iommu/reach.js";
import type { Finding } from "./report/finding.js";

/** A device's address space, and what it reaches where that was looked up. */
export interface Space {
  readonly entry: DeviceEntry;
  readonly runs?: MappingRuns;
}

const text = <D extends DescMessage>(schema: D, message: MessageShape<D>): string =>
  toJsonString(schema, message, { alwaysEmitImplicit: true, prettySpaces: 2 });

const tableMessage = ({ format, root, levels, vaBits }: PageTable) => ({
  format: format.name,
  root,
  levels,
  vaBits,
  granule: 1n << BigInt(format.granuleLg2),
});

const deviceMessage = ({ entry, runs }: Space) =>
  create(IommuDeviceSchema, {
    device: deviceName(entry.device),
    id: entry.device,
    ...(entry.pasid !== undefined && { pasid: entry.pasid }),
    translation: entry.kind,
    domainField: entry.domain?.name ?? "",
    domain: entry.domain?.id ?? 0,
    ...(entry.table && { table: tableMessage(entry.table) }),
    ...(entry.parent && { parent: tableMessage(entry.parent) }),
    ranges: BigInt(runs?.length ?? 0),
    bytes: runs ? asU64(mappedBytes(runs)) : 0n,
  });

const rights = (access: Access) => ({
  read: (access & IOMMU_READ) !== 0,
  write: (access & IOMMU_WRITE) !== 0,
});

/** A `kho.v1.IommuDevices`. */
export const devicesJson = (
  vendor: string,
  mode: string,
  spaces: readonly Space[],
  findings: readonly Finding[],
): string =>
  text(
    IommuDevicesSchema,
    create(IommuDevicesSchema, {
      vendor,
      mode,
      devices: spaces.map(deviceMessage),
      findings: findings.map(findingMessage),
    }),
  );

/**
 * A `kho.v1.IommuRanges`, piece by piece: there can be more ranges than one text can hold.
 */
export function* rangesJson(
  vendor: string,
  space: Required<Space>,
  findings: readonly Finding[],
): Generator<string> {
  const rest = text(
    IommuRangesSchema,
    create(IommuRangesSchema, {
      vendor,
      device: deviceMessage(space),
      findings: findings.map(findingMessage),
    }),
  );
  const hole = '"ranges": []';
  // The device has a member of that name, too, but that is a number.
  const at = rest.indexOf(hole);
  if (space.runs.length === 0) {
    yield rest;
    return;
  }
  yield `${rest.slice(0, at)}"ranges": [\n`;
  let first = true;
  for (const mapping of mappingsOf(space.runs)) {
    yield `${first ? "" : ",\n"}    ${rangeText(mapping)}`;
    first = false;
  }
  yield `\n  ]${rest.slice(at + hole.length)}`;
}

const rangeText = ({ iova, pa, size, read, write, pageSizes }: Mapping): string =>
  `{"iova": "${iova}", "pa": "${pa}", "size": "${size}", "read": ${read}, "write": ${write}, "pageSizes": [${pageSizes
    .map((bytes) => `"${bytes}"`)
    .join(", ")}]}`;

/** A `kho.v1.IommuTranslation`. `translated` are the stages that were looked at, first one first. */
export function translationJson(
  vendor: string,
  entry: DeviceEntry,
  iova: bigint,
  translated: readonly Translated[],
  result: { readonly pa?: bigint; readonly size?: bigint; readonly access: Access; readonly fault?: string },
  findings: readonly Finding[],
): string {
  return text(
    IommuTranslationSchema,
    create(IommuTranslationSchema, {
      vendor,
      device: deviceMessage({ entry }),
      iova,
      mapped: result.pa !== undefined,
      pa: result.pa ?? 0n,
      pageSize: result.size ?? 0n,
      ...rights(result.access),
      fault: result.fault ?? "",
      steps: [
        ...entry.words.map(({ layout, pa, bytes }) => ({ what: layout.name, pa, words: wordsOf(bytes) })),
        ...translated.flatMap(({ steps }) =>
          steps.map(({ layout, pa, level, index, word }) => ({
            what: layout.name,
            pa,
            level,
            index,
            words: [word],
          })),
        ),
      ],
      findings: findings.map(findingMessage),
    }),
  );
}

/** The 64-bit words of a structure. */
export function wordsOf(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length >> 3 }, (_, i) => view.getBigUint64(8 * i, true));
}

/** What differs of one address space. */
export interface SpaceDiff {
  readonly before?: Space;
  readonly after?: Space;
  readonly changes: readonly Change[];
}

/** A `kho.v1.IommuDiff`. */
export const diffJson = (vendor: string, diffs: readonly SpaceDiff[], findings: readonly Finding[]): string =>
  text(
    IommuDiffSchema,
    create(IommuDiffSchema, {
      vendor,
      devices: diffs.map(diffMessage),
      findings: findings.map(findingMessage),
    }),
  );

function diffMessage({ before, after, changes }: SpaceDiff) {
  const { device, pasid } = (before ?? after)!.entry;
  const side = ({ pa, access }: Side) => ({ pa, ...rights(access) });
  return create(IommuDeviceDiffSchema, {
    device: deviceName(device),
    ...(pasid !== undefined && { pasid }),
    ...(before && { before: deviceMessage(before) }),
    ...(after && { after: deviceMessage(after) }),
    changes: changes.map((change) => ({
      kind: change.kind,
      iova: change.iova,
      size: change.size,
      ...(change.before && { before: side(change.before) }),
      ...(change.after && { after: side(change.after) }),
    })),
  });
}

/** A `kho.v1.IommuState`. */
export const stateJson = (
  { series, rootPa, state, domains }: PersistedIommus,
  findings: readonly Finding[],
): string =>
  text(
    IommuStateSchema,
    create(IommuStateSchema, {
      series: series.name,
      compatible: series.compatible,
      rootPa,
      iommus: state.iommus.map((iommu) => ({
        pa: iommu.pa,
        deleted: isDeleted(iommu),
        type: iommu.type,
        token: iommu.token,
        registerBase: (iommu.intel ?? iommu.smmuv3)?.registerBase ?? 0n,
        rootTable: iommu.intel?.rootTable ?? 0n,
      })),
      domains: domains.map(({ record, runs, tables }) => ({
        pa: record.pa,
        deleted: isDeleted(record),
        topTable: record.topTablePa,
        topLevel: record.topLevel,
        vaBits: record.vaBits ?? 0,
        signExtend: record.signExtend ?? false,
        tables: BigInt(tables.size),
        ranges: BigInt(runs.length),
        bytes: asU64(mappedBytes(runs)),
      })),
      devices: state.devices.map((device) => ({
        pa: device.pa,
        deleted: isDeleted(device),
        device: pciName(device.pciDomain, device.devid),
        ...(device.domain !== undefined && { domain: device.domain }),
        ...(device.iommu !== undefined && { iommu: device.iommu }),
        attachment: device.attachmentId,
      })),
      findings: findings.map(findingMessage),
    }),
  );
