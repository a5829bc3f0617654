import { isAtLeast } from "../../../formats/kernels.js";
import { refusal } from "../errno.js";
import { type File, openFile } from "../kernel.js";
import { finishFiles, preserveFile, retrieveFile } from "./files.js";
import { blocksForEver, type Command, command, dispatch, type IoctlInode, respondWithFd } from "./ioctl.js";
import { closeSession } from "./sessions.js";
import type { LuoState, Session } from "./state.js";
import {
  LIVEUPDATE_SESSION_FINISH,
  LIVEUPDATE_SESSION_GET_NAME,
  LIVEUPDATE_SESSION_PRESERVE_FD,
  LIVEUPDATE_SESSION_RETRIEVE_FD,
} from "./uapi.js";

interface Open {
  readonly luo: LuoState;
  readonly session: Session;
}

/** A session as an open file. The last close unpreserves an outgoing one and finishes an incoming one. */
export function openSession(luo: LuoState, session: Session): File {
  const open: Open = { luo, session };
  const { core } = luo;
  const inode: IoctlInode = {
    type: `[luo_session] ${session.name}`,
    opens: 0,
    release: () => closeSession(luo, session),
    ioctl: (ioctl) =>
      dispatch(
        open,
        commands,
        { core, admit: (kind) => admit(open, kind), enter: () => mustNotBlock(luo) },
        ioctl,
      ),
  };
  return openFile(inode);
}

/** Once the reboot has got past serializing it holds the lock that every call takes, and keeps it. */
export function mustNotBlock({ locked }: LuoState): void {
  if (locked) throw blocksForEver("the reboot holds every session");
}

/** Before 7.1 every session takes every call. */
function admit({ luo, session }: Open, kind: "outgoing" | "incoming" | undefined): void {
  if (kind === undefined || kind === session.kind || !isAtLeast(luo.core.kernel, "7.1")) return;
  throw refusal("EINVAL", `the call is for ${kind} sessions`);
}

const commands: readonly Command<Open>[] = [
  command(
    LIVEUPDATE_SESSION_PRESERVE_FD,
    ({ luo, session }, { value: { fd, token }, fds, respond }) => {
      preserveFile(luo, session.set, token, () => fds.file(fd));
      // If this fails, the file stays preserved.
      respond();
    },
    "outgoing",
  ),
  command(
    LIVEUPDATE_SESSION_RETRIEVE_FD,
    ({ luo, session }, { value: { token }, fds, respond }) =>
      respondWithFd({ fds, respond }, () => retrieveFile(luo, session.set, token)),
    "incoming",
  ),
  command(
    LIVEUPDATE_SESSION_FINISH,
    ({ luo, session }, { value: { reserved }, respond }) => {
      if (isAtLeast(luo.core.kernel, "7.2")) mustBeZero(reserved);
      finishFiles(luo, session.set);
      respond();
    },
    "incoming",
  ),
  command(LIVEUPDATE_SESSION_GET_NAME, ({ session }, { value: { reserved }, respond }) => {
    mustBeZero(reserved);
    respond({ name: session.name });
  }),
];

function mustBeZero(reserved: number): void {
  if (reserved !== 0) throw refusal("EINVAL", "the reserved field is not 0");
}
