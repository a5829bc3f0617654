/** What the parts of a kernel get of a handover that was received. */
import type { KexecMetadata } from "../../formats/kho/metadata.js";
import type { ReserveMem } from "../../formats/memblock/memblock.js";
import { filesPath, sessionPath, sessionsPath } from "../../formats/paths.js";
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
  const spoilt = later
    .filter(({ code, severity }) => code === "reserve-mem-malformed" && severity === "error")
    .map(({ path }) => path);
  const regions = new Map<string, ReserveMem>();
  // A root of another version spoils them all.
  if (spoilt.includes("reserve_mem.compatible")) return regions;
  for (const region of handover.reserveMem) {
    const at = `reserve_mem.${region.name}`;
    const usable = !spoilt.some((path) => path === at || path.startsWith(`${at}.`));
    // Of two nodes of one name the first is found.
    if (usable && !regions.has(region.name)) regions.set(region.name, region);
  }
  return regions;
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
  const lists = blocksByList(structures, BigInt(handover.pageSize));
  const carrying = (path: string): readonly PhysAddr[] => lists.get(path) ?? [];
  /** What is wrong with each session, and under no name what is wrong with all of them; the first fault counts. */
  const faults = new Map<string | undefined, IncomingFault>();
  for (const finding of later) {
    const { code, path, consequence } = finding;
    if (consequence?.phase !== "open" || !consequence.all || leftToLuo.has(code)) continue;
    const session = sessionOf(path);
    if (!faults.has(session)) faults.set(session, faultOf(finding));
  }
  const faultIn = (session?: string): { readonly fault?: IncomingFault } => {
    const fault = faults.get(session);
    return fault ? { fault } : {};
  };
  const noFlbs = later.some(({ code }) => code === "flb-missing");
  return {
    number: luo.liveupdateNumber,
    sessions: luo.sessions.map(({ name, files }, i) => ({
      name,
      files,
      carrying: carrying(filesPath(sessionPath(i))),
      ...faultIn(sessionPath(i)),
    })),
    ...faultIn(),
    ...(!noFlbs && { flbs: luo.flbs }),
    carrying: carrying(sessionsPath),
  };
}

/** The session that a path leads to or into. */
const sessionOf = (path: string): string | undefined =>
  path.startsWith(`${sessionsPath}[`) ? path.slice(0, path.indexOf("]") + 1) : undefined;

/** First bytes of the blocks that hold records, by the path of their list. */
function blocksByList(structures: Received["structures"], pageSize: bigint): Map<string, PhysAddr[]> {
  const lists = new Map<string, PhysAddr[]>();
  for (const { path, pa, pages, keeping } of structures) {
    const list = path.replace(/\.blocks\[\d+\]$/, "");
    if (list !== sessionsPath && list !== filesPath(sessionOf(list) ?? "")) continue;
    const blocks = lists.get(list) ?? [];
    // Adjacent order-0 pages of one path are one claim, each a block of its own.
    for (let i = 0; i < (keeping === 0 ? pages : 1); i++)
      blocks.push((pa + BigInt(i) * pageSize) as PhysAddr);
    lists.set(list, blocks);
  }
  return lists;
}

function faultOf({ message, consequence }: Finding): IncomingFault {
  const errno = consequence?.errno;
  return { detail: message, ...(errno !== undefined && errno in errnos && { errno: errno as Errno }) };
}
