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
    return [...wellFormedPieces(bytes)].join("");
  }
}

function* wellFormedPieces(bytes: Uint8Array): Generator<string> {
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at]!;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    let piece: string | undefined;
    try {
      if (at + length <= bytes.length) piece = strict.decode(bytes.subarray(at, at + length));
    } catch {
      // Not a character: its first byte is kept as it is, and the next one is looked at afresh.
    }
    yield piece ?? String.fromCharCode(escapeBase + lead);
    at += piece === undefined ? 1 : length;
  }
}

/** Text back to bytes: the inverse of {@link textFromBytes}. */
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
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb\\]|[\ud800-\udfff]/gu;

/**
 * Text that is safe to show: control characters, direction overrides and bytes that are not UTF-8 become `\x1b`,
 * `\u202e`; a backslash becomes two, so that the result is unambiguous.
 */
export function escapeText(text: string): string {
  return text.replace(unsafe, (character) => {
    const code = character.charCodeAt(0);
    if (character === "\\") return "\\\\";
    if (code >= escapeBase + 0x80 && code <= escapeBase + 0xff)
      return `\\x${(code - escapeBase).toString(16)}`;
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
    return `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
