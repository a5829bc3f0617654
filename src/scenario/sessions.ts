/** What agents do with sessions: make and preserve, retrieve and compare, die. */
import type { ScenarioFile, ScenarioRetrieve, ScenarioSessions } from "../gen/kho/v1/scenario_pb.js";
import { hex } from "../report/hex.js";
import { differenceOf, makeFile, type Wanted } from "./files.js";
import { namesOf } from "./names.js";
import type { Result } from "./report.js";
import { agentOf, type State, withDevice } from "./state.js";

/** Creates sessions and preserves files in them. A session that fails is closed, those before it stay. */
export function createSessions(state: State, agentName: string, spec: ScenarioSessions): Result {
  const { machine, sessions, leaving, retrieved, arrived, progress } = state;
  const agent = agentOf(state, agentName);
  const names = namesOf(spec);
  const before = spec.from === "" ? [] : namesOf({ name: spec.from, count: spec.count });
  const missing = before.find((name) => !retrieved.has(name));
  if (missing !== undefined) return { wrong: true, detail: `session ${missing} has not been retrieved` };
  let files = 0;
  let bytes = 0n;
  for (const [i, name] of names.entries()) {
    const session = withDevice(agent, (device) => device.createSession(name));
    const wanted: Wanted[] = [];
    const preserved = (file: Wanted | undefined): void => {
      files++;
      if (!file) return;
      wanted.push(file);
      bytes += file.size;
    };
    try {
      for (const file of spec.files)
        for (const token of tokensOf(file)) {
          const made = makeFile(machine, agent, file, token);
          session.preserve(made.file, token);
          preserved(made.wanted);
        }
      const held = before[i] === undefined ? undefined : retrieved.get(before[i]);
      for (const [token, fd] of held?.fds ?? []) {
        session.preserve(held!.agent.file(fd), token);
        preserved(arrived.get(before[i]!)?.find((file) => file.token === token));
      }
    } catch (error) {
      session.close();
      throw error;
    }
    sessions.set(name, session);
    leaving.set(name, wanted);
    progress("preserving", i + 1, names.length);
  }
  return { detail: "preserved", files, bytes };
}

const tokensOf = ({ token, count }: ScenarioFile): bigint[] =>
  Array.from({ length: Math.max(1, count) }, (_, i) => token + BigInt(i));

/** Retrieves sessions with their files, and compares these with what was preserved. */
export function retrieveSessions(state: State, agentName: string, spec: ScenarioRetrieve): Result {
  const { machine, retrieved, arrived, progress } = state;
  const agent = agentOf(state, agentName);
  const names = namesOf(spec);
  const differences: string[] = [];
  let files = 0;
  let bytes = 0n;
  for (const [i, name] of names.entries()) {
    const session = withDevice(agent, (device) => device.retrieveSession(name));
    const wanted = new Map(arrived.get(name)?.map((file) => [file.token, file]));
    const fds = new Map<bigint, number>();
    retrieved.set(name, { agent, fds });
    for (const token of spec.tokens.length > 0 ? spec.tokens : wanted.keys()) {
      const fd = session.retrieve(token);
      fds.set(token, fd);
      files++;
      const file = wanted.get(token);
      if (!file) continue;
      bytes += file.size;
      const difference = differenceOf(machine, agent.file(fd), file);
      if (difference !== undefined) differences.push(`file ${hex(token)} of ${name}: ${difference}`);
    }
    if (!spec.keep) {
      session.finish();
      session.close();
    }
    progress("retrieving", i + 1, names.length);
  }
  if (differences.length === 0) return { detail: "retrieved as preserved", files, bytes };
  const detail = `${differences.length} of ${files} files came out otherwise than preserved; ${differences[0]}`;
  return { wrong: true, detail, files, bytes };
}

/** The process dies, and everything that it holds goes with it. */
export function exit({ agents, sessions, leaving, machine }: State, name: string): Result {
  const agent = agents.get(name);
  if (!agent) return { detail: "it held nothing" };
  const held = agent.fds.length;
  agent.exit();
  agents.delete(name);
  const alive = new Set(
    machine.kernel.luo ? machine.luo.sessions("outgoing").map((session) => session.name) : [],
  );
  const lost = [...sessions.keys()].filter((session) => !alive.has(session));
  for (const session of lost) {
    sessions.delete(session);
    leaving.delete(session);
  }
  const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;
  return { detail: `${plural(held, "descriptor")} closed, ${plural(lost.length, "session")} gone` };
}
