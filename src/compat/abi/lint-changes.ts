import type { HandedOver } from "../../../formats/registry.js";
import { type AbiClaim, type AbiSide, cite, onlyNames, versionText } from "./claim.js";
import { type AbiDifference, compareStructures } from "./compare.js";
import { structureOfLayout } from "./from-layout.js";
import { entriesOf } from "./source.js";
import type { Structure } from "./structure.js";

type Entries = ReadonlyMap<string, HandedOver>;

/** What is not as it was, although the version that a reader compares is. */
export function* changes(from: AbiSide, to: AbiSide): Generator<AbiClaim> {
  const before = entriesOf(from.kernel);
  const after = entriesOf(to.kernel);
  for (const struct of new Set([...from.source.structures.keys(), ...to.source.structures.keys()])) {
    const [old] = from.source.structures.get(struct) ?? [];
    const [now] = to.source.structures.get(struct) ?? [];
    const difference = compareStructures(old, now);
    if (!difference) continue;
    const [was, is] = [before.get(struct), after.get(struct)];
    const sides = [cite(from, old, was), cite(to, now, is)];
    const base = { struct, sides, members: difference.kind === "changed" ? difference.members : [] };
    const claim =
      difference.kind === "changed"
        ? changed(from, to, difference, was, is)
        : difference.kind === "added"
          ? is && !was && added(from, to, is, before)
          : was && !is && removed(from, to, was, after);
    if (claim) yield { ...base, ...apart(from, to, claim) };
  }
}

type Judgement = Pick<AbiClaim, "rule" | "severity" | "message">;

/** Kernels whose roots differ take nothing of each other, so that what is behind the roots is a fault of theirs no more. */
function apart({ kernel: a }: AbiSide, { kernel: b }: AbiSide, claim: Judgement): Judgement {
  if (claim.severity === "info" || !a || !b || a.kho === b.kho) return claim;
  return {
    ...claim,
    severity: "warning",
    message: `${claim.message}; the two never meet, for their roots are "${a.kho}" and "${b.kho}"`,
  };
}

function changed(
  from: AbiSide,
  to: AbiSide,
  difference: AbiDifference,
  was: HandedOver | undefined,
  is: HandedOver | undefined,
): Judgement | undefined {
  if (!was || !is)
    return {
      rule: "layout-changed",
      severity: "warning",
      message: "it changed, and nothing is known of what versions it",
    };
  if (was.compatible !== is.compatible) return undefined;
  if (onlyNames(difference))
    return {
      rule: "layout-changed",
      severity: "info",
      message: `members are called otherwise under ${versionText(is)}: no byte moved, but they may mean something else`,
    };
  if (from.source.pageSize !== to.source.pageSize && compareStructures(formOf(was), formOf(is)) === undefined)
    return {
      rule: "two-layouts",
      severity: "error",
      message: `${versionText(is)} stands for one form with pages of ${from.source.pageSize} bytes and for another with ${to.source.pageSize}`,
    };
  return {
    rule: "layout-changed",
    severity: "error",
    message: `it changed, and ${versionText(is)} did not: ${to.name} takes it from ${from.name} and misreads it`,
  };
}

/** Our layout for pages of one size, so that two of them differ by more than that. */
const formOf = ({ layout }: HandedOver): Structure =>
  structureOfLayout(layout, { byteOrder: "little", pageSize: 4096 });

/** True if the other side has the same version for something. */
const isKept = ({ compatible }: HandedOver, other: Entries): boolean =>
  compatible !== undefined && [...other.values()].some((entry) => entry.compatible === compatible);

function added(from: AbiSide, to: AbiSide, is: HandedOver, before: Entries): Judgement | undefined {
  if (is.demandedBy !== undefined && is.demandedBy === from.kernel?.luo)
    return {
      rule: "structure-added",
      severity: "error",
      message: `"${is.demandedBy}", which leads to it, was kept: ${to.name} stops where it is not there`,
    };
  if (!isKept(is, before)) return undefined;
  return {
    rule: "structure-added",
    severity: "info",
    message: `it came under "${is.compatible}", which was kept: no fault as long as no reader relies on it`,
  };
}

function removed(from: AbiSide, to: AbiSide, was: HandedOver, after: Entries): Judgement | undefined {
  if (was.demandedBy !== undefined && was.demandedBy === to.kernel?.luo)
    return {
      rule: "structure-removed",
      severity: "warning",
      message: `"${was.demandedBy}", which leads to it, was kept: what ${from.name} hands over in it is lost in ${to.name}`,
    };
  if (!isKept(was, after)) return undefined;
  return {
    rule: "structure-removed",
    severity: "info",
    message: `it went away under "${was.compatible}", which was kept`,
  };
}
