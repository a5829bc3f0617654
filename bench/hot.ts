import type { Profiler } from "node:inspector";
import { Session } from "node:inspector/promises";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

/** A function and its share of the time, what it calls left out. */
export interface Hot {
  /** `name (file)`. */
  readonly where: string;
  /** Of all samples, 0 to 1. */
  readonly share: number;
}

/** Runs the work again and again under V8's sampling profiler, and gives the functions that took most of the time. */
export async function hotSpots(run: () => number, seconds = 2, most = 12): Promise<Hot[]> {
  // Compiled before it is looked at.
  for (const start = performance.now(); performance.now() - start < seconds * 250; ) run();
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: 200 });
  await session.post("Profiler.start");
  for (const start = performance.now(); performance.now() - start < seconds * 1e3; ) run();
  const { profile } = await session.post("Profiler.stop");
  session.disconnect();
  return sharesOf(profile, most);
}

/** Functions by their own samples, those of the same name and file together. */
export function sharesOf({ nodes }: Pick<Profiler.Profile, "nodes">, most: number): Hot[] {
  const hits = new Map<string, number>();
  let all = 0;
  for (const { callFrame, hitCount = 0 } of nodes) {
    if (hitCount === 0 || callFrame.functionName === "(idle)") continue;
    const file = callFrame.url === "" ? "" : ` (${shortened(callFrame.url)})`;
    const where = `${callFrame.functionName || "anonymous"}${file}`;
    hits.set(where, (hits.get(where) ?? 0) + hitCount);
    all += hitCount;
  }
  return [...hits]
    .map(([where, hit]) => ({ where, share: hit / all }))
    .sort((a, b) => b.share - a.share)
    .slice(0, most);
}

const root = fileURLToPath(new URL("..", import.meta.url));
const shortened = (url: string): string => {
  const [path] = url.split("?");
  return path!.startsWith("file:") ? relative(root, fileURLToPath(path!)) : path!;
};

export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
