import type { File, Session } from "../../handover/index.js";
import {
  isMemfdFile,
  type LiveUpdateDevice,
  type LiveUpdateSession,
  type Process,
} from "../../machine/index.js";
import { hex } from "../../report/hex.js";
import type { PartVerdict } from "../verdict.js";
import { type Arrived, differs, failure, say } from "./arrived.js";
import { judgeMemfd } from "./memfd.js";
import { isOpaque, opaqueData } from "./opaque.js";

/** Descriptors that the program may have which takes everything over: one for every file there can be. */
const descriptors = 2 ** 21;

const sessionPart = ({ name }: Session): string => `sessions[${name}]`;

/** Sessions and their files, all of them retrieved by a program, as an agent does after the reboot, and finished. */
export function judgeSessions(arrived: Arrived): PartVerdict[] {
  const { truth, machine } = arrived;
  const sessions = truth.handover.luo?.sessions ?? [];
  const none = nobodyReads(arrived);
  if (none !== undefined) return sessions.map((session) => say(sessionPart(session), "lossy", none));
  const agent = machine.process({ descriptors });
  let device: LiveUpdateDevice;
  try {
    device = agent.openLiveUpdate();
  } catch (error) {
    const cause = machine.log.findLast((line) => line.startsWith("LUO:")) ?? "";
    const all = failure("", "opening /dev/liveupdate", error);
    const detail = cause === "" ? all.detail : `${all.detail} (${cause})`;
    return sessions.map((session) => ({ ...all, part: sessionPart(session), detail }));
  }
  const names = new Set(sessions.map(({ name }) => name));
  const invented = machine.luo
    .sessions("incoming")
    .filter(({ name }) => !names.has(name))
    .map(({ name }) => say(`sessions[${name}]`, "misread", differs("the session", "none", "one")));
  return [...sessions.flatMap((session) => judgeSession(arrived, agent, device, session)), ...invented];
}

/** Why no session is looked at; undefined if they are. */
function nobodyReads({ machine }: Arrived): string | undefined {
  if (!machine.kernel.luo) return `Linux ${machine.release} has no live update: nobody reads the session`;
  if (!machine.luo.enabled) return "live update is off: nobody reads the session";
  return undefined;
}

function judgeSession(
  { truth }: Arrived,
  agent: Process,
  device: LiveUpdateDevice,
  session: Session,
): PartVerdict[] {
  const part = sessionPart(session);
  let taken: LiveUpdateSession;
  try {
    taken = device.retrieveSession(session.name);
  } catch (error) {
    return [failure(part, "retrieving it", error)];
  }
  const tokens = new Map<bigint, number>();
  const files = session.files.map((file, i) => {
    const of = `${part}.files[${i}]`;
    const first = tokens.get(file.token);
    if (first !== undefined)
      return say(of, "lossy", `its token, ${hex(file.token)}, is that of files[${first}] and finds that`);
    tokens.set(file.token, i);
    return judgeFile(of, { taken, agent, file, truth });
  });
  try {
    taken.finish();
    taken.close();
  } catch (error) {
    // What is wrong with a file comes first, and tells why.
    return [...files, failure(part, "finishing it", error)];
  }
  return [say(part, "works"), ...files];
}

function judgeFile(
  part: string,
  one: { taken: LiveUpdateSession; agent: Process; file: File; truth: Arrived["truth"] },
): PartVerdict {
  const { taken, agent, file, truth } = one;
  try {
    const got = agent.file(taken.retrieve(file.token));
    if (isMemfdFile(got) && file.memfd) return judgeMemfd(part, got, file.memfd, truth);
    if (isOpaque(file.compatible) && opaqueData(got) === file.data)
      return say(part, "works", `${file.compatible} is not looked into: it is taken to be the same in both`);
    return say(part, "misread", differs("the file", file.compatible, got.inode.type));
  } catch (error) {
    return failure(part, `retrieving ${file.compatible} ${hex(file.token)}`, error);
  }
}
