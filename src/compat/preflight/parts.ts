/** The parts of a handover, by the names that verdicts and policies have for them. */
import { KHO_METADATA_NODE_NAME } from "../../../formats/kho/metadata.js";
import { preservedBytes } from "../../../formats/kho/preserved.js";
import { KHO_TEST_FDT } from "../../../formats/kho/test-module.js";
import { LUO_KHO_ENTRY_NAME } from "../../../formats/luo/luo.js";
import { MEMBLOCK_KHO_FDT } from "../../../formats/memblock/memblock.js";
import { pagesOf } from "../../../formats/memfd/folios.js";
import { filePath, flbPath, khoTestPath, sessionPath, subtreePath } from "../../../formats/paths.js";
import type { File, Handover } from "../../handover/index.js";

/** What a part is. */
export type PartKind = "memory map" | "session" | "file" | "FLB" | "region" | "metadata" | "subtree";

/** A part of a handover. */
export interface Part {
  readonly kind: PartKind;
  /** `sessions[vm0]`, as verdicts and policies name it; two parts may have one name. */
  readonly part: string;
  /** The same as the judge has it, which counts the files of what there is. */
  readonly judged: string;
  /** Tells it from every other part. */
  readonly key: string;
  /** Where findings have it: `luo.sessions[2].files[0]`. */
  readonly path: string;
  /** Key of the part that it belongs to: a file's session. */
  readonly within?: string;
  /** Bytes of memory for its contents; absent where only its owner knows. */
  readonly bytes?: bigint;
  /** Name of the handler that a file needs, and the token that user space has for it. */
  readonly handler?: string;
  readonly token?: bigint;
}

/** Subtrees of which there is more to say than that they are there. */
const taken: ReadonlySet<string> = new Set([LUO_KHO_ENTRY_NAME, MEMBLOCK_KHO_FDT, KHO_METADATA_NODE_NAME]);

/** Key of a subtree; that of `kexec-metadata` is also the key of that part. */
export const subtreeKey = (index: number): string => `subtrees[${index}]`;
export const regionKey = (index: number): string => `reserve_mem[${index}]`;

export const subtreePart = (name: string): string => `subtrees[${name}]`;

/** All parts of a handover, sessions first. */
export function partsOf(handover: Handover): Part[] {
  const { luo, reserveMem, subtrees, preserved, pageSize, kexecMetadata } = handover;
  const parts: Part[] = [];
  const add = (part: Omit<Part, "judged">): void => {
    parts.push({ ...part, judged: part.part });
  };
  for (const [s, { name, files }] of (luo?.sessions ?? []).entries()) {
    const session = sessionPath(s);
    const part = `sessions[${name}]`;
    add({ kind: "session", part, key: session, path: session });
    for (const [f, file] of files.entries()) {
      const path = filePath(session, f);
      add({
        kind: "file",
        part: `${part}.files[${f}]`,
        key: path,
        path,
        within: session,
        handler: file.compatible,
        token: file.token,
        ...sized(bytesOf(file, pageSize)),
      });
    }
  }
  for (const [f, { name }] of (luo?.flbs ?? []).entries())
    add({ kind: "FLB", part: `flbs[${name}]`, key: flbPath(f), path: flbPath(f) });
  for (const [r, { name, size }] of reserveMem.entries())
    add({
      kind: "region",
      part: `reserve_mem[${name}]`,
      key: regionKey(r),
      path: `reserve_mem.${name}`,
      bytes: size,
    });
  const seen = new Set<string>();
  for (const [i, { name }] of subtrees.entries()) {
    const place = { key: subtreeKey(i), path: name === KHO_TEST_FDT ? khoTestPath : subtreePath(name) };
    const first = !seen.has(name);
    seen.add(name);
    if (first && name === KHO_METADATA_NODE_NAME && kexecMetadata)
      add({ kind: "metadata", part: "kexec_metadata", ...place });
    else if (!first || !taken.has(name)) add({ kind: "subtree", part: subtreePart(name), ...place });
  }
  const bytes = preserved && preservedBytes(preserved.runs, pageSize);
  add({ kind: "memory map", part: "preserved", key: "preserved", path: "preserved", ...sized(bytes) });
  return parts;
}

const sized = (bytes: bigint | undefined): Pick<Part, "bytes"> => (bytes === undefined ? {} : { bytes });

/** Memory of the folios of a file, in bytes. */
function bytesOf({ memfd }: File, pageSize: number): bigint | undefined {
  if (!memfd) return undefined;
  let pages = 0;
  for (let run = 0; run < memfd.folios.length; run++) pages += pagesOf(memfd.folios, run);
  return BigInt(pages) * BigInt(pageSize);
}
