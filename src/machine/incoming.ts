/** What the parts of a kernel get of a handover that was received. */
import { type KexecMetadata, KHO_METADATA_NODE_NAME } from "../../formats/kho/metadata.js";
import { MEMBLOCK_KHO_FDT, type ReserveMem } from "../../formats/memblock/memblock.js";
import { filesPath, flbsPath, sessionPath, sessionsPath, subtreePath } from "../../formats/paths.js";
import type { PhysAddr } from "../memory/index.js";
import type { Code } from "../report/codes.js";
import type { Finding } from "../report/finding.js";
import { type Errno, errnos } from "./errno.js";
import type { IncomingLuo, IncomingSessionFault } from "./luo/incoming.js";
import type { Reception } from "./receive.js";

type Received = Extract<Reception, { kind: "received" }>;

/** The nodes of the root tree, as `kho_retrieve_subtree` finds them. */
export function incomingSubtrees({ handover, later }: Received): Map<string, Errno | Node> {
  const nodes = new Map<string, Errno | Node>();
  // Of two nodes of one name the first is found.
  for (const { name, pa, size } of handover.subtrees)
    if (!nodes.has(name)) nodes.set(name, isMalformed(later, name) ? "EINVAL" : { pa, size });
  return nodes;
}

/** True if the node of a subtree lacks a property, be it one that the subtree's reader does not look at. */
const isMalformed = (findings: readonly Finding[], subtree: string): boolean =>
  findings.some(
    ({ code, path }) =>
      (code === "property-missing" || code === "property-bad-length") &&
      path.startsWith(`${subtreePath(subtree)}.`),
  );

interface Node {
  readonly pa: PhysAddr;
  readonly size: bigint | undefined;
}

/** The regions that can be revived. */
export function incomingRegions({ handover, later }: Received): Map<string, ReserveMem> {
  if (isMalformed(later, MEMBLOCK_KHO_FDT)) return new Map();
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
export const incomingMetadata = ({ handover, later }: Received): KexecMetadata | undefined =>
  isMalformed(later, KHO_METADATA_NODE_NAME) ? undefined : handover.kexecMetadata;

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
  const faults = new Map<string | undefined, IncomingSessionFault>();
  const warnings = new Map<string | undefined, string>();
  for (const finding of later) {
    const { code, path, severity, message, consequence } = finding;
    if (code === "file-count" && severity === "warning") warnings.set(sessionOf(path), message);
    if (consequence?.phase !== "open" || !consequence.all || leftToLuo.has(code)) continue;
    const session = sessionOf(path);
    if (!faults.has(session)) faults.set(session, faultOf(finding));
  }
  const faultIn = (session?: string): { readonly fault?: IncomingSessionFault } => {
    const fault = faults.get(session);
    return fault ? { fault } : {};
  };
  const flbFault = later.find(
    ({ path, consequence }) =>
      consequence?.outcome === "panic" && (path === flbsPath || path.startsWith(`${flbsPath}.`)),
  );
  const warningIn = (session: string): { readonly warning?: string } => {
    const warning = warnings.get(session);
    return warning === undefined ? {} : { warning };
  };
  const noFlbs = later.some(({ code }) => code === "flb-missing");
  return {
    number: luo.liveupdateNumber,
    sessions: luo.sessions.map(({ name, files }, i) => ({
      name,
      files,
      carrying: carrying(filesPath(sessionPath(i))),
      ...faultIn(sessionPath(i)),
      ...warningIn(sessionPath(i)),
    })),
    ...faultIn(),
    ...(!noFlbs && { flbs: luo.flbs }),
    ...(flbFault && { flbFault: faultOf(flbFault) }),
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

function faultOf({ code, message, consequence }: Finding): IncomingSessionFault {
  const errno = consequence?.errno;
  return {
    detail: message,
    ofList: ofLists.has(code),
    ...(errno !== undefined && errno in errnos && { errno: errno as Errno }),
  };
}

/** Faults of a list of blocks itself. */
const ofLists: ReadonlySet<Code> = new Set([
  "block-bad-count",
  "block-list-cycle",
  "block-list-too-long",
  "memory-absent",
]);
