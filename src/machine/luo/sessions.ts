import { isAtLeast } from "../../../formats/kernels.js";
import { luoSessionSer } from "../../../formats/luo/layout.js";
import { bytesFromText, memberOf, textFromBytes } from "../../layout/index.js";
import { errnoOf, refusal } from "../errno.js";
import type { KernelCore } from "../kernel.js";
import { addFile, finishFiles, freeCarrying, newFileSet, unpreserveFiles } from "./files.js";
import type { IncomingFault, IncomingSession } from "./incoming.js";
import { blocksForEver } from "./ioctl.js";
import { oops } from "./oops.js";
import type { FileSet, LuoState, Session } from "./state.js";

/** Adds an outgoing session. `asked` is the name as user space gave it: 64 bytes if it has no NUL. */
export function createSession(luo: LuoState, asked: string): Session {
  const { core, outgoing } = luo;
  const name = nameOf(core, asked);
  allocateSession(core);
  // Room is made before the name is looked at, and stays: from 7.2 on a full list gets an empty block.
  luo.sessionStore.reserve(outgoing.size);
  if (outgoing.has(name)) throw refusal("EEXIST", "there is a session of this name");
  const session: Session = { kind: "outgoing", name, set: newFileSet(core), retrieved: false };
  outgoing.set(name, session);
  return session;
}

function nameOf({ abi, kernel }: KernelCore, asked: string): string {
  const most = memberOf(luoSessionSer, "name", abi).size - 1;
  const bytes = bytesFromText(asked);
  if (!isAtLeast(kernel, "7.1")) return textFromBytes(bytes.subarray(0, most));
  if (bytes.length === 0 || bytes.length > most)
    throw refusal("EINVAL", `a session's name has 1 to ${most} bytes and a NUL`);
  return asked;
}

function allocateSession({ faults }: KernelCore): void {
  if (faults.allocation?.("luo session", 0)) throw refusal("ENOMEM", "no memory for a session");
}

/** Marks an incoming session as taken. */
export function retrieveSession({ incoming }: LuoState, name: string): Session {
  const session = incoming.get(name);
  if (!session) throw refusal("ENOENT", "no session of this name was handed over");
  if (session.retrieved) throw refusal("EINVAL", "the session has been retrieved");
  session.retrieved = true;
  return session;
}

/** What becomes of a session whose last descriptor is closed. */
export function closeSession(luo: LuoState, session: Session): void {
  const { core, incoming, outgoing, sessionStore } = luo;
  if (luo.locked) throw blocksForEver("the reboot holds every session");
  if (session.kind === "outgoing") {
    unpreserveFiles(luo, session.set);
    outgoing.delete(session.name);
    sessionStore.trim(outgoing.size);
    return;
  }
  try {
    finishFiles(luo, session.set);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    core.log(`LUO: session ${session.name} cannot be finished and is held until the reboot`);
    return;
  }
  if (session.incomplete) core.log(`WARNING: session ${session.name} had files that were not taken over`);
  incoming.delete(session.name);
}

/**
 * Builds the incoming sessions; what goes wrong is thrown, and what has been built stays. Up to 7.0 a session whose
 * files cannot be taken over keeps those before the first that cannot.
 */
export function deserialize(luo: LuoState): void {
  const { core, incoming, received } = luo;
  if (!received) return;
  for (const from of received.sessions) {
    allocateSession(core);
    if (incoming.has(from.name)) throw refusal("EEXIST", `two sessions are called ${from.name}`);
    const set = newFileSet(core, from.carrying);
    if (from.warning !== undefined) core.log(`WARNING: session ${from.name}: ${from.warning}`);
    const fault = takeFiles(luo, set, from);
    const ignored = fault !== undefined && !isAtLeast(core.kernel, "7.1");
    incoming.set(from.name, {
      kind: "incoming",
      name: from.name,
      set,
      retrieved: false,
      ...(ignored && { incomplete: true }),
    });
    if (ignored) core.log(`LUO: session ${from.name}: ${fault.message}`);
    else if (fault) throw fault;
  }
  if (received.fault) throw faultOf(received.fault);
  freeCarrying(core, received.carrying);
}

/** Binds files to their handlers; the first that has none ends it. An oops is thrown whatever the release. */
function takeFiles(luo: LuoState, set: FileSet, { files, fault }: IncomingSession): Error | undefined {
  if (fault?.ofList) return thrownOrReturned(fault);
  for (const { compatible, data, token } of files) {
    const by = luo.handlers.find(({ handler }) => handler.compatible === compatible);
    if (!by) return refusal("ENOENT", `no handler ${compatible}`);
    addFile(set, { by, data, token, status: "untried" });
  }
  return fault && thrownOrReturned(fault);
}

/** An oops is thrown: there is nobody left to return anything to. */
function thrownOrReturned(fault: IncomingFault): Error {
  const error = faultOf(fault);
  if (errnoOf(error) === undefined) throw error;
  return error;
}

/** An error of the kernel's own, or an access that kills the process. */
const faultOf = ({ errno, detail }: IncomingFault): Error =>
  errno === undefined ? oops(detail, "open") : refusal(errno, detail);
