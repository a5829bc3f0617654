import { padEnd, padStart, widthOf } from "./text.js";

/** How the cells of a column stand. */
export type Align = "left" | "right";

/**
 * Rows as lines whose columns stand below each other, two spaces apart. Rows may have fewer cells than others; the
 * last cell of a row is not padded, so that no line ends in spaces.
 */
export function alignRows(rows: readonly (readonly string[])[], aligns: readonly Align[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    // A line without columns, such as "... and 3 more", stands for itself.
    if (row.length === 1) continue;
    for (const [i, cell] of row.entries()) {
      // A last cell on the left needs no room of its own: what it is under may be wider or narrower.
      if (i === row.length - 1 && aligns[i] !== "right") continue;
      widths[i] = Math.max(widths[i] ?? 0, widthOf(cell));
    }
  }
  return rows.map((row) =>
    row
      .map((cell, i) => {
        const width = widths[i] ?? 0;
        if (row.length === 1) return cell;
        if (aligns[i] === "right") return padStart(cell, width);
        return i === row.length - 1 ? cell : padEnd(cell, width);
      })
      .join("  ")
      .trimEnd(),
  );
}
