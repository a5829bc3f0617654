import { orderCounts, type PreservedMemory, preservedBytes } from "../../formats/kho/preserved.js";
import type { Handover, LiveUpdate, Session, Subtree } from "../handover/index.js";
import type { MemoryRange } from "../memory/index.js";
import { hex } from "../report/hex.js";
import { folioText, ordersText, sealsText, summarise, tokenText } from "./memfd.js";
import type { Style } from "./terminal.js";
import { exactBytes, humanBytes, plural, safeName } from "./text.js";
import { type Branch, cut, leaf } from "./tree.js";

/** A heading of `kho decode` and what is below it. */
export interface Section {
  readonly title: string;
  /** Beside the heading. */
  readonly summary: string;
  readonly branches: readonly Branch[];
  readonly aligns?: Branch["aligns"];
}

/** How sections are drawn: with which style, and up to how many lines; `all` cuts nothing. */
export interface Drawing {
  readonly style: Style;
  readonly all: boolean;
}

/** How many of each are shown without `--all`. */
const shown = {
  scratch: 12,
  subtrees: 24,
  sessions: 6,
  files: 6,
  flbs: 8,
  regions: 16,
  units: 8,
  entries: 8,
};
const limited = (limit: number, { all }: Drawing): number => (all ? Number.POSITIVE_INFINITY : limit);

/** `0x1000-0x1fff`, last byte included, as the kernel's own messages have it. */
export const rangeText = (pa: bigint, bytes: bigint): string =>
  bytes === 0n ? `${hex(pa)}, empty` : `${hex(pa)}-${hex(pa + bytes - 1n)}`;

/** Everything about a handover but its findings, in the order of the chain: scratch first, files last. */
export function sectionsOf(handover: Handover, drawing: Drawing): Section[] {
  const { preserved, luo } = handover;
  return [
    ...scratchSection(handover, drawing),
    preserved
      ? preservedSection(preserved, handover.pageSize)
      : missing("Preserved memory", mapMissing(handover)),
    subtreesSection(handover.subtrees, drawing),
    ...metadataSection(handover),
    ...reserveMemSection(handover, drawing),
    ...khoTestSection(handover),
    ...(luo ? [luoSection(luo, handover, drawing)] : []),
  ];
}

const missing = (title: string, summary: string): Section => ({ title, summary, branches: [] });
const mapMissing = ({ handoff }: Handover): string =>
  handoff.foundBy === "debugfs" || handoff.fdtPa === 0n ? "not in a copied tree" : "no memory map";

function scratchSection({ scratch, handoff }: Handover, drawing: Drawing): Section[] {
  if (scratch.length === 0) {
    const why =
      handoff.recordPa === 0n && handoff.scratchPa === 0n
        ? "unknown: without a hand-off record nothing names the array; --handoff or --meta does"
        : "none";
    return [missing("Scratch", why)];
  }
  const sum = scratch.reduce((bytes, { size }) => bytes + size, 0n);
  const role = (i: number): string => (i === 0 ? "low memory" : i === 1 ? "global" : `per-node ${i - 2}`);
  const draw = ({ pa, size }: MemoryRange, i: number): Branch => ({
    cells: [role(i), rangeText(pa, size), humanBytes(size), `${size} bytes`],
  });
  return [
    {
      title: "Scratch",
      summary: `${plural(scratch.length, "area")}, ${exactBytes(sum)}`,
      branches: cut(scratch, limited(shown.scratch, drawing), draw, (n) => `... and ${n} more areas (--all)`),
      aligns: ["left", "left", "right", "right"],
    },
  ];
}

/** `radix tree at 0x4b4000, 12 pages`. */
export const mapText = ({ kind, rootPa, mapPages }: PreservedMemory): string =>
  `${mapKinds[kind]} at ${hex(rootPa)}, ${plural(mapPages, "page")}`;
const mapKinds = {
  "bitmap-512": "bitmaps of 512 bytes",
  "bitmap-page": "bitmaps of a page",
  radix: "radix tree",
} as const;

