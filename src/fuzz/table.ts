/** What the instrumented build says about its edges. */
export interface BuildTable {
  /** Instrumented files, by path from the root. */
  readonly files: readonly string[];
  /** Number of the first edge of each file, ascending. */
  readonly firstEdges: readonly number[];
  /** Line of each edge, from 1. */
  readonly lines: readonly number[];
  /** By name: its file, and the number of edges in all that it imports. */
  readonly targets: Readonly<Record<string, { readonly file: string; readonly edges: number }>>;
}

/** `formats/kho/root.ts:64`: where an edge is. Precondition: the table has it. */
export function placeOf({ files, firstEdges, lines }: BuildTable, edge: number): string {
  let file = 0;
  while (file + 1 < files.length && firstEdges[file + 1]! <= edge) file++;
  return `${files[file]}:${lines[edge]}`;
}
