import type { Row } from "./ratios.js";

/** The rows as a JSON text, one a line; a ratio has four digits that count. */
export const jsonOf = (rows: readonly Row[]): string =>
  `[\n${rows
    .map(({ name, against, ratio, spread, goal }) =>
      JSON.stringify({ name, against, ratio: rounded(ratio), spread: spread.map(rounded), goal }),
    )
    .join(",\n")}\n]\n`;

const rounded = (ratio: number): number => Number(ratio.toPrecision(4));

/** Throws where the text is not that of rows. */
export function rowsOf(json: string): Row[] {
  const rows: unknown = JSON.parse(json);
  if (!Array.isArray(rows) || !rows.every(isRow))
    throw new Error("this is not a file of `npm run bench -- --json FILE`");
  return rows;
}

function isRow(value: unknown): value is Row {
  const { name, against, ratio, spread, goal } = (value ?? {}) as Record<keyof Row, unknown>;
  return (
    typeof name === "string" &&
    typeof against === "string" &&
    typeof ratio === "number" &&
    Array.isArray(spread) &&
    spread.length === 2 &&
    spread.every((end) => typeof end === "number") &&
    (goal === null || typeof goal === "number")
  );
}
