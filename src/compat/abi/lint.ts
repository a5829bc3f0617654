import { kernels, spanOf } from "../../../formats/kernels.js";
import { handedOver } from "../../../formats/registry.js";
import type { Abi } from "../../layout/index.js";
import { type AbiClaim, type AbiSide, cite, onlyNames, versionText } from "./claim.js";
import { type AbiDifference, compareStructures } from "./compare.js";
import { structureOfLayout } from "./from-layout.js";
import { changes } from "./lint-changes.js";
import { listedClaims } from "./lint-lists.js";
import { claimsOf } from "./rules.js";
import { entriesOf, isKnown, isSerialized } from "./source.js";
import type { Structure } from "./structure.js";

/** What a kernel's handed-over structures have that can break a handover, also with other releases of the same versions. */
export function lintAbi(side: AbiSide): AbiClaim[] {
  return [...claimsOf(side), ...twiceDefined(side), ...unknownStructures(side), ...otherReleases(side)];
}

/** What changed from one kernel to the other while what its reader compares did not, then what is wrong with either. */
export function lintAbis(from: AbiSide, to: AbiSide): AbiClaim[] {
  const claims = [...changes(from, to), ...listedClaims(from, to)];
  const single = (side: AbiSide): AbiClaim[] => [
    ...claimsOf(side),
    ...twiceDefined(side),
    ...unknownStructures(side),
  ];
  // What both have is said once, with both sides.
  const shared = new Map<string, AbiClaim>();
  for (const claim of [...single(from), ...single(to)]) {
    const key = JSON.stringify([claim.rule, claim.severity, claim.struct, claim.member, claim.message]);
    const known = shared.get(key);
    shared.set(key, known ? { ...known, sides: [...known.sides, ...claim.sides] } : claim);
  }
  return [...claims, ...shared.values()];
}

/** Structures that one kernel defines in two ways: which one a reader takes depends on the file that it is in. */
function* twiceDefined(side: AbiSide): Generator<AbiClaim> {
  const entries = entriesOf(side.kernel);
  for (const [struct, [first, ...others]] of side.source.structures) {
    const entry = entries.get(struct);
    for (const other of others) {
      const difference = compareStructures(first, other);
      if (!difference) continue;
      yield {
        rule: "two-layouts",
        severity: "error",
        struct,
        message: `the kernel defines it ${others.length + 1} times, and not alike`,
        sides: [cite(side, first, entry), cite(side, other, entry)],
        members: difference.members,
      };
      break;
    }
  }
}

function* unknownStructures(side: AbiSide): Generator<AbiClaim> {
  for (const [struct, [structure]] of side.source.structures)
    if (isSerialized(struct) && !isKnown(struct))
      yield {
        rule: "unknown-structure",
        severity: "info",
        struct,
        message:
          "it calls itself serialized, and is in no release that is known: nothing says what versions it",
        sides: [cite(side, structure, undefined)],
        members: [],
      };
}

/** Known releases that hand over another form under the version that this kernel has for it. */
function* otherReleases(side: AbiSide): Generator<AbiClaim> {
  const abi: Abi = { byteOrder: "little", pageSize: side.source.pageSize };
  for (const [struct, entry] of entriesOf(side.kernel)) {
    const [own] = side.source.structures.get(struct) ?? [];
    if (!own) continue;
    /** By the form: releases that have it. */
    const forms = new Map<string, { releases: string[]; theirs: Structure; difference: AbiDifference }>();
    for (const kernel of kernels) {
      const other = handedOver(kernel).find(({ layout }) => layout.name === struct);
      if (!other || other.compatible !== entry.compatible) continue;
      const theirs = structureOfLayout(other.layout, abi);
      const difference = compareStructures(own, theirs);
      if (!difference || onlyNames(difference)) continue;
      const key = JSON.stringify(difference);
      const form = forms.get(key);
      if (form) form.releases.push(spanOf(kernel));
      else forms.set(key, { releases: [spanOf(kernel)], theirs, difference });
    }
    for (const { releases, theirs, difference } of forms.values()) {
      const name = releases.join(", ");
      yield {
        rule: "two-layouts",
        severity: "error",
        struct,
        message: `${versionText(entry)} stands for another form in ${name}, which takes it as its own`,
        sides: [cite(side, own, entry), { ...cite(side, theirs, entry), kernel: name }],
        members: difference.members,
      };
    }
  }
}
