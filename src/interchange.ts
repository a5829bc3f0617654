/**
 * The stable interchange form of a decoded handover, `kho.v1.Handover` of proto/kho/v1/handover.proto: as a message,
 * as protobuf JSON, as binary; and the schemas of what `kho iommu --json` prints.
 * @module
 */
import { create, toBinary as messageToBinary, toJsonString } from "@bufbuild/protobuf";
import { orderCounts, type PreservedMemory, preservedBytes } from "../formats/kho/preserved.js";
import type { Runs } from "../formats/kho/runs.js";
import { byIndex, type FolioRuns } from "../formats/memfd/folios.js";
import type { Memfd } from "../formats/memfd/memfd.js";
import {
  type File as FileMessage,
  FileSchema,
  FindingSchema,
  FolioRunSchema,
  type Handover as HandoverMessage,
  HandoverSchema,
  MemfdSchema,
  MemoryRangeSchema,
  PreservedMemorySchema,
  PreservedRunSchema,
  SessionSchema,
  Severity as SeverityMessage,
} from "./gen/kho/v1/handover_pb.js";
import type { Decoded } from "./handover/decode.js";
import type { File, Handover, Session } from "./handover/model.js";
import { addressOf, type MemoryRange } from "./memory/index.js";
import { KhoError } from "./report/error.js";
import type { Finding, Severity } from "./report/finding.js";

export { type Handover as HandoverMessage, HandoverSchema } from "./gen/kho/v1/handover_pb.js";
export {
  type IommuDevices as IommuDevicesMessage,
  IommuDevicesSchema,
  type IommuDiff as IommuDiffMessage,
  IommuDiffSchema,
  type IommuRanges as IommuRangesMessage,
  IommuRangesSchema,
  type IommuTranslation as IommuTranslationMessage,
  IommuTranslationSchema,
} from "./gen/kho/v1/iommu_pb.js";

/** The message for a decoded handover. Text that is not UTF-8 has its other bytes written `\xNN`. */
export const toMessage = (decoded: Pick<Decoded, "handover" | "findings">): HandoverMessage =>
  messageOf(decoded, true);

/** The message, with runs of blocks and folios or with none where they are. */
function messageOf(
  { handover, findings }: Pick<Decoded, "handover" | "findings">,
  withRuns: boolean,
): HandoverMessage {
  const { preserved, luo, kexecMetadata, khoTest } = handover;
  return create(HandoverSchema, {
    compatible: wellFormed(handover.compatible),
    pageSize: handover.pageSize,
    pageSizeGuessed: handover.pageSizeGuessed,
    pageSizeEvidence: handover.pageSizeEvidence,
    arch: handover.arch,
    release: handover.release,
    releaseGuessed: handover.releaseGuessed,
    releaseEvidence: wellFormed(handover.releaseEvidence),
    handoff: handover.handoff,
    scratch: handover.scratch.map(rangeMessage),
    ...(preserved && { preserved: preservedMessage(preserved, handover.pageSize, withRuns) }),
    subtrees: handover.subtrees.map(({ name, pa, size, kind }) => ({
      name: wellFormed(name),
      pa,
      size,
      kind,
    })),
    ...(luo && {
      luo: {
        compatible: wellFormed(luo.compatible),
        liveupdateNumber: luo.liveupdateNumber,
        sessions: luo.sessions.map((session) => sessionMessage(session, withRuns)),
        flbs: luo.flbs.map(({ name, data, count }) => ({ name: wellFormed(name), data, count })),
      },
    }),
    reserveMem: handover.reserveMem.map(({ name, start, size }) => ({ name: wellFormed(name), start, size })),
    ...(kexecMetadata && {
      kexecMetadata: { ...kexecMetadata, previousRelease: wellFormed(kexecMetadata.previousRelease) },
    }),
    ...(khoTest && { khoTest: khoTestMessage(khoTest) }),
    findings: findings.map(findingMessage),
  });
}

/**
 * Protobuf JSON, indented by two: u64 as decimal strings, and every field also where it is zero or empty.
 * @throws KhoError `limit-exceeded` for a handover of more runs and findings than one text can hold
 */
export function toJson(decoded: Pick<Decoded, "handover" | "findings">): string {
  const message = toMessage(decoded);
  try {
    return toJsonString(HandoverSchema, message, { alwaysEmitImplicit: true, prettySpaces: 2 });
  } catch (cause) {
    // The engine's own limit to a string, half a gigabyte and more.
    if (!(cause instanceof RangeError)) throw cause;
    throw new KhoError("limit-exceeded", "the JSON form is longer than a text can be: use the binary form", {
      cause,
    });
  }
}

/**
 * What {@link toJson} gives, piece by piece: of a handover of millions of runs the text is longer than one text can be, and
 * messages of all of them would take gigabytes.
 */
export function* toJsonPieces({
  handover,
  findings,
}: Pick<Decoded, "handover" | "findings">): Generator<string> {
  const options = { alwaysEmitImplicit: true, prettySpaces: 2 };
  const rest = toJsonString(HandoverSchema, messageOf({ handover, findings }, false), options);
  const { preserved, luo, pageSize } = handover;
  /** The texts of the lists that were left out, in the order of the message. */
  const lists: Iterable<string>[] = [];
  if (preserved)
    lists.push(
      mapped(keysOf(preserved.runs.length), (i) =>
        toJsonString(PreservedRunSchema, runMessage(preserved.runs, i, pageSize), options),
      ),
    );
  for (const { memfd } of luo?.sessions.flatMap(({ files }) => files) ?? [])
    if (memfd)
      lists.push(
        mapped(byIndex(memfd.folios), (i) =>
          toJsonString(FolioRunSchema, folioMessage(memfd.folios, i), options),
        ),
      );
  let at = 0;
  // Quotes within strings are escaped: what looks like a member is one. The last ones may be of the test module.
  for (const hole of rest.matchAll(/^( *)"(?:runs|folios)": \[(?=\])/gm)) {
    const end = hole.index + hole[0].length;
    yield rest.slice(at, end);
    at = end;
    const indent = `\n${hole[1]}`;
    let first = true;
    for (const item of lists.shift() ?? []) {
      yield `${first ? "" : ","}${indent}  ${item.replaceAll("\n", `${indent}  `)}`;
      first = false;
    }
    if (!first) yield indent;
  }
  yield rest.slice(at);
}

