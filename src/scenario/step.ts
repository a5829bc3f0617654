import type { ScenarioFault, ScenarioStep } from "../gen/kho/v1/scenario_pb.js";
import { type Errno, errnoOf } from "../machine/index.js";
import { hex } from "../report/hex.js";
import { malformed, within } from "./fault.js";
import { inWords } from "./names.js";
import type { Result, StepReport } from "./report.js";
import { createSessions, exit, retrieveSessions } from "./sessions.js";
import type { State } from "./state.js";

/**
 * Does what one step says, and holds how it ended against what the scenario says of it.
 * @throws KhoError `scenario-malformed` for what cannot be done at all
 */
export function runStep(state: State, step: ScenarioStep, path: string): StepReport {
  const agent = step.agent === "" ? "agent" : step.agent;
  const what = describe(step);
  try {
    const { wrong = false, detail, ...counts } = act(state, agent, step, path);
    if (wrong || step.refused === "")
      return { agent, what, result: wrong ? "failed" : "fine", detail, ...counts };
    return { agent, what, result: "failed", detail: `it went well, and was to end with ${step.refused}` };
  } catch (error) {
    const refused = errnoOf(error);
    if (refused === undefined) return within(path, () => raise(error));
    const { message } = error as Error;
    const result = refused === step.refused ? "fine" : "failed";
    const instead = result === "failed" && step.refused !== "" ? `, and was to end with ${step.refused}` : "";
    return { agent, what, result, refused, detail: `${message}${instead}` };
  }
}

const raise = (error: unknown): never => {
  throw error;
};

/** A step in words. */
function describe({ action }: ScenarioStep): string {
  switch (action.case) {
    case "sessions": {
      const { count, from } = action.value;
      return `create ${inWords(action.value)}${from === "" ? "" : ` with what ${inWords({ name: from, count })} had`}`;
    }
    case "retrieve":
      return `retrieve ${inWords(action.value)}`;
    case "exit":
      return "die";
    case "reboot":
      return "try to kexec";
    case "fault": {
      const { allocation, session, token, errno } = action.value;
      if (allocation === "none") return "let allocations go well";
      if (allocation !== "") return `let allocations for ${allocation} fail`;
      return `let the freeze of file ${hex(token)} of ${session} ${errno === "" ? "go well" : `fail with ${errno}`}`;
    }
    case "finalize":
      return action.value.abort ? "take the finalize back" : "finalize";
    case undefined:
      return "nothing";
  }
}

function act(state: State, agent: string, { action }: ScenarioStep, path: string): Result {
  switch (action.case) {
    case "sessions":
      return createSessions(state, agent, action.value);
    case "retrieve":
      return retrieveSessions(state, agent, action.value);
    case "exit":
      return exit(state, agent);
    case "reboot":
      state.machine.leave();
      throw malformed(path, "this kexec was to be refused, and the machine has jumped");
    case "fault":
      setFault(state, action.value);
      return { detail: "" };
    case "finalize":
      state.machine.kho.finalize(!action.value.abort);
      return { detail: "done" };
    case undefined:
      return { detail: "" };
  }
}

function setFault({ faults }: State, { session, token, errno, allocation }: ScenarioFault): void {
  if (allocation !== "") faults.setAllocation(allocation === "none" ? undefined : allocation);
  else faults.setFreeze(session, token, errno === "" ? undefined : (errno as Errno));
}
