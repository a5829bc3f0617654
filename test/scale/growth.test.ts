import { describe, expect, it } from "vitest";
import { measured } from "./child.js";
import { type HostPlan, shapeOf } from "./host.js";
import type { Growth } from "./measure.js";
import { geometryOf } from "./shape.js";

const MiB = 2 ** 20;

/** All but linear. */
const most = 1.1;
/** Bytes of a run of preserved blocks and of a run of folios, as columns. */
const runBytes = 17 + 27;

/** Three decades of a host with four virtual machines, as multiples of the smallest. */
const decades = [1, 8, 64, 512, 1024];

const hosts: readonly (Omit<HostPlan, "vms" | "bytes"> & { readonly smallest: number })[] = [
  { release: "7.3", order: 0, mean: 64, smallest: 16 * MiB },
  { release: "7.3", order: 0, mean: Number.POSITIVE_INFINITY, smallest: 16 * MiB },
  { release: "6.19", order: 0, mean: 64, smallest: 16 * MiB },
];

/** The slope of a line through the logarithms, by least squares. */
function exponentOf(points: readonly (readonly [size: number, cost: number])[]): number {
  const logs = points.map(([size, cost]) => [Math.log(size), Math.log(cost)] as const);
  const [meanX, meanY] = [0, 1].map((k) => logs.reduce((sum, log) => sum + log[k]!, 0) / logs.length) as [
    number,
    number,
  ];
  const xy = logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const xx = logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return xy / xx;
}

it("the exponent of a power is that power", () => {
  expect(exponentOf([1, 2, 5, 10, 1000].map((size) => [size, 3 * size ** 1.25] as const))).toBeCloseTo(
    1.25,
    10,
  );
});

describe.each(hosts)(
  "decoding a host of Linux $release whose folios of order $order lie $mean side by side",
  ({ smallest, ...host }) => {
    const sizes = decades.map((times) => times * smallest);
    it("takes time and memory that grow no more than the host does", { timeout: 180_000 }, async () => {
      const plans = sizes.map((bytes): HostPlan => ({ ...host, vms: 4, bytes: bytes / 4 }));
      const growth = await measured<readonly Growth[]>("growth", plans);
      const exponent = (cost: (of: Growth) => number): number =>
        exponentOf(growth.map((of, i) => [sizes[i]!, cost(of)] as const));
      expect(exponent(({ seconds }) => seconds)).toBeLessThan(most);
      // What is less than a quarter of a mebibyte cannot be told from what else a process keeps.
      expect(exponent(({ live }) => Math.max(live, MiB / 4))).toBeLessThan(most);
      expect(exponent(({ reads }) => reads)).toBeLessThan(most);
      expect(exponent(({ bytes }) => bytes)).toBeLessThan(most);
      for (const [i, plan] of plans.entries()) {
        const { runs } = geometryOf(shapeOf(plan));
        // What is decoded, about as much again while it is made, and a window of what is read.
        expect(growth[i]!.live, `${plan.bytes}`).toBeLessThan(12 * MiB + 2 * plan.vms * runs * runBytes);
      }
    });
  },
);
