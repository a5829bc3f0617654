import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { HostPlan } from "./host.js";

const measureFile = fileURLToPath(new URL("measure.ts", import.meta.url));

/** Runs `measure.ts` in a process of its own, where nothing else is measured with it. */
export async function measured<T>(
  what: "growth" | "resident",
  plans: readonly HostPlan[],
  ...more: string[]
): Promise<T> {
  const args = [
    "--expose-gc",
    "--import",
    "tsx",
    measureFile,
    what,
    ...plans.map((plan) => JSON.stringify(plan)),
    ...more,
  ];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}
