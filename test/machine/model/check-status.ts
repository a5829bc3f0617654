/** What can be seen through descriptors, and what live update lists, is what the model says. */
import { expect } from "vitest";
import { bytesFromText } from "../../../src/layout/index.js";
import { type File, isMemfdFile, type MemfdFile, read } from "../../../src/machine/index.js";
import type { Held, Model, ModelInode, ModelOpen, ModelSession } from "./state.js";
import { hasLuo } from "./state.js";
import type { ToyInode } from "./toys.js";
import type { World } from "./world.js";

/** Text as the machine has it, as one character per byte. */
export const bytesText = (text: string): string => Buffer.from(bytesFromText(text)).toString("latin1");

/** Descriptors lead where the model's do, and two of them to one open file where the model's do. */
export function checkDescriptors({ processes }: Model, world: World): void {
  const seen = new Map<ModelOpen, File>();
  const back = new Map<File, ModelOpen>();
  for (const [p, { fds }] of processes.entries()) {
    const process = world.processes[p]!;
    expect(process.fds, `descriptors of process ${p}`).toEqual([...fds.keys()].sort((a, b) => a - b));
    for (const [fd, open] of fds) {
      const file = process.file(fd);
      const where = `process ${p}, descriptor ${fd}`;
      if (seen.has(open)) expect(seen.get(open) === file, `${where} is the same open file`).toBe(true);
      else expect(back.has(file), `${where} is another open file`).toBe(false);
      seen.set(open, file);
      back.set(file, open);
      checkOpen(open, file, where, world);
    }
  }
}

function checkOpen(open: ModelOpen, file: File, where: string, { memfds }: World): void {
  const { type } = file.inode;
  if (open.kind === "device") expect(type, where).toBe("/dev/liveupdate");
  else if (open.kind === "session") expect(bytesText(type), where).toBe(`[luo_session] ${open.session.name}`);
  else if (isMemfdFile(file)) {
    const { size, seals, frozenMapping, pins } = file.inode;
    expect({ size, seals, frozen: frozenMapping, pinned: pins > 0, pos: file.pos }, where).toEqual({
      size: open.inode.size,
      seals: open.inode.seals,
      frozen: open.inode.frozen,
      pinned: open.inode.pinned,
      pos: open.pos,
    });
    memfds.set(open.inode, file.inode);
  } else {
    const { number, value } = file.inode as ToyInode;
    expect({ type, number, value }, where).toEqual({
      type: open.inode.type,
      number: open.inode.id,
      value: open.inode.value,
    });
  }
}

/** Both lists of sessions, with their files. */
export function checkSessions(model: Model, { machine }: World): void {
  if (!hasLuo(model)) return;
  for (const kind of ["outgoing", "incoming"] as const)
    expect(
      machine.luo.sessions(kind).map(({ name, retrieved, files }) => ({
        name: bytesText(name),
        retrieved,
        files: files.map(({ compatible, token, status }) => ({ compatible, token, status })),
      })),
      kind,
    ).toEqual(
      model[kind].map(({ name, retrieved, files }: ModelSession) => ({
        name,
        retrieved,
        files: files.map(({ compatible, token, status }: Held) => ({ compatible, token, status })),
      })),
    );
}

/** Files larger than this are empty as far as tests go, and nobody reads them. */
const readable = 2n ** 26n;

/** Bytes of a file as the model has them; undefined if they are too many. */
export function contentOf(
  { size, pages }: { readonly size: bigint; readonly pages: ReadonlyMap<number, Uint8Array> },
  pageSize: number,
): Uint8Array | undefined {
  if (size > readable) return undefined;
  const content = new Uint8Array(Math.ceil(Number(size) / pageSize) * pageSize);
  for (const [page, bytes] of pages) content.set(bytes, page * pageSize);
  return content.subarray(0, Number(size));
}

/** All bytes of a memfd. */
export function checkContent(inode: ModelInode, file: MemfdFile, pageSize: number): void {
  const content = contentOf(inode, pageSize);
  if (!content || inode.type === "hugetlb") return;
  const actual = read(file, content.length, 0n);
  expect(Buffer.compare(actual, content), `bytes of file ${inode.id}`).toBe(0);
}
