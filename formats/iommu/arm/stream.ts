/** What stream table entries and context descriptors say. */
import { view } from "../../../src/layout/index.js";
import { type DeviceEntry, type DeviceWords, devicePath } from "../device.js";
import { iommuAbi } from "../entry.js";
import type { PageTable } from "../format.js";
import { reportBad, reportReserved } from "../structures.js";
import { type ContextTable, contextOf, contextsOf, type FoundCd } from "./contexts.js";
import {
  addressFrom,
  armSmmuSte,
  cdBlockLg2,
  mostSubstreamBits,
  STE_CFG_ABORT,
  STE_CFG_BYPASS,
  STE_CFG_S1_TRANS,
  STE_CFG_S2_TRANS,
  STE_S1DSS_BYPASS,
  STE_S1DSS_SSID0,
  STE_S1DSS_TERMINATE,
  STE_S1FMT_LINEAR,
} from "./layout.js";
import { type FormatSource, type Refusal, type Ste, stage1Table, stage2Table } from "./page-tables.js";
import type { StructureReader } from "./reader.js";
import type { FoundSte } from "./stream-table.js";

/** A stream table entry that was judged. */
export interface Stream {
  readonly sid: number;
  readonly words: readonly DeviceWords[];
  readonly ste: Ste;
  /** True if nothing gets through, because the entry says so or because hardware refuses it. */
  readonly blocked: boolean;
  /** Stage 2, where there is one. */
  readonly second?: PageTable;
  /** Stage 1's contexts, where there are any. */
  readonly contexts?: ContextTable;
}

/** Judges an entry; what hardware refuses it for is reported. */
export function judgeStream(
  reader: StructureReader,
  { sid, words }: FoundSte,
  formats: FormatSource,
): Stream {
  const { ctx } = reader;
  const path = devicePath(sid);
  const last = words.at(-1)!;
  const ste = view(armSmmuSte, last.bytes, 0, iommuAbi);
  const blocked: Stream = { sid, words, ste, blocked: true };
  const refuse = ({ what, expected, actual }: Refusal): Stream => {
    reportBad(ctx, last, path, what, expected, actual);
    return blocked;
  };

  if (!ste.V) return refuse({ what: "it is not valid, but not empty", expected: "V 1", actual: "V 0" });
  reportReserved(ctx, last, path);
  const { Config } = ste;
  if (Config === STE_CFG_ABORT) return blocked;
  if (Config < STE_CFG_BYPASS)
    return refuse({ what: "there is no such Config", expected: "0 or 4 to 7", actual: `${Config}` });
  const hasFirst = (Config & STE_CFG_S1_TRANS) === STE_CFG_S1_TRANS;
  const hasSecond = (Config & STE_CFG_S2_TRANS) === STE_CFG_S2_TRANS;

  const second = hasSecond ? stage2Table(ste, formats) : undefined;
  if (second && isRefusal(second)) return refuse(second);
  const contexts = hasFirst ? contextTable(ste, second) : undefined;
  if (contexts && isRefusal(contexts)) return refuse(contexts);
  return { sid, words, ste, blocked: false, ...(second && { second }), ...(contexts && { contexts }) };
}

const isRefusal = (found: object): found is Refusal => "what" in found;

function contextTable(
  { S1CDMax, S1ContextPtr, S1DSS, S1Fmt }: Ste,
  parent: PageTable | undefined,
): ContextTable | Refusal {
  if (S1CDMax > mostSubstreamBits)
    return {
      what: "it has more substreams than there can be",
      expected: `S1CDMax 0 to ${mostSubstreamBits}`,
      actual: `S1CDMax ${S1CDMax}`,
    };
  const base = addressFrom(armSmmuSte, "S1ContextPtr", S1ContextPtr);
  const table = { base, bits: S1CDMax, ...(parent && { parent }) };
  // Without substreams these two say nothing.
  if (S1CDMax === 0) return table;
  if (S1DSS > STE_S1DSS_SSID0)
    return { what: "there is no such S1DSS", expected: "S1DSS 0 to 2", actual: `S1DSS ${S1DSS}` };
  if (S1Fmt === STE_S1FMT_LINEAR) return table;
  const blockLg2 = cdBlockLg2[S1Fmt];
  if (blockLg2 === undefined)
    return { what: "there is no such S1Fmt", expected: "S1Fmt 0 to 2", actual: `S1Fmt ${S1Fmt}` };
  return { ...table, blockLg2 };
}

