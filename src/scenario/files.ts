/** Memfds of a scenario: made from their description, and held against it later. */

import type { ScenarioFile } from "../gen/kho/v1/scenario_pb.js";
import { bytesFromText } from "../layout/index.js";
import {
  addSeals,
  fillPattern,
  getSeals,
  isMemfdFile,
  type Machine,
  type MemfdFile,
  type Process,
  patternBytes,
  read,
  seek,
  write,
} from "../machine/index.js";

/** A file as it was preserved: what the next kernel has to give back. */
export interface Wanted {
  readonly token: bigint;
  readonly size: bigint;
  readonly pos: bigint;
  readonly seals: number;
  readonly pattern: readonly { readonly index: number; readonly count: number; readonly words: number }[];
  readonly text: string;
}

/** Contents of up to this many bytes are compared from end to end; of larger files the pages that were written. */
const whole = 64 * 2 ** 20;

const wordsOf = (words: number, pageSize: number): number =>
  words === 0 ? pageSize / 8 : Math.min(words, pageSize / 8);

function sameBytes(some: Uint8Array, others: Uint8Array): boolean {
  if (some.length !== others.length) return false;
  for (let i = 0; i < some.length; i++) if (some[i] !== others[i]) return false;
  return true;
}

/** Makes the memfd that a description asks for, in `owner`'s hands. */
export function makeFile(
  machine: Machine,
  owner: Process,
  file: ScenarioFile,
  token: bigint,
): { file: MemfdFile; wanted: Wanted } {
  const { pageSize } = machine.hardware.abi;
  const text = bytesFromText(file.text);
  const size = file.size === 0n ? BigInt(text.length) : file.size;
  const pages = Math.ceil(Number(size) / pageSize);
  const memfd = machine.memfd(
    { name: `0x${token.toString(16)}`, size, allowSealing: true, folioOrder: file.folioOrder },
    owner,
  );
  const pattern = file.pattern.map(({ index, count, words }) => ({
    index: Number(index),
    count: count === 0n ? pages - Number(index) : Number(count),
    words: wordsOf(words, pageSize),
  }));
  if (text.length > 0) write(memfd, text, 0n);
  fillPattern(memfd, token, pattern);
  if (file.pos !== 0n) seek(memfd, file.pos);
  if (file.seals !== 0) addSeals(memfd, file.seals);
  return {
    file: memfd,
    wanted: { token, size, pos: file.pos, seals: getSeals(memfd), pattern, text: file.text },
  };
}

/** What of a retrieved file differs from what was preserved, in words; undefined if nothing does. */
export function differenceOf(
  machine: Machine,
  file: Parameters<typeof isMemfdFile>[0],
  wanted: Wanted,
): string | undefined {
  if (!isMemfdFile(file)) return `it is of type ${file.inode.type}`;
  const { pageSize } = machine.hardware.abi;
  if (file.inode.size !== wanted.size) return `it has ${file.inode.size} bytes instead of ${wanted.size}`;
  if (file.pos !== wanted.pos) return `its position is ${file.pos} instead of ${wanted.pos}`;
  // memfd-v1 carries no seals: its files come back with F_SEAL_SEAL.
  const seals = machine.kernel.memfd === "memfd-v1" ? 1 : wanted.seals;
  if (getSeals(file) !== seals)
    return `its seals are 0x${getSeals(file).toString(16)} instead of 0x${seals.toString(16)}`;
  const pages = Math.ceil(Number(wanted.size) / pageSize);
  const text = bytesFromText(wanted.text);
  const expected = (page: number): Uint8Array => {
    const length = Math.min(pageSize, Number(wanted.size) - page * pageSize);
    const bytes = new Uint8Array(length);
    bytes.set(text.subarray(page * pageSize, page * pageSize + length));
    for (const { index, count, words } of wanted.pattern)
      if (page >= index && page < index + count)
        bytes.set(patternBytes(wanted.token, page, Math.min(words * 8, length)));
    return bytes;
  };
  const differs = (page: number): boolean => {
    const bytes = read(file, pageSize, BigInt(page) * BigInt(pageSize));
    const right = expected(page);
    return !sameBytes(bytes, right);
  };
  const ranges =
    wanted.size <= BigInt(whole)
      ? [{ index: 0, count: pages }]
      : [{ index: 0, count: 1 }, ...wanted.pattern, { index: pages - 1, count: 1 }];
  for (const { index, count } of ranges)
    for (let page = index; page < Math.min(index + count, pages); page++)
      if (differs(page)) return `page ${page} has another content`;
  return undefined;
}
