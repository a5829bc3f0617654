import { decodeHandover, physAddr } from "../src/index.js";
import { type Capture, captureName } from "./capture.js";
import type { Subject } from "./measure.js";

/** Everything, from finding the root to the cross-checks. The capture is open and uncompressed in memory. */
export function handoverSubject({ image, decoded }: Capture): Subject {
  const { ranges } = image.memory;
  const bytes = ranges.reduce((sum, { size }) => sum + Number(size), 0);
  const { fdtPa, fdtSize } = decoded.handover.handoff;

  const everyByte = (): number => {
    let sum = 0;
    for (const { pa, size } of ranges) {
      const range = image.memory.read(physAddr(pa), Number(size));
      for (let i = 0; i < range.length; i++) sum += range[i]!;
    }
    return sum;
  };
  const files = (options: Parameters<typeof decodeHandover>[1]): number =>
    decodeHandover(image, options).handover.luo!.sessions.reduce(
      (sum, session) => sum + session.files.length,
      0,
    );

  return {
    name: `whole handover: ${decoded.handover.luo!.sessions.length} sessions in ${(bytes / 2 ** 20).toFixed(1)} MiB (${captureName})`,
    sameResult: false,
    baseline: { name: "yardstick: adding up every byte once", run: everyByte },
    contenders: [
      { name: "decodeHandover, the root found by a scan", run: () => files({}) },
      {
        name: "decodeHandover, told where the root is",
        run: () => files({ meta: { fdtPhys: fdtPa, fdtSize } }),
      },
    ],
  };
}
