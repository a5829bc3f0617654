/** What would make a handover cheaper, and by how much: the same model run on the handover as it would be then. */
import { kernelOf } from "../../formats/kernels.js";
import { pageShift } from "../layout/index.js";
import { measuredKernels } from "./constants.js";
import { type MachineFacts, type Model, modelOf } from "./model.js";
import { summed } from "./orders.js";
import { type FileShape, filePages, type Shape, totalsOf } from "./shape.js";
import { placed } from "./shape-from.js";
import { spaceOf } from "./structures.js";

export type AdviceId = "larger-folios" | "compaction" | "release" | "sessions" | "populate" | "scratch";

/** One change and what it does, modelled. */
export interface Advice {
  readonly id: AdviceId;
  /** What to do, for people. */
  readonly what: string;
  /** Why, for people. */
  readonly why: string;
  readonly shape: Shape;
  readonly model: Model;
  /** Instructions that it saves within the blackout, and before it. Below 0: it costs. */
  readonly blackout: number;
  readonly before: number;
}

/** What saves less than this part of all is not worth a line. */
const least = 0.01;
/** Nor is what saves less than this many instructions: a millisecond on a slow machine. */
const leastInstructions = 1_000_000;

/** Changes that save something, those first that shorten the blackout most. */
export function adviceFor(shape: Shape, facts: MachineFacts, model: Model): Advice[] {
  const candidates = [largerFolios(shape), compaction(shape), otherRelease(shape, facts), oneSession(shape)];
  const all = [...candidates, populated(shape), outOfScratch(shape)].flatMap((candidate) => {
    if (!candidate) return [];
    const changed = modelOf(candidate.shape, facts);
    const saved = { blackout: model.blackout - changed.blackout, before: model.before - changed.before };
    return [{ ...candidate, model: changed, ...saved }];
  });
  const worth = (saved: number, of: number): boolean =>
    saved >= leastInstructions && saved >= least * Math.abs(of);
  return all
    .filter(({ blackout, before }) => worth(blackout, model.blackout) || worth(before, model.before))
    .sort((a, b) => b.blackout - a.blackout || b.before - a.before);
}

type Candidate = Pick<Advice, "id" | "what" | "why" | "shape">;

/** Huge pages of 2 MiB, whatever the page size. */
const hugeBytes = 2 ** 21;

function largerFolios(shape: Shape): Candidate | undefined {
  const order = 21 - pageShift({ byteOrder: "little", pageSize: shape.pageSize });
  const { memfds } = totalsOf(shape);
  const changed = mapFiles(shape, (file) => {
    const pages = filePages(file);
    // What is larger already stays as it is.
    const kept = file.folios.filter((folio) => folio.order >= order);
    const rest = pages - file.holes - kept.reduce((sum, folio) => sum + folio.blocks * 2 ** folio.order, 0);
    const large = Math.floor(rest / 2 ** order);
    // What is populated within the call is so in base pages.
    const small = rest - large * 2 ** order + file.holes;
    const moved = file.inScratch.reduce((sum, folio) => sum + folio.blocks * 2 ** folio.order, 0);
    return {
      ...file,
      folios: summed([...kept, { order, blocks: large }, { order: 0, blocks: small }]),
      inScratch: summed([{ order, blocks: Math.min(large, Math.ceil(moved / 2 ** order)) }]),
    };
  });
  const before = totalsOf(shape).folios;
  const after = totalsOf(changed).folios;
  if (memfds === 0 || after >= before) return undefined;
  const runs = Math.min(spaceOf(shape).runs, after);
  return {
    id: "larger-folios",
    what: `${hugeBytes / 2 ** 20}M folios`,
    why: `${after} folios in place of ${before}: huge pages for shmem, or memfds aligned to them`,
    shape: relaid(changed, runs),
  };
}

function compaction(shape: Shape): Candidate | undefined {
  const { memfds, folios } = totalsOf(shape);
  const { runs } = spaceOf(shape);
  if (folios === 0 || runs <= memfds) return undefined;
  const changed = relaid(shape, Math.min(memfds, folios));
  return {
    id: "compaction",
    what: "compact memory",
    why: `${spaceOf(changed).runs} in place of ${runs} physically contiguous runs: compact_memory, or memory set aside at boot`,
    shape: changed,
  };
}

/** Laid out anew in so many runs, or in as few as its files of one order allow. */
function relaid(shape: Shape, runs: number): Shape {
  const counts = new Map<number, number>();
  for (const session of shape.sessions)
    for (const file of session.files)
      for (const { order, blocks } of file.folios)
        counts.set(order, (counts.get(order) ?? 0) + blocks * file.count * session.count);
  // The runs are those of the order that has most of the memory; no other one can have more of them than blocks.
  const main = [...counts].sort((a, b) => b[1] * 2 ** b[0] - a[1] * 2 ** a[0])[0]!;
  return placed(shape, { runs: Math.max(1, Math.min(runs, main[1])) });
}

/** The measured release that takes least, if it can hand this over. */
function otherRelease(shape: Shape, facts: MachineFacts): Candidate | undefined {
  const now = kernelOf(shape.release);
  const others = measuredKernels
    .filter(({ release }) => release !== now.release)
    .map(({ release }) => {
      const changed: Shape = { ...shape, release };
      return { release, changed, model: modelOf(changed, facts) };
    })
    .filter(({ changed }) => spaceOf(changed).impossible.length === 0)
    .sort((a, b) => a.model.blackout - b.model.blackout);
  const best = others[0];
  if (!best) return undefined;
  return {
    id: "release",
    what: `Linux ${best.release}`,
    why: `in place of ${shape.release}, on both sides of the kexec`,
    shape: best.changed,
  };
}

function oneSession(shape: Shape): Candidate | undefined {
  const { sessions, sessionsWithFiles } = totalsOf(shape);
  if (sessions <= 1 || sessionsWithFiles === 0) return undefined;
  const files = shape.sessions.flatMap((session) =>
    session.files.map((file) => ({ ...file, count: file.count * session.count })),
  );
  const merged: Shape = { ...shape, sessions: [{ count: 1, files }] };
  if (spaceOf(merged).impossible.length > 0) return undefined;
  return {
    id: "sessions",
    what: "one session",
    why: `in place of ${sessions}: the first open looks at every pair of them`,
    shape: merged,
  };
}

function populated(shape: Shape): Candidate | undefined {
  const { holes } = totalsOf(shape);
  if (holes === 0) return undefined;
  return {
    id: "populate",
    what: "populate before preserving",
    why: `${holes} pages are allocated and cleared within the call`,
    shape: mapFiles(shape, (file) => ({ ...file, holes: 0 })),
  };
}

function outOfScratch(shape: Shape): Candidate | undefined {
  const { inScratch } = totalsOf(shape);
  if (inScratch === 0) return undefined;
  return {
    id: "scratch",
    what: "keep files out of scratch",
    why: `${inScratch} pages are copied elsewhere within the call: scratch is lent to whatever can be moved`,
    shape: mapFiles(shape, (file) => ({ ...file, inScratch: [] })),
  };
}

const mapFiles = (shape: Shape, change: (file: FileShape) => FileShape): Shape => ({
  ...shape,
  sessions: shape.sessions.map((session) => ({
    ...session,
    files: session.files.map((file) => (file.handler === "memfd" ? change(file) : file)),
  })),
});
