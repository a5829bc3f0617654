import { kernels } from "../../../formats/kernels.js";
import type { Handover } from "../../handover/index.js";
import {
  errnoOf,
  type File,
  type FileHandler,
  type Inode,
  type Machine,
  openFile,
} from "../../machine/index.js";
import { isKhoError } from "../../report/error.js";

/** A file of a kind that nobody here can read: what was handed over is one number. */
interface OpaqueInode extends Inode {
  readonly data: bigint;
}

/** True for the name of a handler that no release here brings. */
export const isOpaque = (compatible: string): boolean => !kernels.some(({ memfd }) => memfd === compatible);

/** What was handed over of an opaque file; undefined for a file of another kind. */
export const opaqueData = ({ inode }: File): bigint | undefined =>
  "data" in inode ? (inode as OpaqueInode).data : undefined;

/**
 * Gives the kernel handlers of the names that are not known: a driver may bring them, and nothing here says which, unless
 * `handlers` does.
 */
export function registerOpaque(
  machine: Machine,
  { luo }: Handover,
  handlers: ReadonlySet<string> | undefined,
): void {
  const names = new Set(luo?.sessions.flatMap(({ files }) => files.map(({ compatible }) => compatible)));
  for (const compatible of names) {
    if (!isOpaque(compatible) || (handlers && !handlers.has(compatible))) continue;
    try {
      machine.registerFileHandler(handler(compatible));
    } catch (error) {
      // No driver has a name like that; what this means shows when the file is looked at.
      if (!isKhoError(error, "machine-misuse") && errnoOf(error) === undefined) throw error;
    }
  }
}

const handler = (compatible: string): FileHandler => ({
  compatible,
  canPreserve: () => false,
  preserve: () => ({ data: 0n, state: undefined }),
  unpreserve: () => {},
  retrieve(data) {
    const inode: OpaqueInode = { type: compatible, opens: 0, release: () => {}, data };
    return openFile(inode);
  },
  finish: () => {},
});
