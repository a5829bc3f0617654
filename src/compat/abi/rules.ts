import type { HandedOver } from "../../../formats/registry.js";
import { type Abi, pageSizes, sizeOf } from "../../layout/index.js";
import type { Severity } from "../../report/finding.js";
import { type AbiClaim, type AbiRule, type AbiSide, cite } from "./claim.js";
import { entriesOf } from "./source.js";
import {
  alignOf,
  innermost,
  isPacked,
  type Member,
  nestedMembers,
  type Structure,
  shapeOf,
  straddles,
  type Type,
} from "./structure.js";

/** What is to be said of one structure; who has it is added by {@link claimsOf}. */
interface Fault {
  readonly rule: AbiRule;
  readonly severity: Severity;
  readonly message: string;
  readonly path?: string;
  readonly member?: Member;
}

/** Types whose size the kernel's configuration decides, by their names in C. */
const configTypes: Readonly<Record<string, string>> = {
  cpumask_t: "NR_CPUS",
  cpumask_var_t: "NR_CPUS and CPUMASK_OFFSTACK",
  "struct cpumask": "NR_CPUS",
  nodemask_t: "MAX_NUMNODES",
  spinlock_t: "lock debugging and PREEMPT_RT",
  raw_spinlock_t: "lock debugging",
  rwlock_t: "lock debugging and PREEMPT_RT",
  seqlock_t: "lock debugging and PREEMPT_RT",
  "struct mutex": "lock debugging and PREEMPT_RT",
  "struct rw_semaphore": "lock debugging and PREEMPT_RT",
  wait_queue_head_t: "lock debugging",
  "struct completion": "lock debugging",
  local_lock_t: "lock debugging and PREEMPT_RT",
  "struct work_struct": "lock debugging",
  "struct delayed_work": "lock debugging",
  "struct timer_list": "lock debugging",
  "struct lockdep_map": "lock debugging",
  "struct xarray": "lock debugging",
  "struct page": "many options",
  "struct folio": "many options",
  "struct device": "many options",
};

/** Why the size of a type depends on the configuration; undefined if it does not, as far as its name tells. */
function configOf(type: Type): string | undefined {
  const own = type.kind === "structure" && type.name !== "" ? [`struct ${type.name}`] : [];
  const named = [...type.aliases, ...own].find((name) => Object.hasOwn(configTypes, name));
  return named === undefined ? undefined : configTypes[named];
}

/** What is wrong with the structures of one kernel whatever the other one has. */
export function* claimsOf(side: AbiSide): Generator<AbiClaim> {
  const entries = entriesOf(side.kernel);
  for (const [struct, [structure]] of side.source.structures) {
    if (!structure) continue;
    const entry = entries.get(struct);
    for (const { rule, severity, message, path, member } of faultsOf(side, structure, entry))
      yield {
        rule,
        severity,
        struct,
        ...(path !== undefined && { member: path }),
        message,
        sides: [cite(side, structure, entry, member)],
        members: [],
      };
  }
}

function* faultsOf(side: AbiSide, structure: Structure, entry: HandedOver | undefined): Generator<Fault> {
  yield* memberTypes(side, structure);
  if (isPacked(structure)) {
    yield* bitFields(structure);
    yield* strings(structure);
  }
  yield* ownVersion(structure, entry?.compatible);
  yield* pages(entry);
}

/** Pointers and types that the configuration decides, at any depth; what is handed over itself is judged for itself. */
function* memberTypes(side: AbiSide, structure: Structure): Generator<Fault> {
  const enter = (type: Type): boolean =>
    type.kind === "structure" && configOf(type) === undefined && !side.source.structures.has(type.name);
  for (const { path, member } of nestedMembers(structure, enter)) {
    const config = configOf(member.type) ?? configOf(innermost(member.type).inner);
    const { inner } = innermost(member.type);
    if (config !== undefined)
      yield {
        rule: "config-dependent",
        severity: "error",
        message: `the size of ${path} depends on ${config}`,
        path,
        member,
      };
    else if (inner.kind === "pointer")
      yield {
        rule: "kernel-pointer",
        severity: "error",
        message: `${path} is a pointer, which means nothing to the next kernel`,
        path,
        member,
      };
  }
}

/** Runs of bit fields that do not begin and end where their units do. */
function* bitFields({ members }: Structure): Generator<Fault> {
  const runs: Member[][] = [];
  for (const [i, member] of members.entries()) {
    if (!member.bitField) continue;
    const before = members[i - 1];
    if (before?.bitField && before.bit + before.bits === member.bit) runs.at(-1)!.push(member);
    else runs.push([member]);
  }
  for (const run of runs) {
    const [first] = run;
    const last = run.at(-1)!;
    const unit = Math.max(...run.map(({ type }) => type.size * 8));
    const end = last.bit + last.bits;
    const odd = first!.bit % unit !== 0 || end % unit !== 0;
    const across = run.find(({ bit, bits }) => straddles(bit, bits, unit));
    if (!odd && !across) continue;
    const member = across ?? first!;
    yield {
      rule: "packed-bit-field",
      severity: "warning",
      message: `${run.map(({ name, bits }) => `${name}:${bits}`).join(", ")} are bits ${first!.bit} to ${end - 1} of a packed structure and do not fill units of ${unit} bits`,
      path: member.name,
      member,
    };
  }
}

/** Text whose length leaves what follows unaligned: nothing but that length holds it where it is. */
function* strings({ members }: Structure): Generator<Fault> {
  for (const [i, member] of members.entries()) {
    const next = members[i + 1];
    if (!next || next.bitField || !isText(member.type)) continue;
    const align = 8 * alignOf(next.type);
    if (member.bits % align === 0 || next.bit % align === 0) continue;
    yield {
      rule: "string-moves-fields",
      severity: "warning",
      message: `the ${member.bits / 8} bytes of ${member.name} put ${next.name} at offset ${next.bit / 8}, which is no multiple of ${align / 8}: another length of the text moves it`,
      path: member.name,
      member,
    };
  }
}

/** A structure that holds its own version string in just the room that the string needs. */
function* ownVersion({ members }: Structure, compatible: string | undefined): Generator<Fault> {
  if (compatible === undefined) return;
  const member = members.find(({ name, type }) => name === "compatible" && isText(type));
  const next = member && members[members.indexOf(member) + 1];
  if (!member || !next) return;
  const align = alignOf(next.type);
  const room = Math.ceil((compatible.length + 1) / align) * align;
  if (member.bits !== room * 8) return;
  yield {
    rule: "string-moves-fields",
    severity: "info",
    message: `${member.name} has just the ${room} bytes that "${compatible}" needs: a version of more than ${room - 1} characters moves ${next.name} and what follows`,
    path: member.name,
    member,
  };
}

const isText = (type: Type): boolean => /^char\[\d+\]$/.test(shapeOf(type));

/** Structures that fill a page: nothing in a handover says how large a page is. */
function* pages(entry: HandedOver | undefined): Generator<Fault> {
  if (!entry) return;
  const sizes = pageSizes.map((pageSize) =>
    sizeOf(entry.layout, { byteOrder: "little", pageSize } satisfies Abi),
  );
  if (new Set(sizes).size === 1) return;
  yield {
    rule: "config-dependent",
    severity: "info",
    message: `its size follows the page size: ${sizes.join(", ")} bytes with pages of ${pageSizes.join(", ")}; nothing that is handed over says which`,
  };
}
