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
  const about = (kind: string) => (again: { name: string; offset: number }) =>
    problems.push(
      problem("warning", "fdt-bad-structure", again.offset, 0, `a second ${kind} ${shown(again.name)}`),
    );
  const property = about("property");
  const child = about("node");
  const rest = [root];
  for (let node = rest.pop(); node; node = rest.pop()) {
    repeated(node.properties, property);
    repeated(node.children, child);
    for (let i = node.children.length - 1; i >= 0; i--) rest.push(node.children[i]!);
  }
}

/** The format sets no limit to names, the specification one of 31. Longer ones than this cost too much to compare. */
const longestCompared = 255;

/** Among so few, comparing all with all is faster than a set. */
const few = 16;

/** Calls `each` for all that have the name of one before them. A name that could not be read is no name. */
function repeated<T extends { name: string }>(list: readonly T[], each: (again: T) => void): void {
  if (list.length < 2) return;
  if (list.length <= few) {
    for (let i = 1; i < list.length; i++) {
      const { name } = list[i]!;
      const { length } = name;
      if (length === 0 || length > longestCompared) continue;
      for (let k = 0; k < i; k++) {
        const before = list[k]!.name;
        // Lengths tell most names apart, and cost no call.
        if (before.length !== length || before !== name) continue;
        each(list[i]!);
        break;
      }
    }
    return;
  }
  const names = new Set<string>();
  for (const item of list) {
    const { name } = item;
    if (name === "" || name.length > longestCompared) continue;
    if (names.has(name)) each(item);
    else names.add(name);
  }
}
