import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { luoFileSer, luoSessionSer } from "../../formats/luo/layout.js";
import {
  type Decoded,
  type DecodeOptions,
  decodeHandover,
  type Image,
  openImage,
  parseMeta,
} from "../../src/index.js";
import { sizeOf } from "../../src/layout/index.js";
import { Sparse } from "./memory.js";

/** A capture cut down to its structures: a few dozen pages that decode without a finding. */
export interface Capture {
  readonly name: string;
  readonly memory: Sparse;
  readonly image: Image;
  /** How it is opened where the search for the root is not what is tested. */
  readonly options: DecodeOptions;
  /** The undamaged reading. */
  readonly decoded: Decoded;
}

const fixtures = fileURLToPath(new URL("../../fixtures", import.meta.url));
const abi = { byteOrder: "little", pageSize: 4096 } as const;
const sessionSize = BigInt(sizeOf(luoSessionSer, abi));
const fileSize = BigInt(sizeOf(luoFileSer, abi));
const blockHeader = 16n;

/** Opens a fixture of x86 with a copy of the pages of its structures. Contents of files and of test folios are left out. */
export function load(name: string): Capture {
  const full = openImage(`${fixtures}/${name}/core.elf.gz`);
  const meta = parseMeta(readFileSync(`${fixtures}/${name}/meta.json`, "utf8"));
  const options: DecodeOptions = { handoff: meta.setupDataPhys!, release: meta.kernelRelease! };
  const whole = decodeHandover(full, options);
  const memory = new Sparse();
  const copy = (pa: bigint, length: number): void => {
    for (let at = pa - (pa % 4096n); at < pa + BigInt(length); at += 4096n)
      if (full.memory.has(at as never, 4096)) memory.add(at, full.memory.read(at as never, 4096));
  };
  const { handoff } = whole.handover;
  copy(handoff.recordPa, 48);
  copy(handoff.scratchPa, Number(handoff.scratchSize));
  for (const { pa, pages, path } of whole.structures) if (path !== "kho_test.folios") copy(pa, pages * 4096);
  const image: Image = { kind: "elf", memory, arch: "x86_64", byteOrder: "little", findings: [] };
  shorten(memory, whole);
  // Once more, for only what can still be reached.
  const kept = decodeHandover(image, options).structures;
  const wanted = new Set([handoff.recordPa, handoff.scratchPa].map((pa) => Number(pa / 4096n)));
  for (const { pa, pages } of kept) for (let i = 0; i < pages; i++) wanted.add(Number(pa / 4096n) + i);
  const small = new Sparse();
  for (const [frame, bytes] of memory.pages) if (wanted.has(frame)) small.add(BigInt(frame) * 4096n, bytes);
  const reduced: Image = { ...image, memory: small };
  const decoded = decodeHandover(reduced, options);
  small.spent();
  return { name, memory: small, image: reduced, options, decoded };
}

/** Leaves the first few sessions, and of each the first few files, in as many blocks as there were up to three. */
function shorten(memory: Sparse, { handover, structures }: Decoded): void {
  // The third file of one session of 7.1 has a list of several pages.
  const filesInArea = handover.kexecMetadata ? 3 : 2;
  const { luo } = handover;
  if (!luo || luo.sessions.length === 0) return;
  const at = (path: string): bigint | undefined => structures.find((claim) => claim.path === path)?.pa;
  const blocks = (path: string, counts: readonly number[]): number => {
    const list = structures.filter((claim) => claim.path.startsWith(`${path}.blocks[`));
    if (list.length === 0) return 0;
    let total = 0;
    for (const [i, { pa }] of list.slice(0, counts.length).entries()) {
      const count = BigInt(Math.min(counts[i]!, Number(memory.get(pa + 8n))));
      memory.put(pa + 8n, count);
      if (i === counts.length - 1) memory.put(pa, 0n);
      total += Number(count);
    }
    return total;
  };
  const perSession = [2, 1, 1];
  for (const [s, session] of luo.sessions.entries()) {
    const path = `luo.sessions[${s}].files`;
    const inBlocks = blocks(path, perSession);
    const count = BigInt(inBlocks || Math.min(filesInArea, session.files.length));
    memory.put(session.pa + sessionSize - 8n, count);
  }
  blocks("luo.sessions", [5, 1]);
  const area = at("luo.sessions");
  if (area !== undefined) memory.put(area, BigInt(Math.min(5, luo.sessions.length)));
}

/** Sizes of the records that follow each other, and of the head of a block. */
export const sizes = {
  session: Number(sessionSize),
  file: Number(fileSize),
  blockHeader: Number(blockHeader),
};

/** One capture of every generation of the formats. */
export const names = ["7.3-memfd", "7.3-resmem", "7.1.13-memfd", "6.19.10-memfd", "6.18.15-resmem"] as const;
