import { type Cost, costOf } from "../../cost/cost.js";
import { measureToolkit } from "../../cost/measure.js";
import { sweep } from "../../cost/sweep.js";
import { newFile } from "../../image/write.js";
import { type Exit, exits } from "../exit.js";
import { jsonText } from "../json.js";
import type { Run } from "../run.js";
import { readShape, type ShapeOptions } from "./cost-input.js";
import { costJson } from "./cost-json.js";
import type { Shown } from "./cost-shown.js";
import { costSvg } from "./cost-svg.js";
import { costLines } from "./cost-text.js";

export interface CostCommandOptions extends ShapeOptions {
  readonly reservedRegions?: number;
  /** Billions of instructions per second, from slow to fast. */
  readonly rate?: readonly [number, number];
  /** Milliseconds. */
  readonly preserveTook?: number;
  readonly retrieveTook?: number;
  readonly baseBoot?: number;
  readonly measure?: boolean;
  readonly json?: boolean;
  readonly svg?: string;
}

/** `kho cost`: 1 if the release has no room for what it is asked about. */
export async function costCommand(
  run: Run,
  file: string | undefined,
  options: CostCommandOptions,
): Promise<Exit> {
  const shape = await readShape(run, file, options);
  const { reservedRegions, rate, preserveTook, retrieveTook, baseBoot } = options;
  const facts = reservedRegions === undefined ? {} : { reservedRegions };
  const cost: Cost = costOf(shape, {
    ...facts,
    ...(rate && { speed: { slow: rate[0] * 1e9, fast: rate[1] * 1e9 } }),
    measured: {
      ...(preserveTook !== undefined && { preserve: preserveTook / 1000 }),
      ...(retrieveTook !== undefined && { retrieve: retrieveTook / 1000 }),
    },
  });
  const possible = cost.space.impossible.length === 0;
  const toolkit = options.measure && possible ? measureToolkit(shape, () => performance.now()) : undefined;
  const shown: Shown = {
    cost,
    ...(toolkit && { toolkit }),
    ...(baseBoot !== undefined && { baseBoot: baseBoot / 1000 }),
  };
  if (options.svg !== undefined) writeText(options.svg, costSvg(cost, sweep(shape, facts)));
  if (options.json) run.out.line(jsonText(costJson(shown)));
  else for (const line of costLines(run, shown)) run.out.line(line);
  run.out.flush();
  return possible ? exits.fine : exits.findings;
}

function writeText(path: string, text: string): void {
  const bytes = new TextEncoder().encode(text);
  const file = newFile(path, true);
  file.data(0, bytes);
  file.finish(bytes.length);
}
