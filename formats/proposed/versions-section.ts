/**
 * Sections of vmlinux in which a kernel would list what live update it takes, so that user space can ask an image before
 * it is booted. Two postings, neither merged, with one header:
 *
 * - `.liveupdate_versions`: "[RFC PATCH] liveupdate: list all file handler versions in vmlinux section" by Pratyush Yadav,
 *   2025-12-11: names of LUO itself and of file handlers, not of FLBs and not of KHO.
 * - `.liveupdate_features`: a later revision of "[RFC PATCH 0/3] liveupdate: Move to feature flags for LUO and memfd ABI
 *   compatibility" by Logan Odell, 2026-09-03: feature bits by name. The code that fills it was not posted.
 *
 * include/linux/kho/abi/luo.h of both.
 */
import {
  type Abi,
  chars,
  decode,
  encode,
  isTerminated,
  memberOf,
  type Struct,
  sizeOf,
  struct,
  u32,
  u64,
  type ValueOf,
} from "../../src/layout/index.js";
import { KhoError } from "../../src/report/error.js";
import { hex } from "../../src/report/hex.js";

const header = "include/linux/kho/abi/luo.h";
const rfc2025 = { header, since: "RFC of 2025-12-11" };
const rfc2026 = { header, since: "RFC of 2026-09-03" };

export const liveupdateVerHdr = struct("liveupdate_ver_hdr", { magic: u32, version: u32 }, rfc2025);
/** `magic`, "LVUP" as a number, and `version` of both sections. */
export const LIVEUPDATE_VER_HDR_MAGIC = 0x4c565550;
export const LIVEUPDATE_VER_HDR_VER = 1;

/** One string of `versions` of the kernel's `liveupdate_ver_table`, LIVEUPDATE_HNDL_COMPAT_LENGTH bytes. */
export const liveupdateVersion = struct("liveupdate_version", { version: chars(48) }, rfc2025);

/** What one part of live update knows, demands and uses. `feat_bytes` is the length of each of the three. */
export const liveupdateFeatureEntry = struct(
  "liveupdate_feature_entry",
  { name: chars(48), feat_bytes: u32, reserved: u32, supp: u64, req: u64, active: u64 },
  rfc2026,
);

export const LIVEUPDATE_VERSIONS_SECTION = ".liveupdate_versions";
export const LIVEUPDATE_FEATURES_SECTION = ".liveupdate_features";

/** A feature entry: bits that a reader knows, that a reader must know, and that the writer uses. */
export type LiveupdateFeature = Pick<
  ValueOf<typeof liveupdateFeatureEntry>,
  "name" | "supp" | "req" | "active"
>;

/** Neither structure depends on the page size, but an ABI always names one. */
const abiOf = (byteOrder: Abi["byteOrder"]): Abi => ({ byteOrder, pageSize: 4096 });

const malformed = (section: string, what: string, expected: string, actual: string): KhoError =>
  new KhoError("version-section-malformed", `section ${section}: ${what}`, { expected, actual });

/**
 * Reads `.liveupdate_versions`, with the checks of the parser that was posted with it.
 * @throws KhoError `version-section-malformed`
 */
export function readLiveupdateVersions(bytes: Uint8Array, byteOrder: Abi["byteOrder"]): string[] {
  return entriesOf(LIVEUPDATE_VERSIONS_SECTION, liveupdateVersion, "version", bytes, byteOrder).map(
    ({ version }) => version,
  );
}

/**
 * Reads `.liveupdate_features`, with the same checks; entries whose bitmaps have another length than 8 bytes are refused.
 * @throws KhoError `version-section-malformed`
 */
export function readLiveupdateFeatures(bytes: Uint8Array, byteOrder: Abi["byteOrder"]): LiveupdateFeature[] {
  const entries = entriesOf(LIVEUPDATE_FEATURES_SECTION, liveupdateFeatureEntry, "name", bytes, byteOrder);
  return entries.map(({ name, feat_bytes, supp, req, active }) => {
    if (feat_bytes !== sizeOf(u64, abiOf(byteOrder)))
      throw malformed(
        LIVEUPDATE_FEATURES_SECTION,
        `bitmaps of ${name} have ${feat_bytes} bytes`,
        "8",
        String(feat_bytes),
      );
    return { name, supp, req, active };
  });
}

function entriesOf<S extends Struct>(
  section: string,
  layout: S,
  text: keyof S["fields"] & string,
  bytes: Uint8Array,
  byteOrder: Abi["byteOrder"],
): ValueOf<S>[] {
  const abi = abiOf(byteOrder);
  const head = sizeOf(liveupdateVerHdr, abi);
  const size = sizeOf(layout, abi);
  if (bytes.length < head || (bytes.length - head) % size !== 0)
    throw malformed(
      section,
      `it has ${bytes.length} bytes`,
      `${head} and a multiple of ${size}`,
      String(bytes.length),
    );
  const { magic, version } = decode(liveupdateVerHdr, bytes, 0, abi);
  if (magic !== LIVEUPDATE_VER_HDR_MAGIC)
    throw malformed(section, "the magic is another", hex(LIVEUPDATE_VER_HDR_MAGIC), hex(magic));
  if (version !== LIVEUPDATE_VER_HDR_VER)
    throw malformed(section, "it is of another version", String(LIVEUPDATE_VER_HDR_VER), String(version));
  const { offset, size: room } = memberOf(layout, text, abi);
  return Array.from({ length: (bytes.length - head) / size }, (_, i) => {
    const at = head + i * size;
    if (!isTerminated(bytes, at + offset, room))
      throw malformed(section, `the name of entry ${i} has no NUL`, `at most ${room - 1} bytes`, `${room}`);
    return decode(layout, bytes, at, abi);
  });
}

/** The bytes of `.liveupdate_versions`. @throws KhoError `value-range` for a string of more than 47 bytes */
export const encodeLiveupdateVersions = (
  versions: readonly string[],
  byteOrder: Abi["byteOrder"],
): Uint8Array =>
  sectionOf(
    versions.map((version) => encode(liveupdateVersion, { version }, abiOf(byteOrder))),
    byteOrder,
  );

/** The bytes of `.liveupdate_features`. @throws KhoError `value-range` */
export const encodeLiveupdateFeatures = (
  features: readonly LiveupdateFeature[],
  byteOrder: Abi["byteOrder"],
): Uint8Array =>
  sectionOf(
    features.map((feature) =>
      encode(liveupdateFeatureEntry, { ...feature, feat_bytes: 8, reserved: 0 }, abiOf(byteOrder)),
    ),
    byteOrder,
  );

function sectionOf(entries: readonly Uint8Array[], byteOrder: Abi["byteOrder"]): Uint8Array {
  const head = encode(
    liveupdateVerHdr,
    { magic: LIVEUPDATE_VER_HDR_MAGIC, version: LIVEUPDATE_VER_HDR_VER },
    abiOf(byteOrder),
  );
  const bytes = new Uint8Array(entries.reduce((sum, entry) => sum + entry.length, head.length));
  bytes.set(head);
  let at = head.length;
  for (const entry of entries) {
    bytes.set(entry, at);
    at += entry.length;
  }
  return bytes;
}
