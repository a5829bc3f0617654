/** Where in a text JSON is at fault, or has a value: engines say so differently, or not at all. */

/** A line and a column, from 1; columns are UTF-16 units. */
export interface JsonPlace {
  readonly line: number;
  readonly column: number;
}

export interface JsonFault extends JsonPlace {
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
  return { ...placeAt(text, at), found: text.slice(at, at + 24).split("\n", 1)[0]! };
}

function placeAt(text: string, at: number): JsonPlace {
  const before = text.slice(0, at).split("\n");
  return { line: before.length, column: before.at(-1)!.length + 1 };
}

/**
 * Where the value of a path begins, `["optional", 2]`; the first where an object has a key twice. Undefined if there is
 * none. `text` is JSON.
 */
export function placeInJson(text: string, path: readonly (string | number)[]): JsonPlace | undefined {
  const open: { readonly array: boolean; at: string | number }[] = [];
  let keyIsNext = false;
  token.lastIndex = 0;
  for (;;) {
    space.lastIndex = token.lastIndex;
    space.test(text);
    token.lastIndex = space.lastIndex;
    const start = space.lastIndex;
    const match = token.exec(text);
    if (!match) return undefined;
    const [what, sign] = match;
    const inner = open.at(-1);
    if (sign === undefined && keyIsNext) {
      inner!.at = JSON.parse(what) as string;
      continue;
    }
    if (sign === undefined || sign === "[" || sign === "{") {
      if (open.length === path.length && open.every(({ at }, i) => at === path[i]))
        return placeAt(text, start);
      if (sign !== undefined) open.push({ array: sign === "[", at: 0 });
      keyIsNext = sign === "{";
      continue;
    }
    if (sign === "]" || sign === "}") open.pop();
    else if (sign === "," && inner!.array) inner!.at = (inner!.at as number) + 1;
    keyIsNext = sign === "," && !inner!.array;
  }
}
