import { isAtLeast } from "../../../formats/kernels.js";
import { physAddr } from "../../memory/index.js";
import { errnoOf, refusal } from "../errno.js";
import { freezeFiles, unfreezeFiles } from "./files.js";
import { writeFlbs } from "./flb.js";
import { blocksForEver } from "./ioctl.js";
import type { Roots } from "./root.js";
import type { LuoState, Session } from "./state.js";

/**
 * What `reboot(KEXEC)` does before the jump. If it is refused, everything is still preserved, and it may be tried again.
 * Since 7.1 there is no way back from a success: all later calls block.
 */
export function serialize(luo: LuoState, roots: Roots): void {
  const { core, outgoing } = luo;
  if (luo.locked) throw blocksForEver("a reboot is on its way");
  const frozen: Session[] = [];
  try {
    for (const session of outgoing.values()) {
      freezeFiles(luo, session);
      frozen.push(session);
    }
  } catch (error) {
    for (const session of frozen.toReversed()) unfreezeFiles(luo, session.set);
    luo.sessionStore.clear(frozen.length);
    throw error;
  }
  luo.sessionStore.write(
    frozen.map(({ name, set: { files, store } }) => ({
      name,
      file_set_ser: { files: files.length > 0 ? store.head() : physAddr(0), count: BigInt(files.length) },
    })),
  );
  roots.setSessions(luo.sessionStore.head());
  if (roots.flbPage !== undefined) writeFlbs(luo, roots.flbPage);
  if (isAtLeast(core.kernel, "7.1")) luo.locked = true;
  else finalize(luo);
}

/** 6.19 and 7.0 write the memory map now. A failure leaves the files frozen. */
function finalize({ core }: LuoState): void {
  try {
    core.kho.finalize();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    throw refusal("EAGAIN", `KHO cannot be finalized: ${errno}`);
  }
}