function preservedSection(preserved: PreservedMemory, pageSize: number): Section {
  const counts = orderCounts(preserved.runs);
  const blocks = counts.reduce((sum, count) => sum + count.blocks, 0);
  return {
    title: "Preserved memory",
    summary: `${exactBytes(preservedBytes(preserved.runs, pageSize))} in ${plural(blocks, "block")}; ${mapText(preserved)}`,
    branches: counts.map(({ order, blocks: count }) => {
      const bytes = BigInt(count) * 2n ** BigInt(order) * BigInt(pageSize);
      return {
        cells: [
          `order ${order}`,
          `${count}`,
          `of ${humanBytes(2n ** BigInt(order) * BigInt(pageSize))}`,
          humanBytes(bytes),
          `${bytes} bytes`,
        ],
      };
    }),
    aligns: ["left", "right", "left", "right", "right"],
  };
}

const kinds = {
  fdt: "tree",
  luo_ser: "struct luo_ser",
  kho_kexec_metadata: "struct kho_kexec_metadata",
  unknown: "unknown",
} as const;

function subtreesSection(subtrees: readonly Subtree[], drawing: Drawing): Section {
  const draw = ({ name, pa, size, kind, blob }: Subtree): Branch => ({
    cells: [
      drawing.style.name(safeName(name)),
      pa === 0n ? "-" : hex(pa),
      `${size} bytes`,
      blob ? kinds[kind] : drawing.style.warn("not in the capture"),
    ],
  });
  return {
    title: "Subtrees",
    summary: subtrees.length === 0 ? "none" : `${subtrees.length}`,
    branches: cut(
      subtrees,
      limited(shown.subtrees, drawing),
      draw,
      (n) => `... and ${n} more (kho fdt, or --all)`,
    ),
    aligns: ["left", "left", "right"],
  };
}

function metadataSection({ kexecMetadata }: Handover): Section[] {
  if (!kexecMetadata) return [];
  const { version, previousRelease, kexecCount } = kexecMetadata;
  const summary = `written by Linux ${safeName(previousRelease)}, kexec ${kexecCount} since the cold boot, version ${version}`;
  return [{ title: "Kexec metadata", summary, branches: [] }];
}

function reserveMemSection({ reserveMem }: Handover, drawing: Drawing): Section[] {
  if (reserveMem.length === 0) return [];
  const draw = ({ name, start, size }: Handover["reserveMem"][number]): Branch => ({
    cells: [drawing.style.name(safeName(name)), rangeText(start, size), humanBytes(size), `${size} bytes`],
  });
  return [
    {
      title: "reserve_mem",
      summary: plural(reserveMem.length, "region"),
      branches: cut(
        reserveMem,
        limited(shown.regions, drawing),
        draw,
        (n) => `... and ${n} more regions (--all)`,
      ),
      aligns: ["left", "left", "right", "right"],
    },
  ];
}

function khoTestSection({ khoTest }: Handover): Section[] {
  if (!khoTest) return [];
  const { nrFolios, folios, csum, checksum } = khoTest;
  const orders = [...new Set(folios.order)].sort((a, b) => a - b).map((order) => ({ order }));
  const state = {
    right: "the contents add up",
    wrong: "the contents do NOT add up",
    unknown: "not all is in the capture",
  };
  return [
    missing(
      "kho_test",
      `${plural(nrFolios, "folio")} (orders ${ordersText(orders)}), checksum ${hex(csum)}: ${state[checksum]}`,
    ),
  ];
}

/** `60 sessions, 171 files, 22.3 MiB in 1234 folios`. */
export function luoTotals({ sessions }: LiveUpdate, pageSize: number): string {
  let files = 0;
  let size = 0n;
  let folios = 0;
  for (const session of sessions)
    for (const { memfd } of session.files) {
      files++;
      if (!memfd) continue;
      size += memfd.size;
      folios += summarise(memfd, pageSize).folios;
    }
  const memory = folios > 0 ? `, ${humanBytes(size)} in ${plural(folios, "folio")}` : "";
  // Kernels write the sessions in the reboot call: before it there are none to be seen.
  if (sessions.length === 0) return "no sessions, or not written yet";
  return `${plural(sessions.length, "session")}, ${plural(files, "file")}${memory}`;
}

