/** A name with places where any characters may stand. */
export interface Pattern {
  readonly text: string;
  /** Characters that have to be there as they are. */
  readonly characters: number;
  matches(name: string): boolean;
}

/** Reads a pattern: `*` stands for any characters, also none; a backslash takes the meaning from the character behind it. */
export function patternOf(text: string): Pattern {
  const pieces = [""];
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (character === "*") pieces.push("");
    else pieces[pieces.length - 1] += character === "\\" && i + 1 < text.length ? text[++i]! : character;
  }
  return {
    text,
    characters: pieces.reduce((sum, piece) => sum + piece.length, 0),
    matches: (name) => fits(pieces, name),
  };
}

/** True if a name has the pieces in their order, the first at its beginning and the last at its end. O(length of both). */
function fits(pieces: readonly string[], name: string): boolean {
  const [first = "", ...others] = pieces;
  const last = others.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length)
    return false;
  const end = name.length - last.length;
  let at = first.length;
  for (const piece of others) {
    const found = name.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}
