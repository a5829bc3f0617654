import type { Sample, TargetState } from "../../fuzz/campaign.js";
import type { FuzzResult } from "../../fuzz/node/run.js";
import { axis, chart, type Line } from "./chart.js";

/** Windows of time over which speed is averaged. */
const windows = 60;

/** Coverage and speed over time, as one SVG that is readable on light and on dark. */
export function plotSvg({ targets, seconds }: FuzzResult, { jobs }: { readonly jobs: number }): string {
  const inMinutes = seconds > 300;
  const unit = inMinutes ? 60 : 1;
  const time = axis(inMinutes ? "time, minutes" : "time, seconds", Math.max(seconds, 0.1) / unit, "there");
  const coverage: Line[] = targets.map(({ name, samples }) => ({
    name,
    points: [[0, 0], ...samples.map((each): [number, number] => [each.seconds / unit, each.reached])],
  }));
  const speed: Line = {
    name: "",
    points: speedOf(targets, seconds).map(([at, value]) => [at / unit, value]),
  };
  const threads = jobs === 1 ? "one worker" : `${jobs} workers`;
  return chart([
    {
      title: "Edges reached, by target",
      x: time,
      y: axis("edges", most(coverage), "above"),
      lines: coverage,
    },
    {
      title: `Executions per second, ${threads}`,
      x: time,
      y: axis("executions/s", most([speed]), "above"),
      lines: [speed],
    },
  ]);
}

const most = (lines: readonly Line[]): number =>
  Math.max(1, ...lines.flatMap(({ points }) => points.map(([, y]) => y)));

/** Executions per second of all targets together, in the middle of each window. */
function speedOf(targets: readonly TargetState[], seconds: number): [number, number][] {
  const width = seconds / windows;
  const total = (at: number): number =>
    targets.reduce((sum, { samples }) => sum + executionsAt(samples, at), 0);
  return Array.from({ length: windows }, (_, i) => [
    (i + 0.5) * width,
    (total((i + 1) * width) - total(i * width)) / Math.max(width, 0.001),
  ]);
}

/** Between two samples executions are taken to come evenly. */
function executionsAt(samples: readonly Sample[], at: number): number {
  let before = { seconds: 0, executions: 0 };
  for (const sample of samples) {
    if (sample.seconds < at) {
      before = sample;
      continue;
    }
    const share = (at - before.seconds) / Math.max(sample.seconds - before.seconds, 0.001);
    return before.executions + share * (sample.executions - before.executions);
  }
  return before.executions;
}
