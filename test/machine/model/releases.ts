/** What differs from release to release, as spec tables say it; nothing here asks the code under test. */

/** One release of each row, oldest first. */
export const releases = [
  "6.16",
  "6.17.8",
  "6.17.9",
  "6.18.15",
  "6.19.10",
  "7.0",
  "7.1.13",
  "7.2.13",
  "7.3.4",
] as const;
export type Release = (typeof releases)[number];

/** True if `release` is `first` or a later one. */
export const since = (release: Release, first: Release): boolean =>
  releases.indexOf(release) >= releases.indexOf(first);

/** What becomes of a handover. */
export type Fate = "received" | "cold" | "ignored" | "panic";

const bitmaps512: readonly Release[] = ["6.16", "6.17.8"];
const bitmapsPage: readonly Release[] = ["6.17.9", "6.18.15", "6.19.10", "7.0"];
const groups: readonly (readonly Release[])[] = [bitmaps512, bitmapsPage, ["7.1.13"], ["7.2.13", "7.3.4"]];

/** True if a map of one release is taken for a map of the other and misread. */
export const misread = (from: Release, to: Release): boolean =>
  (bitmaps512.includes(from) && bitmapsPage.includes(to)) ||
  (bitmapsPage.includes(from) && bitmaps512.includes(to));

/** What `to` makes of what `from` hands over. A kernel with live update always hands over its root. */
export function fateOf(from: Release, to: Release): Fate {
  if (from === "6.19.10" && to === "7.0") return "panic";
  return groups.some((group) => group.includes(from) && group.includes(to)) ? "received" : "ignored";
}
