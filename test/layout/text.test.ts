import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytesFromText, escapeText, textFromBytes } from "../../src/layout/index.js";
import { hexBytes } from "./support.js";

/** Bytes that hit the borders of UTF-8 more often than any byte would. */
const hostileBytes = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        0x00,
        0x1b,
        0x41,
        0x7f,
        0x80,
        0x8f,
        0x90,
        0x9f,
        0xa0,
        0xbf,
        0xc0,
        0xc1,
        0xc2,
        0xdf,
        0xe0,
      ),
      fc.constantFrom(0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff, 0xbb, 0xbf, 0xfe),
      fc.nat(255),
    ),
    { maxLength: 40 },
  )
  .map((list) => Uint8Array.from(list));

describe("textFromBytes", () => {
  it.each([
    ["", ""],
    ["76 6d 30", "vm0"],
    ["c3 a4 e2 82 ac f0 9f 98 80", "ä€😀"],
    ["ef bb bf 61", "\ufeffa"],
    ["61 ff 62", "a\udcffb"],
    ["80", "\udc80"],
    ["c3", "\udcc3"],
    ["c3 a4 c3", "ä\udcc3"],
    ["e2 82", "\udce2\udc82"],
    ["e2 82 41", "\udce2\udc82A"],
    ["c0 80", "\udcc0\udc80"],
    ["c1 bf", "\udcc1\udcbf"],
    ["e0 9f bf", "\udce0\udc9f\udcbf"],
    ["e0 a0 80", "\u0800"],
    ["ed 9f bf", "\ud7ff"],
    ["ed a0 80", "\udced\udca0\udc80"],
    ["ed b3 bf", "\udced\udcb3\udcbf"],
    ["ee 80 80", "\ue000"],
    ["f0 8f bf bf", "\udcf0\udc8f\udcbf\udcbf"],
    ["f0 90 80 80", "\u{10000}"],
    ["f4 8f bf bf", "\u{10ffff}"],
    ["f4 90 80 80", "\udcf4\udc90\udc80\udc80"],
    ["f5 80 80 80", "\udcf5\udc80\udc80\udc80"],
    ["f0 9f 98 f0 9f 98 80", "\udcf0\udc9f\udc98😀"],
    ["ff ef bb bf 61", "\udcff\ufeffa"],
  ])("%s", (text, wanted) => {
    expect(textFromBytes(hexBytes(text))).toBe(wanted);
    expect(bytesFromText(wanted)).toEqual(hexBytes(text));
  });

  it("loses nothing, whatever the bytes", () => {
    fc.assert(
      fc.property(hostileBytes, (bytes) => {
        expect(bytesFromText(textFromBytes(bytes))).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it("loses nothing for any two bytes between letters", () => {
    for (let pair = 0; pair < 65536; pair++) {
      const bytes = Uint8Array.of(0x61, pair >> 8, pair & 255, 0x62);
      const back = bytesFromText(textFromBytes(bytes));
      if (Buffer.compare(back, bytes) !== 0) expect.fail(`bytes ${pair.toString(16)} became ${back}`);
    }
  });

  it("agrees with the platform on text that is well-formed", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const bytes = Uint8Array.from(Buffer.from(text, "utf8"));
        expect(textFromBytes(bytes)).toBe(text);
        // With a stray byte in front and behind, the characters between are found as before.
        const damaged = Uint8Array.of(0xff, ...bytes, 0xc3);
        expect(textFromBytes(damaged)).toBe(`\udcff${text}\udcc3`);
      }),
    );
  });

  it("reads a part of a buffer and leaves the bytes alone", () => {
    const bytes = hexBytes("41 42 ff 43");
    expect(textFromBytes(bytes.subarray(1, 3))).toBe("B\udcff");
    expect(bytes).toEqual(hexBytes("41 42 ff 43"));
  });
});

describe("escapeText", () => {
  it.each([
    ["vm0 äöü €😀 日本 עברית", "vm0 äöü €😀 日本 עברית"],
    ["\x1b[31m", "\\x1b[31m"],
    ["a\nb\tc\0", "a\\x0ab\\x09c\\x00"],
    ["\x7f", "\\x7f"],
    ["\u0085\u009b", "\\u0085\\u009b"],
    ["\u00ad", "\\u00ad"],
    ["\u202egpj.exe", "\\u202egpj.exe"],
    ["\u2066\u2069\u200f\u061c", "\\u2066\\u2069\\u200f\\u061c"],
    ["\u200b\u2060\ufeff\u180e", "\\u200b\\u2060\\ufeff\\u180e"],
    ["\u2028\u2029", "\\u2028\\u2029"],
    ["\u115f\u1160\u3164\uffa0", "\\u115f\\u1160\\u3164\\uffa0"],
    ["\u{e0041}", "\\u{e0041}"],
    ["\udc80\udcff", "\\x80\\xff"],
    ["\ud800 \udc7f \udd00", "\\ud800 \\udc7f \\udd00"],
    ["C:\\x41", "C:\\\\x41"],
  ])("%j becomes %s", (text, wanted) => {
    expect(escapeText(text)).toBe(wanted);
  });

  it("lets nothing through that a terminal acts on", () => {
    for (let code = 0; code < 0x110000; code++) {
      const shown = escapeText(String.fromCodePoint(code));
      if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(shown))
        expect.fail(`U+${code.toString(16)} is let through`);
    }
  });

  it("keeps different texts different", () => {
    const seen = new Map<string, string>();
    const put = (text: string): void => {
      const shown = escapeText(text);
      const other = seen.get(shown);
      if (other !== undefined && other !== text)
        expect.fail(`${JSON.stringify(text)} and ${JSON.stringify(other)} are both ${shown}`);
      seen.set(shown, text);
    };
    for (let code = 0; code < 0x110000; code++) put(String.fromCodePoint(code));
    for (const a of ["\\", "\\x", "\\u", "\\\\", "\x80", "\udc80", "\u0085", "\udc85"])
      for (const b of ["", "80", "0080", "x80", "u0085", "{80}", "\\", "\udc85"]) put(a + b);
  });

  it("keeps different bytes different", () => {
    fc.assert(
      fc.property(hostileBytes, hostileBytes, (a, b) => {
        const same = Buffer.compare(a, b) === 0;
        expect(escapeText(textFromBytes(a)) === escapeText(textFromBytes(b))).toBe(same);
      }),
    );
    // Read back by the rules that its comment gives, the text is the one that was escaped.
    const readBack = (shown: string): string =>
      shown.replace(/\\(?:\\|x(..)|u\{(.+?)\}|u(....))/g, (_, byte, long, short) => {
        if (byte === undefined && !long && !short) return "\\";
        const code = Number.parseInt(byte ?? long ?? short, 16);
        return byte !== undefined && code >= 0x80
          ? String.fromCharCode(0xdc00 + code)
          : String.fromCodePoint(code);
      });
    fc.assert(
      fc.property(hostileBytes, fc.string({ unit: "binary" }), (bytes, text) => {
        const all = `${textFromBytes(bytes)}\\${text}`;
        expect(readBack(escapeText(all))).toBe(all);
      }),
    );
  });
});
