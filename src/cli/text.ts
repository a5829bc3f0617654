import { escapeText } from "../layout/text.js";

/** Bytes for people: `4 KiB`, `45.3 MiB`. Rounded to three digits, so the exact number stands beside it where it counts. */
export function humanBytes(bytes: bigint | number): string {
  const exact = BigInt(bytes);
  if (exact < 1024n) return `${exact} B`;
  let value = Number(exact);
  let unit = -1;
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return `${Number(value.toFixed(digits))} ${units[unit]}`;
}
const units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** `45.3 MiB (47500288 bytes)`; below 1 KiB the number alone. */
export const exactBytes = (bytes: bigint | number): string =>
  BigInt(bytes) < 1024n ? plural(bytes, "byte") : `${humanBytes(bytes)} (${bytes} bytes)`;

/** `1 file`, `5 files`. */
export const plural = (count: bigint | number, noun: string, nouns = `${noun}s`): string =>
  `${count} ${BigInt(count) === 1n ? noun : nouns}`;

/**
 * A sentence of the library made safe to show. Names inside of it may be escaped already, so unlike
 * {@link escapeText} this leaves backslashes alone; what it lets through is printable either way.
 */
export const safeSentence = (text: string): string => escapeText(text).replaceAll("\\\\", "\\");

/** Longest name shown; the kernel's own fields are of 64 bytes, what is longer is damage. */
const longestName = 80;

/** A name from the image, escaped and cut. */
export function safeName(name: string): string {
  const points = [...name];
  return points.length <= longestName
    ? escapeText(name)
    : `${escapeText(points.slice(0, longestName).join(""))}...`;
}

/** Colours and other sequences that take no room. They only ever come from this program: all else is escaped. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is the escape character that is looked for
const sequences = /\x1b\[[0-9;]*m/g;
const zeroWidth = /\p{M}/u;
const doubleWidth =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Columns that a text takes on a terminal: code points, wide ones twice, combining marks and colours not at all. */
export function widthOf(text: string): number {
  const plain = text.includes("\x1b") ? text.replace(sequences, "") : text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII, the common case
  if (/^[\x00-\x7f]*$/.test(plain)) return plain.length;
  let width = 0;
  for (const point of plain) width += zeroWidth.test(point) ? 0 : doubleWidth.test(point) ? 2 : 1;
  return width;
}

export const padEnd = (text: string, width: number): string =>
  text + " ".repeat(Math.max(0, width - widthOf(text)));
export const padStart = (text: string, width: number): string =>
  " ".repeat(Math.max(0, width - widthOf(text))) + text;

/** Breaks a sentence at spaces into lines of at most `width` columns; words that are longer stay whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && widthOf(line) + 1 + widthOf(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
