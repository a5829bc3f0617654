import type { PhysAddr } from "../../memory/index.js";
import type { Errno } from "../errno.js";

/** What a kernel runs into when it reads what its predecessor wrote. */
export interface IncomingFault {
  /** What it logs; absent if it is no error of its own but an access that kills the process, an oops. */
  readonly errno?: Errno;
  readonly detail: string;
}

/** What is wrong with a session. */
export interface IncomingSessionFault extends IncomingFault {
  /** It is of the list of blocks, which is gone through before any file in it is looked at. */
  readonly ofList: boolean;
}

/** A file that the previous kernel preserved. */
export interface IncomingFile {
  readonly compatible: string;
  readonly data: bigint;
  readonly token: bigint;
}

/** A session that the previous kernel handed over. */
export interface IncomingSession {
  /** Cut to 63 bytes. */
  readonly name: string;
  readonly files: readonly IncomingFile[];
  /** What is wrong behind these files, or with the list of them. */
  readonly fault?: IncomingSessionFault;
  /** What is logged of a session that says that it has files, and not where. */
  readonly warning?: string;
  /** First bytes of the preserved blocks that hold the records of the files; freed when the session is finished. */
  readonly carrying: readonly PhysAddr[];
}

/** An object that files shared. */
export interface IncomingFlb {
  readonly name: string;
  readonly data: bigint;
  /** References when it was serialized. */
  readonly count: bigint;
}

/** Live-update state as the boot code found it, past the checks that stop the boot. */
export interface IncomingLuo {
  /** `liveupdate-number`. */
  readonly number: bigint;
  /** In the order of the records. */
  readonly sessions: readonly IncomingSession[];
  /** What is wrong behind these sessions. */
  readonly fault?: IncomingFault;
  /** Absent if there is no FLB data at all, which is not the same as none listed. */
  readonly flbs?: readonly IncomingFlb[];
  /** What a search for one that is not among them runs into. */
  readonly flbFault?: IncomingFault;
  /** First bytes of the preserved blocks that hold the records of the sessions; freed by the first open. */
  readonly carrying: readonly PhysAddr[];
}
