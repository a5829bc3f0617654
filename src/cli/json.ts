const unsafe = /[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}\u115f\u1160\u2028-\u202f\u3164\uffa0]/gu;

/**
 * JSON text that is safe to show: names from an image may hold C1 controls, direction overrides and invisible
 * characters, which JSON allows as they are. They become `\u202e`, which means the same to every parser. Outside
 * of strings JSON has none of them.
 */
export const safeJson = (json: string): string =>
  json.replace(unsafe, (character) =>
    // Beyond the basic plane it takes two escapes, one per UTF-16 unit.
    character
      .split("")
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      .join(""),
  );

/** A value as indented JSON that is safe to show. A u64 becomes a string of decimals: numbers end at 2^53. */
export const jsonText = (value: unknown): string =>
  safeJson(
    JSON.stringify(value, (_, member: unknown) => (typeof member === "bigint" ? String(member) : member), 2),
  );
