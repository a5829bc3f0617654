/** What the parts of a kernel get of a handover that was received. */
import type { KexecMetadata } from "../../formats/kho/metadata.js";
import type { ReserveMem } from "../../formats/memblock/memblock.js";
import type { PhysAddr } from "../memory/index.js";
import type { Code } from "../report/codes.js";
import type { Finding } from "../report/finding.js";
import { type Errno, errnos } from "./errno.js";
import type { IncomingFault, IncomingLuo } from "./luo/incoming.js";
import type { Reception } from "./receive.js";

type Received = Extract<Reception, { kind: "received" }>;

/** The nodes of the root tree, as `kho_retrieve_subtree` finds them. */
export function incomingSubtrees({ handover, later }: Received): Map<string, Errno | Node> {
  const nodes = new Map<string, Errno | Node>();
  for (const { name, pa, size } of handover.subtrees) {
    const malformed = later.some(
      ({ code, path }) =>
        (code === "property-missing" || code === "property-bad-length") &&
        path.startsWith(`subtrees.${name}.`),
    );
    // Of two nodes of one name the first is found.
    if (!nodes.has(name)) nodes.set(name, malformed ? "EINVAL" : { pa, size });
  }
  return nodes;
}

interface Node {
  readonly pa: PhysAddr;
  readonly size: bigint | undefined;
}

/** The regions that can be revived. */
export function incomingRegions({ handover, later }: Received): Map<string, ReserveMem> {
  const spoilt = new Set(
    later
      .filter(({ code, severity }) => code === "reserve-mem-malformed" && severity === "error")
      .map(({ path }) => path),
  );
  // A root of another version spoils them all.
  if (spoilt.has("reserve_mem.compatible")) return new Map();
  return new Map(
    handover.reserveMem
      .filter(({ name }) => ![...spoilt].some((path) => path.startsWith(`reserve_mem.${name}`)))
      .map((region) => [region.name, region]),
  );
}

/** What the previous kernel says of itself. */
export const incomingMetadata = ({ handover }: Received): KexecMetadata | undefined => handover.kexecMetadata;

/** What live update finds out by itself, from the handlers that are registered and the names it has seen. */
const leftToLuo: ReadonlySet<Code> = new Set([
  "file-unknown-handler",
  "string-empty",
  "string-unterminated",
  "session-duplicate",
]);

/** Live-update state; undefined if there is none that this release would look at. */
export function incomingLuo({ handover, structures, later }: Received): IncomingLuo | undefined {
  const { luo } = handover;
  if (!luo) return undefined;
  const carrying = (path: string): PhysAddr[] =>
    structures
      .filter((claim) => claim.path === path || claim.path.startsWith(`${path}.blocks[`))
      .flatMap(pagesOf);
  const pagesOf = ({ pa, pages, keeping }: Received["structures"][number]): PhysAddr[] => {
    // Adjacent order-0 pages of one list are one claim, each a block of its own.
    if (keeping !== 0) return [pa];
    const pageSize = BigInt(handover.pageSize);
    return Array.from({ length: pages }, (_, i) => (pa + BigInt(i) * pageSize) as PhysAddr);
  };
  const faults = later.filter(
    ({ code, consequence }) => consequence?.phase === "open" && consequence.all && !leftToLuo.has(code),
  );
  const faultIn = (belongs: (path: string) => boolean): { readonly fault?: IncomingFault } => {
    const found = faults.find(({ path }) => belongs(path));
    return found ? { fault: faultOf(found) } : {};
  };
  const sessionPath = /^luo\.sessions\[\d+\]/;
  const noFlbs = later.some(({ code }) => code === "flb-missing");
  return {
    number: luo.liveupdateNumber,
    sessions: luo.sessions.map((session, i) => ({
      name: session.name,
      files: session.files,
      carrying: carrying(`luo.sessions[${i}].files`),
      ...faultIn((path) => path === `luo.sessions[${i}]` || path.startsWith(`luo.sessions[${i}].`)),
    })),
    ...faultIn((path) => !sessionPath.test(path)),
    ...(!noFlbs && { flbs: luo.flbs }),
    carrying: carrying("luo.sessions"),
  };
}

function faultOf({ message, consequence }: Finding): IncomingFault {
  const errno = consequence?.errno;
  return { detail: message, ...(errno !== undefined && errno in errnos && { errno: errno as Errno }) };
}
