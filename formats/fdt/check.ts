import { isKhoError } from "../../src/report/error.js";
import { type FdtProblem, problem, shown } from "./problem.js";
import { type FdtReadOptions, readFdt } from "./read.js";
import type { FdtNode } from "./tree.js";

/**
 * Everything that is wrong in a blob, in the order of discovery; none of severity `error` means that it is valid,
 * and that the kernel's parser takes it. A fault can have others in its wake.
 *
 * Stricter than the kernel's parser in what the specification forbids and the parser lets pass: properties outside
 * of the root node or behind a subnode, a blob without a root node, versions before 16, and in version 16 a property
 * name behind the strings block. Nesting and size are limited as in {@link readFdt}. Two siblings, or two properties of a node, with the same name are a `warning`: the
 * kernel finds the first only.
 */
export function checkFdt(
  bytes: Uint8Array,
  limits: Pick<FdtReadOptions, "maxNodes" | "maxDepth"> = {},
): FdtProblem[] {
  const problems: FdtProblem[] = [];
  try {
    const { root } = readFdt(bytes, { ...limits, lenient: true, report: (found) => problems.push(found) });
    addDuplicates(root, problems);
  } catch (error) {
    // Reported before it was thrown.
    if (!isKhoError(error)) throw error;
  }
  return problems;
}

function addDuplicates(root: FdtNode, problems: FdtProblem[]): void {
  const rest = [root];
  for (let node = rest.pop(); node; node = rest.pop()) {
    const about = (kind: string) => (again: { name: string; offset: number }) =>
      problems.push(
        problem("warning", "fdt-bad-structure", again.offset, 0, `a second ${kind} ${shown(again.name)}`),
      );
    repeated(node.properties, about("property"));
    repeated(node.children, about("node"));
    for (let i = node.children.length - 1; i >= 0; i--) rest.push(node.children[i]!);
  }
}

/** The format sets no limit to names, the specification one of 31. Longer ones than this cost too much to compare. */
const longestCompared = 255;

/** Calls `each` for all that have the name of one before them. A name that could not be read is no name. */
function repeated<T extends { name: string }>(list: readonly T[], each: (again: T) => void): void {
  if (list.length < 2) return;
  const names = new Set<string>();
  for (const item of list) {
    const { name } = item;
    if (name === "" || name.length > longestCompared) continue;
    if (names.has(name)) each(item);
    else names.add(name);
  }
}
