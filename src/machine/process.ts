import type { Abi } from "../layout/index.js";
import { KhoError } from "../report/error.js";
import { refusal } from "./errno.js";
import { type File, getFile, putFile } from "./kernel.js";
import { type LiveUpdateDevice, liveUpdateDevice } from "./luo/client.js";
import { type FdTable, hasIoctls } from "./luo/ioctl.js";
import type { Luo } from "./luo/luo.js";

/** What a process runs on. */
export interface ProcessOptions {
  /** Absent where the kernel has no live update. */
  readonly luo?: Luo | undefined;
  readonly abi: Abi;
  /** RLIMIT_NOFILE: descriptors that it may have. */
  readonly descriptors?: number;
}

/** A process: a table of descriptors, which is all of it that live update sees. */
export interface Process {
  /** False after {@link exit}. */
  readonly alive: boolean;
  /** Descriptors in use, ascending. */
  readonly fds: number[];
  /** The open file behind a descriptor. @throws refusal EBADF */
  file(fd: number): File;
  /** Puts an open file behind the lowest free descriptor, with the caller's reference. @throws refusal EMFILE */
  install(file: File): number;
  /** Another descriptor of the same open file. */
  dup(fd: number): number;
  /** Another descriptor of the same open file in another process, as over a socket. */
  pass(fd: number, to: Process): number;
  close(fd: number): void;
  /** Ends the process, however it dies: all descriptors are closed, lowest first. */
  exit(): void;
  /**
   * The system call with a raw argument, whose end is where readable memory ends; results are written into it. `readOnly`
   * is for memory that cannot be written.
   */
  ioctl(fd: number, request: number, arg: Uint8Array | undefined, readOnly?: boolean): void;
  /** Opens /dev/liveupdate. @throws refusal ENOENT, EBUSY, EIO */
  openLiveUpdate(): LiveUpdateDevice;
}

/** A process without descriptors. It is gone, with the kernel, when the machine jumps. */
export function newProcess({ luo, abi, descriptors = 1024 }: ProcessOptions): Process {
  const table = new Map<number, File>();
  const reserved = new Set<number>();
  /** No number below is free. */
  let lowest = 0;
  let alive = true;

  const mustLive = (): void => {
    if (!alive) throw new KhoError("machine-misuse", "the process has exited");
  };

  const fds: FdTable = {
    file(fd) {
      mustLive();
      const file = table.get(fd);
      if (!file) throw refusal("EBADF", `descriptor ${fd} is not open`);
      return file;
    },
    reserve() {
      mustLive();
      while (table.has(lowest) || reserved.has(lowest)) lowest++;
      if (lowest >= descriptors) throw refusal("EMFILE", `all ${descriptors} descriptors are in use`);
      reserved.add(lowest);
      return lowest;
    },
    unreserve(fd) {
      reserved.delete(fd);
      lowest = Math.min(lowest, fd);
    },
    place(fd, file) {
      reserved.delete(fd);
      table.set(fd, file);
    },
  };

  function install(file: File): number {
    const fd = fds.reserve();
    fds.place(fd, file);
    return fd;
  }

  /** Another descriptor, with a reference of its own. */
  function share(file: File, install: (file: File) => number): number {
    getFile(file);
    try {
      return install(file);
    } catch (error) {
      putFile(file);
      throw error;
    }
  }

  function close(fd: number): void {
    const file = fds.file(fd);
    table.delete(fd);
    lowest = Math.min(lowest, fd);
    putFile(file);
  }

  function ioctl(fd: number, request: number, arg: Uint8Array | undefined, readOnly = false): void {
    const { inode } = fds.file(fd);
    if (!hasIoctls(inode)) throw refusal("ENOTTY", `a file of type ${inode.type} has no calls`);
    inode.ioctl({ fds, request, arg, readOnly });
  }

  const numbers = (): number[] => [...table.keys()].sort((a, b) => a - b);

  return {
    get alive() {
      return alive;
    },
    get fds() {
      return numbers();
    },
    file: fds.file,
    install,
    dup: (fd) => share(fds.file(fd), install),
    pass: (fd, to) => share(fds.file(fd), to.install),
    close,
    exit() {
      for (const fd of numbers()) close(fd);
      alive = false;
    },
    ioctl,
    openLiveUpdate() {
      mustLive();
      if (!luo) throw refusal("ENOENT", "there is no /dev/liveupdate");
      const fd = fds.reserve();
      try {
        fds.place(fd, luo.openDevice());
      } catch (error) {
        fds.unreserve(fd);
        throw error;
      }
      return liveUpdateDevice({ share: (file) => share(file, install), close, ioctl }, fd, abi);
    },
  };
}