function* keysOf(length: number): Generator<number> {
  for (let i = 0; i < length; i++) yield i;
}

function* mapped(keys: Iterable<number>, text: (key: number) => string): Generator<string> {
  for (const key of keys) yield text(key);
}

/** The binary form. Messages of all runs are made first, which takes about half a kilobyte each. */
export function toBinary(decoded: Pick<Decoded, "handover" | "findings">): Uint8Array {
  return messageToBinary(HandoverSchema, toMessage(decoded));
}

const rangeMessage = ({ pa, size }: MemoryRange) => create(MemoryRangeSchema, { pa, size });

function preservedMessage(
  { kind, rootPa, runs, mapPages }: PreservedMemory,
  pageSize: number,
  withRuns: boolean,
) {
  const orders = orderCounts(runs);
  return create(PreservedMemorySchema, {
    kind,
    rootPa,
    blocks: BigInt(orders.reduce((sum, { blocks }) => sum + blocks, 0)),
    bytes: asU64(preservedBytes(runs, pageSize)),
    orders: orders.map(({ order, blocks }) => ({ order, blocks: BigInt(blocks) })),
    runs: withRuns ? Array.from({ length: runs.length }, (_, i) => runMessage(runs, i, pageSize)) : [],
    mapPages: BigInt(mapPages),
  });
}

const runMessage = (runs: Runs, i: number, pageSize: number) =>
  create(PreservedRunSchema, {
    pa: addressOf(runs.pfn[i]!, pageSize),
    order: runs.order[i]!,
    count: BigInt(runs.count[i]!),
  });

function sessionMessage({ name, files, systemd }: Session, withRuns: boolean) {
  return create(SessionSchema, {
    name: wellFormed(name),
    files: files.map((file) => fileMessage(file, withRuns)),
    ...(systemd && {
      systemd: {
        version: systemd.version,
        kexecsCount: systemd.kexecsCount ?? 0,
        units: systemd.units.map((unit) => ({
          name: wellFormed(unit.name),
          fdstore: unit.fdstore.map((entry) => ({
            type: wellFormed(entry.type),
            name: wellFormed(entry.name),
            token: entry.token ?? 0n,
            sessionName: wellFormed(entry.sessionName ?? ""),
          })),
        })),
      },
    }),
  });
}

function fileMessage({ token, compatible, data, memfd }: File, withRuns: boolean): FileMessage {
  return create(FileSchema, {
    token,
    compatible: wellFormed(compatible),
    data,
    ...(memfd && { payload: { case: "memfd", value: memfdMessage(memfd, withRuns) } }),
  });
}

function memfdMessage({ size, pos, seals, flags, nrFolios, folios }: Memfd, withRuns: boolean) {
  return create(MemfdSchema, {
    size,
    pos,
    seals,
    flags,
    nrFolios,
    // Ascending by index, as the message promises, whatever the order on the wire.
    folios: withRuns ? Array.from(byIndex(folios), (i) => folioMessage(folios, i)) : [],
  });
}

const folioMessage = (folios: FolioRuns, i: number) =>
  create(FolioRunSchema, {
    index: asU64(BigInt(folios.index[i]!)),
    pfn: BigInt(folios.pfn[i]!),
    order: folios.order[i]!,
    count: BigInt(folios.count[i]!),
    flags: folios.flags[i]!,
  });

function khoTestMessage({ magic, nrFolios, csum, checksum, folios }: NonNullable<Handover["khoTest"]>) {
  return {
    magic,
    nrFolios,
    csum,
    checksum,
    folios: Array.from(folios.pfn, (pfn, i) => ({ pfn: BigInt(pfn), order: folios.order[i]! })),
  };
}

const severities: Record<Severity, SeverityMessage> = {
  info: SeverityMessage.INFO,
  warning: SeverityMessage.WARNING,
  error: SeverityMessage.ERROR,
};

/** The message for a finding. */
export function findingMessage({
  severity,
  code,
  pa,
  length,
  path,
  message,
  expected,
  actual,
  consequence,
}: Finding) {
  return create(FindingSchema, {
    severity: severities[severity],
    code,
    pa,
    length: asU64(BigInt(length)),
    path: wellFormed(path),
    message: wellFormed(message),
    expected: wellFormed(expected ?? ""),
    actual: wellFormed(actual ?? ""),
    consequence: consequence?.outcome ?? "",
    errno: consequence?.errno ?? "",
    phase: consequence?.phase ?? "",
    detail: consequence?.detail ?? "",
    all: consequence?.all ?? false,
  });
}

/** The largest u64 for what is larger: sums of blocks that overlap, and numbers that were rounded up. */
export const asU64 = (value: bigint): bigint => (value < 1n << 64n ? value : (1n << 64n) - 1n);

/** Text with the lone surrogates that stand for single bytes written out: protobuf strings are UTF-8. */
const wellFormed = (text: string): string =>
  text.replace(
    /[\ud800-\udfff]/gu,
    (unit) => `\\x${(unit.charCodeAt(0) & 0xff).toString(16).padStart(2, "0")}`,
  );
