export type { Candidate } from "./candidate.js";
export { type ContentOptions, memfdContent, type Piece } from "./content.js";
export { type Decoded, decodeHandover } from "./decode.js";
export { type Meta, parseMeta } from "./meta.js";
export type { File, FoundBy, Handoff, Handover, LiveUpdate, Session, Subtree, SubtreeKind } from "./model.js";
export type { DecodeOptions } from "./options.js";
export { type Scanned, scan } from "./scan.js";
export type { FdStoreEntry, SystemdMapping } from "./systemd.js";
