/** What a machine hands over, as the decoder of a capture reads it. */
import { type Lookup, lookupIn, type Runs } from "../../formats/kho/runs.js";
import { type Decoded, decodeHandover } from "../../src/handover/index.js";
import { captureOf, type Departure, type Machine } from "../../src/machine/index.js";

/** One release of every row of formats, and of every behaviour. */
export const allReleases = [
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
const rank = (release: string): number => (allReleases as readonly string[]).indexOf(release);
/** From one of them on, and those before it. */
export const since = (first: (typeof allReleases)[number]): string[] =>
  allReleases.filter((release) => rank(release) >= rank(first));
export const before = (end: (typeof allReleases)[number]): string[] =>
  allReleases.filter((release) => rank(release) < rank(end));

/** Reads a departure as the release that left it would. */
export const decoded = (departure: Departure, release = departure.release): Decoded =>
  decodeHandover(captureOf(departure), { handoff: departure.bootData!, release, mode: "forensic" });

/** Finalizes where user space has to, and leaves. */
export function depart(machine: Machine): Departure {
  if (machine.kho.enabled && machine.kernel.kho === "kho-v1") machine.kho.finalize();
  return machine.leave();
}

/** Every block, `pfn:order`, ascending by order. */
export const blocksIn = ({ pfn, order, count, length }: Runs): string[] =>
  Array.from({ length }, (_, i) =>
    Array.from({ length: count[i]! }, (_, k) => `${pfn[i]! + k * 2 ** order[i]!}:${order[i]}`),
  ).flat();

/** What is said of a page in what a machine hands over. */
export function preservedIn(departure: Departure): (pfn: number) => Lookup {
  const { preserved } = decoded(departure).handover;
  return preserved ? lookupIn(preserved.runs) : () => ({ kind: "absent" });
}

/** Pages in use, by what for. */
export function holdings({ core }: Machine): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { owner, pages } of core.pages.holdings()) sums[owner] = (sums[owner] ?? 0) + pages;
  return sums;
}
