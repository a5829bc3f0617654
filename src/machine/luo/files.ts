import { isAtLeast } from "../../../formats/kernels.js";
import type { PhysAddr } from "../../memory/index.js";
import { errnoOf, refusal } from "../errno.js";
import { type File, getFile, type KernelCore, pageOf, putFile } from "../kernel.js";
import { finishFlbs, preserveFlbs, unpreserveFlbs } from "./flb.js";
import type { FileSet, LuoState, RegisteredHandler, Session, SessionFile } from "./state.js";
import { newFileStore } from "./store.js";

/** A set without files. */
export const newFileSet = (core: KernelCore, carrying: readonly PhysAddr[] = []): FileSet => ({
  files: [],
  byToken: new Map(),
  store: newFileStore(core),
  carrying: [...carrying],
});

/** Adds a file behind the others; of a token that occurs twice the first file is found. */
export function addFile({ files, byToken }: FileSet, file: SessionFile): void {
  files.push(file);
  if (!byToken.has(file.token)) byToken.set(file.token, file);
}

/** What makes two files one for live update. */
const identityOf = ({ handler }: RegisteredHandler, file: File): unknown => handler.getId?.(file) ?? file;

/** Releases before 7.1 preserve a file as often as they are asked to. */
const tracksIdentities = ({ core }: LuoState): boolean => isAtLeast(core.kernel, "7.1");

/**
 * Preserves one file; `open` looks it up. The order of the steps decides which errno wins, and each failure undoes the
 * steps before it in reverse.
 */
export function preserveFile(luo: LuoState, set: FileSet, token: bigint, open: () => File): void {
  const { core } = luo;
  if (set.byToken.has(token)) throw refusal("EEXIST", `the session has a file with the token ${token}`);
  const undo: (() => void)[] = [];
  const trim = () => set.store.trim(set.files.length);
  try {
    set.store.reserve(set.files.length);
    undo.push(trim);
    const file = getFile(open());
    undo.push(() => putFile(file));
    if (set.files.length === 0) set.store.allocate();
    undo.push(trim);
    const by = luo.handlers.find(({ handler }) => handler.canPreserve(file, core));
    if (!by) throw refusal("ENOENT", `no handler takes this file of type ${file.inode.type}`);
    if (tracksIdentities(luo)) {
      const identity = identityOf(by, file);
      if (luo.identities.has(identity)) throw refusal("EBUSY", "the file is preserved already");
      luo.identities.add(identity);
      undo.push(() => luo.identities.delete(identity));
    }
    preserveFlbs(luo, by);
    undo.push(() => unpreserveFlbs(luo, by));
    const session = { has: ({ inode }: File) => set.files.some((held) => held.file?.inode === inode) };
    addFile(set, { by, token, file, status: "untried", ...by.handler.preserve(file, core, session) });
  } catch (error) {
    for (const step of undo.reverse()) step();
    throw error;
  }
}

/** Takes everything back, last file first. */
export function unpreserveFiles(luo: LuoState, set: FileSet): void {
  for (const { by, file, data, state } of set.files.toReversed()) {
    by.handler.unpreserve(file!, { data, state }, luo.core);
    unpreserveFlbs(luo, by);
    letGo(luo, by, file);
  }
  empty(set);
  set.store.trim(0);
}

/** Ends what keeps an open file from being preserved again, and from going away. */
function letGo({ identities }: LuoState, by: RegisteredHandler, file: File | undefined): void {
  if (!file) return;
  identities.delete(identityOf(by, file));
  putFile(file);
}

function empty({ files, byToken }: FileSet): void {
  files.length = 0;
  byToken.clear();
}

/**
 * Last change to each file before the jump, first file first, and the records of all. If one fails, those before it are
 * unfrozen, first file first, too; the one that failed is not.
 */
export function freezeFiles({ core }: LuoState, { name, set }: Session): void {
  for (const [i, held] of set.files.entries())
    try {
      const errno = core.faults.freeze?.(name, held.token);
      if (errno !== undefined) throw refusal(errno, "a fault that was asked for");
      const { by, file, data, state } = held;
      if (by.handler.freeze) held.data = by.handler.freeze(file!, { data, state }, core);
    } catch (error) {
      unfreeze(core, set.files.slice(0, i));
      set.store.clear();
      throw error;
    }
  set.store.write(
    set.files.map(({ by, data, token }) => ({ compatible: by.handler.compatible, data, token })),
  );
}

/** Takes freezing back, of all files, first file first. */
export function unfreezeFiles({ core }: LuoState, { files, store }: FileSet): void {
  unfreeze(core, files);
  store.clear();
}

function unfreeze(core: KernelCore, files: readonly SessionFile[]): void {
  for (const { by, file, data, state } of files) by.handler.unfreeze?.(file!, { data, state }, core);
}

/** The file of a token, with one more reference. A file is built once; a failure to do so is final. */
export function retrieveFile(luo: LuoState, { byToken }: FileSet, token: bigint): File {
  const held = byToken.get(token);
  if (!held) throw refusal("ENOENT", `the session has no file with the token ${token}`);
  if (held.errno) throw refusal(held.errno, "the file could not be retrieved before");
  if (held.status !== "retrieved") {
    try {
      held.file = held.by.handler.retrieve(held.data, luo.core);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== undefined) Object.assign(held, { status: "failed", errno });
      throw error;
    }
    held.status = "retrieved";
    if (tracksIdentities(luo)) luo.identities.add(identityOf(held.by, held.file));
  }
  return getFile(held.file!);
}

/** Ends the files' way from the previous kernel: what was not retrieved is lost. All handlers must agree first. */
export function finishFiles(luo: LuoState, set: FileSet): void {
  const { core } = luo;
  for (const { by, data, status, token } of set.files)
    if (by.handler.canFinish?.(data, status, core) === false)
      throw refusal("EBUSY", `the file with the token ${token} cannot be finished yet`);
  for (const { by, data, status, file } of set.files.toReversed()) {
    by.handler.finish(data, status, core);
    finishFlbs(luo, by);
    letGo(luo, by, file);
  }
  empty(set);
  freeCarrying(core, set.carrying.splice(0));
}

/** Frees blocks that the previous kernel's records came in. */
export function freeCarrying({ abi, kho, pages }: KernelCore, carrying: readonly PhysAddr[]): void {
  for (const pa of carrying) {
    const pfn = pageOf(pa, abi);
    const order = kho.restoreFolio(pfn, "received luo");
    if (order >= 0) pages.free(pfn, order);
  }
}
