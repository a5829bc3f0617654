import type { Kernel } from "../../../formats/kernels.js";
import type { LiveupdateFeature } from "../../../formats/proposed/versions-section.js";
import type { HandedOver } from "../../../formats/registry.js";
import type { Severity } from "../../report/finding.js";
import { type AbiDifference, type MemberDifference, type MemberPlace, placeOf } from "./compare.js";
import type { AbiSource } from "./source.js";
import type { Member, Structure } from "./structure.js";

/** Everything that is looked for in handed-over structures, with what it means. */
export const abiRules = {
  "layout-changed": "a structure changed, and the version that its reader compares did not",
  "two-layouts": "one version string stands for two forms of a structure",
  "structure-added": "a structure came under a version that was kept",
  "structure-removed": "a structure went away under a version that was kept",
  "kernel-pointer": "a pointer of the kernel is handed over, which means nothing to the next one",
  "config-dependent": "the size of a member depends on how the kernel was configured",
  "packed-bit-field": "bit fields of a packed structure do not fill their units: compilers differ about them",
  "string-moves-fields": "the length of a string decides where the members behind it are",
  "not-taken": "a version or feature that one image lists as its own and the other does not take",
  "unknown-structure": "a structure that calls itself serialized, and is in no release that is known",
} as const;

/** Name of one of {@link abiRules}. */
export type AbiRule = keyof typeof abiRules;

/** A kernel whose structures are looked at. */
export interface AbiSide {
  /** As it is called in claims: a release or a file. */
  readonly name: string;
  /** The row that says which version goes with which structure; absent if it is not known. */
  readonly kernel?: Kernel;
  readonly source: AbiSource;
  /** What the image itself lists as taken, where it has the sections of proposed series for that. */
  readonly versions?: readonly string[];
  readonly features?: readonly LiveupdateFeature[];
}

/** What one side has of what a claim is about. */
export interface AbiCitation {
  readonly kernel: string;
  /** The version that readers compare; absent if they compare none, or it is not known. */
  readonly compatible?: string;
  /** Bytes of the structure; absent on a side that does not have it. */
  readonly size?: number;
  /** Where the member is; absent if the claim is about the whole structure. */
  readonly place?: MemberPlace;
}

/** Something about a handed-over structure that can or does break a handover. */
export interface AbiClaim {
  readonly rule: AbiRule;
  readonly severity: Severity;
  readonly struct: string;
  /** Path of the member; absent if the claim is about the whole structure. */
  readonly member?: string;
  readonly message: string;
  /** One side, or both in the order in which they were named. */
  readonly sides: readonly AbiCitation[];
  /** Members that differ between the two. */
  readonly members: readonly MemberDifference[];
}

/** One side of a claim about a structure, or about a member of it. */
export function cite(
  side: AbiSide,
  structure: Structure | undefined,
  entry: HandedOver | undefined,
  member?: Member,
): AbiCitation {
  return {
    kernel: side.name,
    ...(entry?.compatible !== undefined && { compatible: entry.compatible }),
    ...(structure && { size: structure.size }),
    ...(member && { place: placeOf(member) }),
  };
}

/** True if no byte is another one than before. */
export const onlyNames = ({ from, to, members }: AbiDifference): boolean =>
  from === to && members.every(({ kind }) => kind === "renamed");

/** What versions a structure, as the subject of a sentence. */
export const versionText = ({ compatible }: HandedOver): string =>
  compatible === undefined ? "the boot protocol, which has no version for it," : `"${compatible}"`;
