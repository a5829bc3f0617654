/** What each call of live update does to the model: spec/luo-machine sections 2 to 6 and 9, in their order of steps. */
import { dropIncoming, dropOutgoing, flbsOf } from "./flbs.js";
import { since } from "./releases.js";
import {
  type Model,
  type ModelFile,
  type ModelFlb,
  type ModelInode,
  type ModelOpen,
  type ModelProcess,
  type ModelSession,
  newInode,
  openInode,
  type Saved,
} from "./state.js";

/** `ok`, or the errno. */
export type Result = string;
/** What a command lets go wrong, one thing at most. */
export interface Wrong {
  /** The answer cannot be written. */
  readonly unwritable?: boolean;
  readonly flbPreserve?: string;
  readonly flbRetrieve?: string;
  readonly toyPreserve?: boolean;
}

const recordSizes = { session: 80, file: 64 };
/** Records of one block, since 7.2. */
export const perBlock = ({ pageSize }: Model, what: keyof typeof recordSizes): number =>
  Math.floor((pageSize - 16) / recordSizes[what]);
export const mostSessions = ({ pageSize }: Model): number => Math.floor((16 * pageSize - 8) / 80);
export const mostFiles = ({ pageSize }: Model): number => (2 * pageSize) / 64;

// Descriptors

export function lowestFree({ fds, limit }: ModelProcess): number | undefined {
  for (let fd = 0; fd < limit; fd++) if (!fds.has(fd)) return fd;
  return undefined;
}

export function install(process: ModelProcess, open: ModelOpen): number {
  const fd = lowestFree(process)!;
  process.fds.set(fd, open);
  open.refs++;
  return fd;
}

export function closeFd(model: Model, process: ModelProcess, fd: number): void {
  const open = process.fds.get(fd)!;
  process.fds.delete(fd);
  drop(model, open);
}

/** Ends a process: its descriptors are closed, lowest first. */
export function exit(model: Model, process: ModelProcess): void {
  for (const fd of [...process.fds.keys()].sort((a, b) => a - b)) closeFd(model, process, fd);
}

function drop(model: Model, open: ModelOpen): void {
  if (--open.refs > 0) return;
  if (open.kind === "device") model.deviceOpen = false;
  else if (open.kind === "session") closeSession(model, open.session);
  else open.inode.opens--;
}

// The device

/** `builds` is how many sessions can be built, of a first open that runs out of memory. */
export function openDevice(model: Model, process: ModelProcess, builds = Number.POSITIVE_INFINITY): Result {
  if (lowestFree(process) === undefined) return "EMFILE";
  if (model.deviceOpen) return "EBUSY";
  if (model.opened === "failed") return "EIO";
  if (model.opened === "never") {
    const listed = model.waiting.splice(0, builds);
    model.incoming.push(...listed);
    if (model.waiting.length > 0) {
      model.waiting = [];
      // 6.19 and 7.0 forget it: whoever opens next finds what was built.
      model.opened = since(model.release, "7.1.13") ? "failed" : "done";
      return "EIO";
    }
    model.opened = "done";
    model.received.delete("sessions");
  }
  model.deviceOpen = true;
  install(process, { kind: "device", refs: 0 });
  return "ok";
}

/** The name of a session that is asked for with these 64 bytes; undefined if it is refused. */
function nameOf(model: Model, field: string): string | undefined {
  const end = field.indexOf("\0");
  const text = end < 0 ? field : field.slice(0, end);
  if (!since(model.release, "7.1.13")) return text.slice(0, 63);
  return text.length === 0 || text.length > 63 ? undefined : text;
}

/** A lookup cuts nothing off: a name of 64 bytes is nobody's. */
const wanted = (field: string): string =>
  field.includes("\0") ? field.slice(0, field.indexOf("\0")) : field;

export function createSession(model: Model, process: ModelProcess, field: string, wrong: Wrong): Result {
  if (lowestFree(process) === undefined) return "EMFILE";
  const name = nameOf(model, field);
  if (name === undefined) return "EINVAL";
  const blocks = since(model.release, "7.2.13");
  if (!blocks && model.outgoing.length >= mostSessions(model)) return "ENOMEM";
  // A list that is full grows before the name is looked at.
  if (blocks && model.outgoing.length === model.sessionBlocks * perBlock(model, "session"))
    model.sessionBlocks++;
  if (model.outgoing.some((session) => session.name === name)) return "EEXIST";
  const session: ModelSession = { kind: "outgoing", name, files: [], retrieved: false, label: "" };
  model.outgoing.push(session);
  if (wrong.unwritable) {
    closeSession(model, session);
    return "EFAULT";
  }
  install(process, { kind: "session", session, refs: 0 });
  return "ok";
}

