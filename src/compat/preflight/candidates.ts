/** What could be left out of a handover, from all that hangs on a subtree down to a single file. */
import { KHO_METADATA_NODE_NAME } from "../../../formats/kho/metadata.js";
import { LUO_KHO_ENTRY_NAME } from "../../../formats/luo/luo.js";
import { MEMBLOCK_KHO_FDT } from "../../../formats/memblock/memblock.js";
import type { Handover } from "../../handover/index.js";
import type { Fate } from "./judging.js";
import { type PartKind, subtreeKey } from "./parts.js";
import type { Need } from "./policy.js";

/** Something that can be left out as a whole. */
export interface Candidate {
  /** As {@link Dropped} has it. */
  readonly key: string;
  readonly kind: PartKind | "live update" | "regions";
  /** Name of the part; that of the subtree for what is more than one. */
  readonly part: string;
  readonly need: Need;
  /** Of a file. */
  readonly token?: bigint;
  /** What can be left out of it instead. */
  readonly inside: readonly Candidate[];
}

/** Everything that can be left out, what is mandatory first: it is the first to be kept. */
export function candidatesIn({ subtrees, luo, reserveMem }: Handover, fates: readonly Fate[]): Candidate[] {
  const leaf = ({ key, kind, part, need, token }: Fate): Candidate => ({
    key,
    kind,
    part,
    need,
    inside: [],
    ...(token !== undefined && { token }),
  });
  const ofKind = (kind: PartKind): Candidate[] => fates.filter((fate) => fate.kind === kind).map(leaf);
  const files = new Map<string | undefined, Candidate[]>(ofKind("session").map(({ key }) => [key, []]));
  for (const fate of fates) if (fate.kind === "file") files.get(fate.within)?.push(leaf(fate));
  const sessions = ofKind("session").map((session): Candidate => {
    const inside = mandatoryFirst(files.get(session.key)!);
    return { ...session, inside, need: needOfAll([session, ...inside]) };
  });
  const seen = new Set<string>();
  return mandatoryFirst(
    subtrees.map(({ name }, i): Candidate => {
      const key = subtreeKey(i);
      const first = !seen.has(name);
      seen.add(name);
      const whole = (kind: Candidate["kind"], all: readonly Candidate[]): Candidate => {
        const inside = mandatoryFirst(all);
        return { key, kind, part: name, inside, need: needOfAll(inside) };
      };
      if (name === LUO_KHO_ENTRY_NAME && luo && first)
        return whole("live update", [...sessions, ...ofKind("FLB")]);
      if (name === MEMBLOCK_KHO_FDT && reserveMem.length > 0 && first)
        return whole("regions", ofKind("region"));
      const fate = fates.find((candidate) => candidate.key === key);
      if (fate) return leaf(fate);
      const kind = name === KHO_METADATA_NODE_NAME ? "metadata" : "subtree";
      return { key, kind, part: name, need: "optional", inside: [] };
    }),
  );
}

const needOfAll = (all: readonly Candidate[]): Need =>
  all.some(({ need }) => need === "mandatory") ? "mandatory" : "optional";

const mandatoryFirst = (all: readonly Candidate[]): Candidate[] => [
  ...all.filter(({ need }) => need === "mandatory"),
  ...all.filter(({ need }) => need !== "mandatory"),
];
