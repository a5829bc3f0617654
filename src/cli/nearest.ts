/** Names that somebody may have meant, best first, at most three. */
export function nearest(wanted: string, names: readonly string[]): string[] {
  const text = wanted.toLowerCase().slice(0, 64);
  return names
    .map((name) => ({ name, distance: distanceOf(text, name) }))
    .filter(({ distance }) => distance <= Math.max(2, Math.floor(text.length / 3)))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name);
}

/** Edits from one to the other; a part of the name, as `session_ser` is one, counts as nearly right. */
function distanceOf(text: string, name: string): number {
  if (text.length >= 3 && name.includes(text)) return 1;
  let row = Array.from({ length: name.length + 1 }, (_, i) => i);
  for (let i = 1; i <= text.length; i++) {
    const next = [i];
    for (let j = 1; j <= name.length; j++) {
      const change = row[j - 1]! + (text[i - 1] === name[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[name.length]!;
}