export function retrieveSession(model: Model, process: ModelProcess, field: string, wrong: Wrong): Result {
  if (lowestFree(process) === undefined) return "EMFILE";
  const session = model.incoming.find(({ name }) => name === wanted(field));
  if (!session) return "ENOENT";
  if (session.retrieved) return "EINVAL";
  session.retrieved = true;
  if (wrong.unwritable) {
    closeSession(model, session);
    return "EFAULT";
  }
  install(process, { kind: "session", session, refs: 0 });
  return "ok";
}

// Outgoing files

const identity = (file: ModelFile): object => (file.inode.type === "lone" ? file : file.inode);

export function compatibleOf(model: Model, { inode }: ModelFile): string | undefined {
  if (inode.type === "memfd") return since(model.release, "7.1.13") ? "memfd-v2" : "memfd-v1";
  return inode.type === "toy" || inode.type === "lone" ? `${inode.type}-v1` : undefined;
}

const pagesOf = (size: bigint, { pageSize }: Model): number =>
  Number((size + BigInt(pageSize) - 1n) / BigInt(pageSize));

/** `open` is what the descriptor leads to, if it is open. */
export function preserve(
  model: Model,
  session: ModelSession,
  open: ModelOpen | undefined,
  token: bigint,
  wrong: Wrong,
): Result {
  const { files } = session;
  if (session.kind === "incoming" && since(model.release, "7.1.13")) return "EINVAL";
  if (files.some((held) => held.token === token)) return "EEXIST";
  if (!since(model.release, "7.2.13") && files.length >= mostFiles(model)) return "ENOSPC";
  if (!open) return "EBADF";
  const compatible = open.kind === "file" ? compatibleOf(model, open) : undefined;
  if (open.kind !== "file" || compatible === undefined) return "ENOENT";
  const { inode } = open;
  const tracks = since(model.release, "7.1.13");
  if (tracks && model.identities.has(identity(open))) return "EBUSY";
  const counted: ModelFlb[] = [];
  const uncount = (): void => {
    for (const flb of counted.reverse()) dropOutgoing(model, flb);
  };
  for (const flb of flbsOf(model, compatible)) {
    if (flb.count === 0 && wrong.flbPreserve === flb.name) {
      uncount();
      return "ENODEV";
    }
    if (flb.count === 0) model.events.push(`${flb.name} preserve`);
    flb.count++;
    counted.push(flb);
  }
  const refused = preserveByHandler(model, inode, wrong);
  if (refused) {
    uncount();
    return refused;
  }
  if (tracks) model.identities.add(identity(open));
  open.refs++;
  inode.preserved++;
  files.push({
    token,
    compatible,
    label: "",
    file: open,
    status: "untried",
    seals: inode.seals,
    value: inode.value,
  });
  return wrong.unwritable ? "EFAULT" : "ok";
}

function preserveByHandler(model: Model, inode: ModelInode, wrong: Wrong): Result | undefined {
  if (inode.type !== "memfd") {
    if (wrong.toyPreserve) return "EACCES";
    model.events.push(`preserve ${inode.id}`);
    return undefined;
  }
  const pages = pagesOf(inode.size, model);
  if (pages >= 2 ** 32 && since(model.release, "7.1.13")) return "EFBIG";
  // Sizes here are small, or far beyond what there is memory to pin for.
  if (pages > 2 ** 20) return "ENOMEM";
  inode.frozen = true;
  if (inode.size > 0n) inode.pinned = true;
  return undefined;
}

/** Takes all files of a session back, last one first. */
function unpreserveAll(model: Model, { files }: ModelSession): void {
  for (const { file, compatible } of files.splice(0).reverse()) {
    const { inode } = file!;
    inode.preserved--;
    if (inode.type === "memfd") {
      inode.frozen = false;
      inode.pinned = false;
    } else model.events.push(`unpreserve ${inode.id}`);
    for (const flb of flbsOf(model, compatible).reverse()) dropOutgoing(model, flb);
    model.identities.delete(identity(file!));
    drop(model, file!);
  }
}

