import { type Align, alignRows } from "./table.js";
import type { Glyphs, Style } from "./terminal.js";

/** A line of a tree with what hangs below it. Siblings are aligned with each other, cell by cell. */
export interface Branch {
  readonly cells: readonly string[];
  readonly children?: readonly Branch[];
  /** How the cells of the children stand. */
  readonly aligns?: readonly Align[];
  /** Lines that belong to it, indented below. */
  readonly more?: readonly string[];
}

/** A line without columns. */
export const leaf = (text: string, children: readonly Branch[] = []): Branch => ({ cells: [text], children });

/** The lines of what hangs below a heading, with guides in front of them. */
export function drawTree(
  branches: readonly Branch[],
  { glyphs, style }: { readonly glyphs: Glyphs; readonly style: Style },
  aligns: readonly Align[] = [],
): string[] {
  const lines: string[] = [];
  const draw = (siblings: readonly Branch[], prefix: string, columns: readonly Align[]): void => {
    const texts = alignRows(
      siblings.map(({ cells }) => cells),
      columns,
    );
    for (const [i, { children = [], aligns: inner = [], more = [] }] of siblings.entries()) {
      const last = i === siblings.length - 1;
      const below = prefix + (last ? glyphs.space : glyphs.line);
      lines.push(style.dim(prefix + (last ? glyphs.last : glyphs.branch)) + texts[i]);
      for (const line of more) lines.push(`${style.dim(below)}  ${line}`);
      draw(children, below, inner);
    }
  };
  draw(branches, "", aligns);
  return lines;
}

/**
 * The first of many. What is cut is said in one more line, `... and 55 more sessions (kho sessions)`; nothing is
 * cut for a saving of less than three lines.
 */
export function cut<T>(
  items: readonly T[],
  limit: number,
  draw: (item: T, index: number) => Branch,
  rest: (hidden: number) => string,
): Branch[] {
  if (items.length <= limit + 2) return items.map(draw);
  return [...items.slice(0, limit).map(draw), leaf(rest(items.length - limit))];
}