function luoSection(luo: LiveUpdate, handover: Handover, drawing: Drawing): Section {
  const { style } = drawing;
  const { compatible, liveupdateNumber, sessions, flbs } = luo;
  const flb = ({ name, data, count }: LiveUpdate["flbs"][number]): Branch => ({
    cells: [`FLB ${style.name(safeName(name))}`, `data ${hex(data)}`, `count ${count}`],
  });
  const ordinal = `live update ${liveupdateNumber} in a row`;
  return {
    title: "Live update",
    summary: `${safeName(compatible)}, ${ordinal}; ${luoTotals(luo, handover.pageSize)}`,
    branches: [
      ...cut(
        sessions,
        limited(shown.sessions, drawing),
        (session) => sessionBranch(session, handover.pageSize, drawing),
        (n) => style.dim(`... and ${n} more (kho sessions)`),
      ),
      ...cut(flbs, limited(shown.flbs, drawing), flb, (n) => style.dim(`... and ${n} more FLBs (--all)`)),
    ],
  };
}

/** A session's name as it is shown; it may be empty. */
export const sessionName = (name: string): string => (name === "" ? '""' : safeName(name));

function sessionBranch({ name, files, systemd }: Session, pageSize: number, drawing: Drawing): Branch {
  const { style } = drawing;
  const bytes = files.reduce((sum, { memfd }) => sum + (memfd?.size ?? 0n), 0n);
  const count = files.length === 0 ? "no files" : `${plural(files.length, "file")}, ${humanBytes(bytes)}`;
  const text = `${style.name(sessionName(name))}  ${count}`;
  return {
    cells: [text],
    children: [
      ...cut(
        files,
        limited(shown.files, drawing),
        (file) => ({ cells: fileCells(file, pageSize, style) }),
        (n) => style.dim(`... and ${n} more files (kho sessions)`),
      ),
      ...(systemd ? systemdBranches(systemd, drawing) : []),
    ],
    aligns: ["right", "left", "right", "right"],
  };
}

/** Token, handler, size, and what else there is to say of a file. */
function fileCells(
  { token, compatible, data, memfd }: Session["files"][number],
  pageSize: number,
  style: Style,
): string[] {
  const handler = safeName(compatible);
  if (!memfd) return [tokenText({ token }), handler, "", "", `data ${hex(data)}`];
  const seals = sealsText(memfd.seals);
  const facts = [
    folioText(summarise(memfd, pageSize)),
    ...(memfd.pos === 0n ? [] : [`position ${memfd.pos}`]),
    ...(seals === "" ? [] : [`seals ${seals}`]),
    ...(memfd.flags === 0 ? [] : [style.warn(`flags ${hex(memfd.flags)}`)]),
  ];
  return [tokenText({ token }), handler, humanBytes(memfd.size), `${memfd.size} bytes`, facts.join("; ")];
}

/** What systemd keeps in its session: stored files by unit. */
export function systemdBranches(
  { version, kexecsCount, units }: NonNullable<Session["systemd"]>,
  drawing: Drawing,
): Branch[] {
  const { style } = drawing;
  const head = `file descriptor store of systemd, version ${version}${kexecsCount === undefined ? "" : `, kexec ${kexecsCount}`}, ${plural(units.length, "unit")}`;
  type Unit = (typeof units)[number];
  const entry = ({ type, name, token, sessionName }: Unit["fdstore"][number]): Branch => ({
    cells: [
      safeName(name),
      safeName(type),
      token !== undefined
        ? `token ${hex(token)}`
        : sessionName !== undefined
          ? `session ${safeName(sessionName)}`
          : "",
    ],
  });
  const unit = ({ name, fdstore }: Unit): Branch =>
    leaf(
      style.name(safeName(name)),
      cut(fdstore, limited(shown.entries, drawing), entry, (n) => style.dim(`... and ${n} more (--all)`)),
    );
  return [
    leaf(
      head,
      cut(units, limited(shown.units, drawing), unit, (n) => style.dim(`... and ${n} more units (--all)`)),
    ),
  ];
}
