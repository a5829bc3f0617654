import type { ScenarioKernel } from "../gen/kho/v1/scenario_pb.js";
import { type Machine, patternBytes } from "../machine/index.js";
import { physAddr } from "../memory/index.js";
import { hex } from "../report/hex.js";
import type { StepReport } from "./report.js";
import type { Progress } from "./state.js";

/** Fills the `reserve_mem` regions that are fresh, and looks into those that were revived. */
export function lookAtRegions(machine: Machine, kernel: ScenarioKernel, progress: Progress): StepReport[] {
  const { pageSize } = machine.hardware.abi;
  return kernel.reserveMem.map(({ name, token, words, arrives }, r): StepReport => {
    const { start, size, revived } = machine.regions[r]!;
    const pages = Number(size / BigInt(pageSize));
    const length = Math.min(words * 8, pageSize);
    let wrong = 0;
    for (let page = 0; length > 0 && page < pages; page++) {
      const at = physAddr(start + BigInt(page) * BigInt(pageSize));
      const content = patternBytes(token, page, length);
      if (!revived) machine.memory.write(at, content);
      else if (machine.memory.read(at, length).some((byte, i) => byte !== content[i])) wrong++;
      progress("reserve_mem", page + 1, pages);
    }
    const state = !revived ? "fresh" : wrong > 0 ? "spoilt" : "revived";
    return {
      agent: "kernel",
      what: `reserve_mem ${name}`,
      result: arrives === "" || arrives === state ? "fine" : "failed",
      detail: `${state} at ${hex(start)}${wrong > 0 ? `, ${wrong} of ${pages} pages with another content` : ""}`,
    };
  });
}
