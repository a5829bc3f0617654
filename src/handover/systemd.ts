import type { Context } from "../../formats/context.js";
import type { Memfd } from "../../formats/memfd/memfd.js";
import { type Memory, physAddr } from "../memory/index.js";
import { isKhoError } from "../report/error.js";
import { memfdContent } from "./content.js";

/** Name of the session, and the token of the file with the mapping. systemd 261 and later, src/shared/luo-util.h */
export const SYSTEMD_SESSION = "systemd";
export const SYSTEMD_MAPPING_TOKEN = 0n;
/** The version that systemd reads; it skips higher ones. */
export const SYSTEMD_MAPPING_VERSION = 1;

/** An entry of a unit's file descriptor store. */
export interface FdStoreEntry {
  /** `fd`: the file with that token in this session; `luo_session`: another session, which survives by itself. */
  readonly type: string;
  /** Name in the store. */
  readonly name: string;
  readonly token?: bigint;
  readonly sessionName?: string;
}

/** What systemd writes into its session: which stored file belongs to which unit. */
export interface SystemdMapping {
  /** 1, or 0 for the form before the release, which has none. systemd skips higher ones. */
  readonly version: number;
  readonly kexecsCount?: number;
  readonly units: readonly { readonly name: string; readonly fdstore: readonly FdStoreEntry[] }[];
}

/** A mapping of a real machine has kilobytes. */
const maxMapping = 16 << 20;

/** Reads the mapping out of the file with token 0; undefined, with a finding, if it is not one. */
export function decodeSystemdMapping(
  ctx: Context,
  memory: Memory,
  memfd: Memfd,
  path: string,
): SystemdMapping | undefined {
  const ignored = (why: string): undefined => {
    const pa =
      memfd.folios.length > 0 ? physAddr(BigInt(memfd.folios.pfn[0]!) * BigInt(ctx.abi.pageSize)) : 0n;
    ctx.report("info", "systemd-mapping", `the systemd session's mapping is not usable: ${why}`, {
      path,
      pa,
    });
    return undefined;
  };
  if (memfd.size > BigInt(maxMapping)) return ignored(`${memfd.size} bytes are too many`);
  const bytes = new Uint8Array(Number(memfd.size));
  try {
    for (const piece of memfdContent(memory, memfd, ctx.abi.pageSize))
      if (piece.kind === "data") bytes.set(piece.bytes, piece.offset);
    const json: unknown = JSON.parse(exactTokens(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
    const mapping = mappingOf(json);
    if (mapping && mapping.version > SYSTEMD_MAPPING_VERSION)
      ignored(`it is of version ${mapping.version}, which systemd up to now skips`);
    return mapping ?? ignored("it is JSON of another form");
  } catch (error) {
    if (isKhoError(error)) return ignored(error.message);
    return ignored("it is not JSON");
  }
}

/** Tokens are u64, which JSON.parse would round: as strings they stay exact. No string can hold such text unescaped. */
const exactTokens = (json: string): string =>
  json.replace(/("(?:token|fd_index)"\s*:\s*)(\d{1,20})(?=\s*[,}])/g, '$1"$2"');

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isU32 = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32;

function mappingOf(json: unknown): SystemdMapping | undefined {
  if (!isObject(json)) return undefined;
  // The form before the release: control-group paths directly above the arrays, and no version.
  if (json.version === undefined) return { version: 0, units: unitsOf(json, (entries) => entries) };
  if (!isU32(json.version)) return undefined;
  const kexecs = isObject(json.state) ? json.state.kexecsCount : undefined;
  return {
    version: json.version,
    ...(isU32(kexecs) && { kexecsCount: kexecs }),
    units: isObject(json.units)
      ? unitsOf(json.units, (unit) => (isObject(unit) ? unit.fdstore : undefined))
      : [],
  };
}

function unitsOf(units: Json, entriesOf: (unit: unknown) => unknown): SystemdMapping["units"] {
  return Object.entries(units).flatMap(([name, unit]) => {
    const entries = entriesOf(unit);
    return Array.isArray(entries) ? [{ name, fdstore: entries.filter(isObject).map(entryOf) }] : [];
  });
}

const isU64 = (text: string): boolean => /^\d{1,20}$/.test(text) && BigInt(text) >> 64n === 0n;

function entryOf(entry: Json): FdStoreEntry {
  const token = entry.token ?? entry.fd_index;
  const session = entry.sessionName ?? entry.session_name;
  return {
    type: typeof entry.type === "string" ? entry.type : "",
    name: typeof entry.name === "string" ? entry.name : "",
    ...(typeof token === "string" && isU64(token) && { token: BigInt(token) }),
    ...(typeof session === "string" && { sessionName: session }),
  };
}
