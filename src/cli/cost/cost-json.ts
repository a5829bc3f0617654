import { secondsOf } from "../../cost/time.js";
import type { Shown } from "./cost-shown.js";

/** What `--json` prints. Everything under `kernel` and `advice` is modelled, and says so. */
export function costJson({ cost, toolkit, baseBoot }: Shown): unknown {
  const { shape, totals, space, calls, scratch, model, speeds, advice } = cost;
  const { constants, standIn, note } = model.constants;
  const phases = model.phases.map((phase) => ({ ...phase, seconds: secondsOf([phase], speeds) }));
  const span = (when: string) =>
    secondsOf(
      model.phases.filter((phase) => phase.when === when),
      speeds,
    );
  return {
    shape,
    totals,
    structures: space.structures,
    map: { kind: space.map.kind, nodes: space.map.nodes, pages: space.map.pages },
    orders: space.orders,
    runs: space.runs,
    impossible: space.impossible,
    calls,
    scratch: { ...scratch, regionsAreEstimated: true },
    kernel: {
      modelled: true,
      note: "instructions by a model of counts on real kernels, beyond the same kernel with nothing preserved; seconds at the speeds given",
      constants: { release: constants.release, kernel: constants.kernel, standIn, note },
      cautions: model.cautions,
      speeds,
      phases,
      before: { instructions: model.before, seconds: span("before") },
      blackout: {
        instructions: model.blackout,
        seconds: span("blackout"),
        ...(baseBoot === undefined
          ? { baseBoot: null }
          : {
              baseBoot,
              withBaseBoot: {
                least: span("blackout").least + baseBoot,
                most: span("blackout").most + baseBoot,
              },
            }),
      },
      after: { instructions: model.after, seconds: span("after") },
    },
    advice: advice.map(({ id, what, why, blackout, before, model: changed }) => ({
      modelled: true,
      id,
      what,
      why,
      blackout: { instructions: changed.blackout, saved: blackout },
      before: { instructions: changed.before, saved: before },
    })),
    ...(toolkit && { toolkit: { note: "measured here, in JavaScript: no kernel's time", ...toolkit } }),
  };
}