// Incoming files

/** `session` may be outgoing before 7.1. Returns the file, too, which a new descriptor is due for. */
export function retrieveFile(
  model: Model,
  process: ModelProcess,
  session: ModelSession,
  token: bigint,
  wrong: Wrong,
): Result {
  if (session.kind === "outgoing" && since(model.release, "7.1.13")) return "EINVAL";
  if (lowestFree(process) === undefined) return "EMFILE";
  const held = session.files.find((file) => file.token === token);
  if (!held) return "ENOENT";
  if (held.errno) return held.errno;
  if (held.status === "untried") {
    const saved = held.saved!;
    if (saved.trait === "broken") {
      model.events.push(`cannot retrieve ${saved.id}`);
      held.status = "failed";
      held.errno = "ERANGE";
      return "ERANGE";
    }
    if (saved.type !== "memfd") model.events.push(`retrieve ${saved.id}`);
    held.file = openInode(rebuilt(model, saved), saved.pos);
    held.file.refs = 1;
    held.status = "retrieved";
    model.received.delete(held.label);
    if (since(model.release, "7.1.13")) model.identities.add(identity(held.file));
  }
  if (wrong.unwritable) return "EFAULT";
  install(process, held.file!);
  return "ok";
}

const [F_SEAL_SEAL, F_SEAL_EXEC] = [1, 0x20];
/** What F_SEAL_EXEC brings along for a file with permission to execute, as retrieved files have it. */
const implied = 0x1e;
export const withImplied = (seals: number, executable: boolean): number =>
  executable && (seals & F_SEAL_EXEC) !== 0 ? seals | implied : seals;

function rebuilt(
  { release }: Model,
  { type, id, trait, order, value, size, pages, seals, folioPages }: Saved,
) {
  return newInode({
    type,
    id,
    trait,
    order,
    value,
    size,
    pages: new Map([...pages].map(([page, bytes]) => [page, bytes.slice()])),
    seals: since(release, "7.1.13") ? withImplied(seals, true) : F_SEAL_SEAL,
    folioPages,
  });
}

export function finish(model: Model, session: ModelSession, reserved: number, wrong: Wrong): Result {
  if (session.kind === "outgoing" && since(model.release, "7.1.13")) return "EINVAL";
  if (reserved !== 0 && since(model.release, "7.2.13")) return "EINVAL";
  const result = finishFiles(model, session);
  return result === "ok" && wrong.unwritable ? "EFAULT" : result;
}

function finishFiles(model: Model, session: ModelSession): Result {
  const { files } = session;
  for (const { saved, status } of files) {
    if (saved?.type === "toy") model.events.push(`can finish ${saved.id} ${status}`);
    if (saved?.trait === "stubborn" && saved.type === "toy" && status !== "retrieved") return "EBUSY";
  }
  for (const { saved, status, compatible, file, label } of files.splice(0).reverse()) {
    if (saved!.type !== "memfd") model.events.push(`finish ${saved!.id} ${status}`);
    // A memfd that could not be retrieved is gone already, and so is what was.
    model.received.delete(label);
    for (const flb of flbsOf(model, compatible).reverse()) dropIncoming(model, flb);
    if (!file) continue;
    model.identities.delete(identity(file));
    drop(model, file);
  }
  model.received.delete(session.label);
  return "ok";
}

export function getName(model: Model, reserved: number, wrong: Wrong): Result {
  if (!since(model.release, "7.2.13") || reserved !== 0) return "EINVAL";
  return wrong.unwritable ? "EFAULT" : "ok";
}

/** The last descriptor of a session is closed. */
function closeSession(model: Model, session: ModelSession): void {
  if (session.kind === "outgoing") {
    unpreserveAll(model, session);
    model.outgoing.splice(model.outgoing.indexOf(session), 1);
    while (
      model.sessionBlocks > 0 &&
      model.outgoing.length <= (model.sessionBlocks - 1) * perBlock(model, "session")
    )
      model.sessionBlocks--;
    return;
  }
  if (finishFiles(model, session) === "ok") model.incoming.splice(model.incoming.indexOf(session), 1);
}
