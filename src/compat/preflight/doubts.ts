/** What a verdict that was found by execution does not count in: what the image says otherwise, and what nobody can know. */
import { kernelOf } from "../../../formats/kernels.js";
import { KHO_METADATA_NODE_NAME } from "../../../formats/kho/metadata.js";
import { KHO_TEST_FDT } from "../../../formats/kho/test-module.js";
import { isOpaque } from "../parts/opaque.js";
import type { Verdict } from "../verdict.js";
import type { FateKind, Judging } from "./judging.js";
import { type Part, subtreePart } from "./parts.js";
import type { Receiver } from "./receiver.js";

/** What is to be said instead of a verdict. */
export interface Doubt {
  readonly verdict: FateKind;
  readonly detail: string;
}

/** Verdicts that a doubt can only make worse. */
const good: ReadonlySet<FateKind> = new Set(["works", "lossy", "not-applicable"]);

/**
 * Tells what stands against a verdict of a part; undefined if nothing does. `from` is the release that wrote the handover;
 * `without` judges the same for a kernel that has no handlers but those of its release.
 */
export function newDoubts(
  from: string,
  { receiver, absent }: Judging,
  without: () => Verdict,
): (part: Part, verdict: FateKind) => Doubt | undefined {
  const unknown = (detail: string): Doubt => ({ verdict: "unknown", detail });
  return (part, verdict) => {
    const lacking = absent.get(part.path);
    if (lacking !== undefined) return unknown(lacking);
    if (!good.has(verdict)) return undefined;
    const difference = receiver.differences.find(({ compatible }) => concerns(compatible, part));
    if (difference) return unknown(`not promised: ${difference.text}`);
    if (part.handler !== undefined) {
      const text = handlerDoubt(part.handler, receiver, without);
      if (text !== undefined) return unknown(text);
    }
    if (part.kind !== "subtree") return undefined;
    if (part.part !== subtreePart(KHO_TEST_FDT))
      return unknown(`nothing tells whether Linux ${receiver.release} has code that reads it`);
    // The module's list is a vmalloc area where there are any, and lies in the tree itself where there are none.
    if (kernelOf(from).vmalloc === kernelOf(receiver.release).vmalloc) return undefined;
    return {
      verdict: "lossy",
      detail: `the test module of Linux ${receiver.release} has another form of list, and reports a failed restore`,
    };
  };
}

/** A path and those of all that it is in: `a.b[2].c`, `a.b[2]`, `a.b`, `a`. */
export function pathsAbove(path: string): string[] {
  const above = [path];
  for (let end = path.length - 1; end > 0; end--)
    if (path[end] === "." || path[end] === "[") above.push(path.slice(0, end));
  return above;
}

/** True if structures of a format's version are ones that a part is made of. The root and the map carry everything. */
function concerns(compatible: string, { kind, handler }: Part): boolean {
  if (compatible === "" || compatible.startsWith("kho-")) return true;
  if (compatible.startsWith("luo-")) return kind === "session" || kind === "file" || kind === "FLB";
  if (compatible.startsWith(KHO_METADATA_NODE_NAME)) return kind === "metadata";
  return compatible === handler;
}

/** What is not known of a file's handler; undefined if the kernel has it. */
function handlerDoubt(
  name: string,
  { release, handlers }: Receiver,
  without: () => Verdict,
): string | undefined {
  if (handlers) return handlers.has(name) ? undefined : `not promised: the image lists no handler ${name}`;
  if (!isOpaque(name)) return undefined;
  const { verdict, detail } = without();
  const otherwise = verdict === "works" ? "" : `; without one ${verdict}: ${detail}`;
  return `nothing tells whether Linux ${release} has a handler ${name}${otherwise}`;
}
