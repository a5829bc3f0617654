/** Takes time that doubles with every byte, in a regular expression, which counts no steps. */
export function fuzz(data: Uint8Array): void {
  if (data.length > 2 && data[0] === 200) /^(a+)+$/.test(`${"a".repeat(60)}b`);
}
