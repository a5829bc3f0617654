/**
 * Text in fixed-size fields. The kernel enforces no character set, so any byte can occur. Well-formed UTF-8 becomes
 * ordinary text; every byte that is not part of it becomes the lone surrogate U+DC00 + byte, which no UTF-8
 * produces, so that decoding loses nothing and encoding gives the same bytes back.
 */
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
const escapeBase = 0xdc00;

/** Bytes to text, losslessly. */
export function textFromBytes(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return textFromDamaged(bytes);
  }
}

/** Runs of characters and the bytes between them, in one pass: text may be long and hostile. */
function textFromDamaged(bytes: Uint8Array): string {
  let text = "";
  let start = 0;
  const run = (end: number): string => (start < end ? strict.decode(bytes.subarray(start, end)) : "");
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    if (length > 0) at += length;
    else {
      // Not a character: its first byte is kept as it is, and the next one is looked at afresh.
      text += run(at) + String.fromCharCode(escapeBase + bytes[at]!);
      start = ++at;
    }
  }
  return text + run(bytes.length);
}

/** Length of the well-formed UTF-8 character at `at`, 0 if there is none (The Unicode Standard, table 3-7). */
function characterLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  // The second byte's range is narrower where the character would be overlong, a surrogate or beyond U+10FFFF.
  const second = bytes[at + 1] ?? 0;
  if (second < (lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80)) return 0;
  if (second > (lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf)) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  for (let i = 2; i < length; i++) if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return 0;
  return length;
}

/**
 * Text back to bytes: the inverse of {@link textFromBytes}. A lone surrogate that stands for no byte has no bytes
 * and becomes U+FFFD, as everywhere on the web.
 */
export function bytesFromText(text: string): Uint8Array {
  if (!/[\ud800-\udfff]/u.test(text)) return encoder.encode(text);
  const out: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code >= escapeBase + 0x80 && code <= escapeBase + 0xff) out.push(code - escapeBase);
    else out.push(...encoder.encode(character));
  }
  return Uint8Array.from(out);
}

/** Characters that must never reach a terminal or a file name as they are: C0, DEL, C1, bidi and invisible formats. */
const unsafe =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u200b-\u200f\u2028-\u202f\u2060-\u206f\u3164\uffa0\\]/gu;

/**
 * Text that is safe to show: control characters, direction overrides and bytes that are not UTF-8 become `\x1b`,
 * `\u202e`, `\xff`; a backslash becomes two. `\x` always stands for a byte, `\u` for a character, so that different
 * texts stay different.
 */
export function escapeText(text: string): string {
  return text.replace(unsafe, (character) => {
    const code = character.codePointAt(0)!;
    if (character === "\\") return "\\\\";
    if (code >= escapeBase + 0x80 && code <= escapeBase + 0xff)
      return `\\x${(code - escapeBase).toString(16)}`;
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
