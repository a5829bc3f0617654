import type { Flb } from "../../machine/index.js";
import { hex } from "../../report/hex.js";
import type { PartVerdict } from "../verdict.js";
import { type Arrived, differs, failure, say } from "./arrived.js";

/** An FLB that only looks at what was handed over in its name. */
interface Probe extends Flb<bigint> {
  readonly received: () => bigint | undefined;
}

function newProbe(name: string): Probe {
  let received: bigint | undefined;
  return {
    name,
    preserve: () => ({ data: 0n, object: 0n }),
    unpreserve: () => {},
    retrieve(data) {
      received = data;
      return data;
    },
    finish: () => {},
    received: () => received,
  };
}

/**
 * Objects that files share, as kernel code of the same names asks for them. They have to be registered before any session
 * is looked at.
 */
export function judgeFlbs({ truth, machine }: Arrived): PartVerdict[] {
  const flbs = truth.handover.luo?.flbs ?? [];
  const seen = new Set<string>();
  return flbs.map(({ name, data }) => {
    const part = `flbs[${name}]`;
    if (!machine.kernel.flb)
      return say(part, "lossy", `Linux ${machine.release} has no FLBs: its data, ${hex(data)}, is lost`);
    if (seen.has(name)) return say(part, "lossy", "there is another of this name in front of it");
    seen.add(name);
    try {
      const probe = newProbe(name);
      machine.registerFlb(probe);
      machine.luo.incomingFlb(probe);
      machine.luo.putIncomingFlb(probe);
      const received = probe.received();
      if (received === data) return say(part, "works");
      return say(
        part,
        "misread",
        differs("data", hex(data), received === undefined ? "nothing" : hex(received)),
      );
    } catch (error) {
      return failure(part, "looking it up", error);
    }
  });
}
