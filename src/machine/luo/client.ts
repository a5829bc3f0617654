import { type Abi, decode, encode, sizeOf, type ValueOf } from "../../layout/index.js";
import type { File } from "../kernel.js";
import {
  type Call,
  type CallFields,
  LIVEUPDATE_IOCTL_CREATE_SESSION,
  LIVEUPDATE_IOCTL_RETRIEVE_SESSION,
  LIVEUPDATE_SESSION_FINISH,
  LIVEUPDATE_SESSION_GET_NAME,
  LIVEUPDATE_SESSION_PRESERVE_FD,
  LIVEUPDATE_SESSION_RETRIEVE_FD,
} from "./uapi.js";

/** The system calls that live update is used with. */
export interface SystemCalls {
  /** Another descriptor of an open file. */
  share(file: File): number;
  close(fd: number): void;
  ioctl(fd: number, request: number, arg: Uint8Array): void;
}

/** A session that this process holds a descriptor of. */
export interface LiveUpdateSession {
  readonly fd: number;
  /** As it was asked for. */
  readonly name: string;
  /** Preserves a file under a token, any u64. Of an open file without a descriptor, one is made for the call. */
  preserve(file: number | File, token: bigint): void;
  /** A new descriptor of the file of that token. */
  retrieve(token: bigint): number;
  finish(): void;
  /** Since 7.2. */
  getName(): string;
  close(): void;
}

/** /dev/liveupdate, opened by this process. */
export interface LiveUpdateDevice {
  readonly fd: number;
  /** Names are bytes, at most 63 of them: text that is no UTF-8 is written as `textFromBytes` gives it. */
  createSession(name: string): LiveUpdateSession;
  retrieveSession(name: string): LiveUpdateSession;
  close(): void;
}

/** Calls on an open device, in the form that users write them in. */
export function liveUpdateDevice(calls: SystemCalls, fd: number, abi: Abi): LiveUpdateDevice {
  /** Runs a call with its structure, and reads the structure again. `size` is that of the structure. */
  function run<F extends CallFields>(
    on: number,
    { request, layout }: Call<F>,
    value: Omit<ValueOf<Call<F>["layout"]>, "size">,
  ): ValueOf<Call<F>["layout"]> {
    const arg = encode(layout, { size: sizeOf(layout, abi), ...value } as never, abi);
    calls.ioctl(on, request, arg);
    return decode(layout, arg, 0, abi);
  }

  const session = (at: number, name: string): LiveUpdateSession => ({
    fd: at,
    name,
    preserve(file, token) {
      const own = typeof file === "number" ? undefined : calls.share(file);
      try {
        run(at, LIVEUPDATE_SESSION_PRESERVE_FD, { fd: own ?? (file as number), token });
      } finally {
        if (own !== undefined) calls.close(own);
      }
    },
    retrieve: (token) => run(at, LIVEUPDATE_SESSION_RETRIEVE_FD, { fd: -1, token }).fd,
    finish() {
      run(at, LIVEUPDATE_SESSION_FINISH, { reserved: 0 });
    },
    getName: () => run(at, LIVEUPDATE_SESSION_GET_NAME, { reserved: 0, name: "" }).name,
    close: () => calls.close(at),
  });

  return {
    fd,
    createSession: (name) => session(run(fd, LIVEUPDATE_IOCTL_CREATE_SESSION, { fd: -1, name }).fd, name),
    retrieveSession: (name) => session(run(fd, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, { fd: -1, name }).fd, name),
    close: () => calls.close(fd),
  };
}
