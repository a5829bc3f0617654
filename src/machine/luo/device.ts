import { isAtLeast } from "../../../formats/kernels.js";
import { errnoOf, refusal } from "../errno.js";
import { type File, openFile } from "../kernel.js";
import { type Command, command, dispatch, type IoctlInode, respondWithFd } from "./ioctl.js";
import { mustNotBlock, openSession } from "./session-file.js";
import { createSession, deserialize, retrieveSession } from "./sessions.js";
import type { LuoState } from "./state.js";
import { LIVEUPDATE_IOCTL_CREATE_SESSION, LIVEUPDATE_IOCTL_RETRIEVE_SESSION } from "./uapi.js";

/** Opens /dev/liveupdate, which one file at a time can do; the first open reads the incoming sessions. */
export function openDevice(luo: LuoState): File {
  if (!luo.enabled) throw refusal("ENOENT", "there is no /dev/liveupdate: live update is off");
  if (luo.inUse) throw refusal("EBUSY", "/dev/liveupdate is open");
  luo.inUse = true;
  const errno = takeOver(luo);
  if (errno !== undefined) {
    luo.inUse = false;
    throw refusal("EIO", `the incoming sessions could not be read: ${errno}`);
  }
  const inode: IoctlInode = {
    type: "/dev/liveupdate",
    opens: 0,
    release() {
      luo.inUse = false;
    },
    ioctl: (ioctl) => dispatch(luo, commands, { core: luo.core, enter: () => mustNotBlock(luo) }, ioctl),
  };
  return openFile(inode);
}

/** The errno that reading the incoming sessions came to, now or before. 6.19 and 7.0 remember a name clash alone. */
function takeOver(luo: LuoState): string | undefined {
  if (luo.deserialized) return luo.deserialized.errno;
  luo.deserialized = {};
  try {
    deserialize(luo);
    return undefined;
  } catch (error) {
    const errno = errnoOf(error);
    // The process died in the call, and what it held it holds for ever.
    if (errno === undefined) throw error;
    luo.core.log(`LUO: ${(error as Error).message}`);
    if (errno === "EEXIST" || isAtLeast(luo.core.kernel, "7.1")) luo.deserialized = { errno };
    return errno;
  }
}

const commands: readonly Command<LuoState>[] = [
  command(LIVEUPDATE_IOCTL_CREATE_SESSION, (luo, { value: { name }, fds, respond }) =>
    respondWithFd({ fds, respond }, () => openSession(luo, createSession(luo, name))),
  ),
  command(LIVEUPDATE_IOCTL_RETRIEVE_SESSION, (luo, { value: { name }, fds, respond }) =>
    respondWithFd({ fds, respond }, () => openSession(luo, retrieveSession(luo, name))),
  ),
];
