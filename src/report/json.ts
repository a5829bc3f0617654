/** Where a text stops being JSON: engines say so differently, or not at all. */

/** A line and a column, from 1; columns are UTF-16 units. */
export interface JsonFault {
  readonly line: number;
  readonly column: number;
  /** What stands there, a few characters of it; empty at the end of the text. */
  readonly found: string;
}

/** What may come next: a value, a value or `]`, a key, a key or `}`, a colon, or what follows a value. */
type Next = "value" | "item" | "key" | "member" | "colon" | "rest";

const space = /[ \t\n\r]*/y;
const token =
  /([[\]{},:])|("(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|[\x7f-\x9f])*")|(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)(?![\w.+-])/uy;

/** The first thing in a text that JSON does not have there; undefined if it is JSON. */
export function faultOfJson(text: string): JsonFault | undefined {
  const open: string[] = [];
  let next: Next = "value";
  for (let at = 0; ; at = token.lastIndex) {
    space.lastIndex = at;
    space.test(text);
    token.lastIndex = space.lastIndex;
    const start = space.lastIndex;
    const match = token.exec(text);
    if (!match) {
      const complete = start === text.length && next === "rest" && open.length === 0;
      return complete ? undefined : faultAt(text, start);
    }
    const then = after(next, match[1] ?? (match[2] ? "string" : "word"), open);
    if (!then) return faultAt(text, start);
    next = then;
  }
}

/** What may follow `kind`, a sign, `string` or `word`; undefined if it may not stand there itself. */
function after(next: Next, kind: string, open: string[]): Next | undefined {
  const closes = kind === (open.at(-1) === "[" ? "]" : "}") && open.length > 0;
  if (closes && (next === "rest" || next === (kind === "]" ? "item" : "member"))) {
    open.pop();
    return "rest";
  }
  switch (next) {
    case "value":
    case "item":
      if (kind === "string" || kind === "word") return "rest";
      if (kind !== "[" && kind !== "{") return undefined;
      open.push(kind);
      return kind === "[" ? "item" : "member";
    case "key":
    case "member":
      return kind === "string" ? "colon" : undefined;
    case "colon":
      return kind === ":" ? "value" : undefined;
    case "rest":
      if (kind !== "," || open.length === 0) return undefined;
      return open.at(-1) === "[" ? "value" : "key";
  }
}

function faultAt(text: string, at: number): JsonFault {
  const before = text.slice(0, at).split("\n");
  const found = text.slice(at, at + 24).split("\n", 1)[0]!;
  return { line: before.length, column: before.at(-1)!.length + 1, found };
}