/** What becomes of a stream's requests without SubstreamID. */
export function plainRequests(reader: StructureReader, stream: Stream, formats: FormatSource): DeviceEntry {
  const { sid, words, ste, blocked, contexts } = stream;
  const path = devicePath(sid);
  const common = { device: sid, words, path };
  if (blocked) return { ...common, kind: "blocked" };
  if (!contexts) return { ...common, ...secondAlone(stream) };
  const dss = contexts.bits === 0 ? STE_S1DSS_SSID0 : ste.S1DSS;
  if (dss === STE_S1DSS_TERMINATE) return { ...common, kind: "blocked" };
  if (dss === STE_S1DSS_BYPASS) return { ...common, ...secondAlone(stream) };
  const found = contextOf(reader, contexts, 0, path);
  return found ? throughContext(reader, stream, found, path, formats) : { ...common, kind: "blocked" };
}

/** What becomes of requests that stage 1 does not see. */
const secondAlone = ({ ste, second }: Stream): Pick<DeviceEntry, "kind" | "domain" | "table"> =>
  second ? { kind: "table", domain: { name: "VMID", id: ste.S2VMID }, table: second } : { kind: "identity" };

/** What becomes of its requests with SubstreamIDs, for each that has a valid context. */
export function* substreamsOf(
  reader: StructureReader,
  stream: Stream,
  formats: FormatSource,
): Generator<DeviceEntry> {
  const { sid, contexts } = stream;
  if (!contexts || contexts.bits === 0) return;
  for (const found of contextsOf(reader, contexts, `${devicePath(sid)}.pasids`))
    if (isSubstream(stream, found.ssid)) yield substreamEntry(reader, stream, found, formats);
}

/** What becomes of its requests with one SubstreamID; undefined where nothing says anything about it. */
export function substreamOf(
  reader: StructureReader,
  stream: Stream,
  pasid: number,
  formats: FormatSource,
): DeviceEntry | undefined {
  const { sid, words, blocked, contexts } = stream;
  const path = devicePath(sid, pasid);
  if (blocked) return { device: sid, pasid, kind: "blocked", words, path };
  if (!contexts || contexts.bits === 0 || !isSubstream(stream, pasid)) return undefined;
  const found = contextOf(reader, contexts, pasid, path);
  return found?.cd.V ? substreamEntry(reader, stream, found, formats) : undefined;
}

/** Context 0 is that of a substream only where it is not that of requests without one. */
const isSubstream = ({ ste }: Stream, ssid: number): boolean => ssid !== 0 || ste.S1DSS !== STE_S1DSS_SSID0;

const substreamEntry = (
  reader: StructureReader,
  stream: Stream,
  found: FoundCd,
  formats: FormatSource,
): DeviceEntry => ({
  ...throughContext(reader, stream, found, devicePath(stream.sid, found.ssid), formats),
  pasid: found.ssid,
});

/** What a context descriptor makes of requests. */
function throughContext(
  { ctx }: StructureReader,
  { sid, words: before, second }: Stream,
  { words: behind, cd }: FoundCd,
  path: string,
  formats: FormatSource,
): DeviceEntry {
  const words = [...before, ...behind];
  const last = behind.at(-1)!;
  const blocked = (): DeviceEntry => ({ device: sid, kind: "blocked", words, path });
  if (!cd.V) {
    reportBad(ctx, last, path, "it is not valid, but in use", "V 1", "V 0");
    return blocked();
  }
  reportReserved(ctx, last, path);
  if (!cd.EPD1)
    ctx.report("info", "iommu-bad-context", "the table for the upper half of addresses is not read", {
      path,
      pa: last.pa,
      length: last.bytes.length,
      expected: "EPD1 1, as Linux sets it",
      actual: "EPD1 0",
    });
  if (cd.EPD0) return blocked();
  const table = stage1Table(cd, formats);
  if (isRefusal(table)) {
    reportBad(ctx, last, path, table.what, table.expected, table.actual);
    return blocked();
  }
  const domain = { name: "ASID", id: cd.ASID };
  return second
    ? { device: sid, kind: "nested", domain, table, parent: second, words, path }
    : { device: sid, kind: "table", domain, table, words, path };
}
