import { khoKexecMetadata } from "../../../formats/kho/layout.js";
import { KHO_METADATA_NODE_NAME } from "../../../formats/kho/metadata.js";
import { decodeHandover } from "../../handover/index.js";
import { decode, sizeOf } from "../../layout/index.js";
import { captureOf, type Machine } from "../../machine/index.js";
import type { PartVerdict } from "../verdict.js";
import { type Arrived, differs, failure, say } from "./arrived.js";

const part = "kexec_metadata";

/**
 * Who the predecessor was and how many kexecs there were, as the kernel reads it, and what it hands on itself. The machine
 * jumps: nothing can be asked of it afterwards.
 */
export function judgeMetadata({ truth, machine }: Arrived): PartVerdict[] {
  const written = truth.handover.kexecMetadata;
  if (!written) return [];
  if (machine.kernel.metadata === undefined)
    return [say(part, "lossy", `Linux ${machine.release} does not read it`)];
  try {
    const { abi } = machine.core;
    const { pa } = machine.kho.retrieveSubtree(KHO_METADATA_NODE_NAME);
    const bytes = machine.memory.read(pa, sizeOf(khoKexecMetadata, abi));
    const read = decode(khoKexecMetadata, bytes, 0, abi);
    if (read.previous_release !== written.previousRelease)
      return [
        say(part, "misread", differs("previous_release", written.previousRelease, read.previous_release)),
      ];
    const expected = (written.kexecCount + 1) % 2 ** 32;
    const count = handedOn(machine);
    if (count !== expected)
      return [say(part, "misread", differs("kexec_count of its own", String(expected), String(count)))];
    return [say(part, "works")];
  } catch (error) {
    return [failure(part, "reading it", error)];
  }
}

/** What this kernel says to its own successor. */
function handedOn(machine: Machine): number | undefined {
  const departure = machine.leave();
  if (departure.bootData === undefined) return undefined;
  const { pageSize } = departure.hardware.abi;
  return decodeHandover(captureOf(departure), {
    handoff: departure.bootData,
    release: departure.release,
    pageSize,
    mode: "forensic",
  }).handover.kexecMetadata?.kexecCount;
}
