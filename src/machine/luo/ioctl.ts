import {
  type Abi,
  decode,
  encodeInto,
  type Layout,
  memberOf,
  sizeOf,
  u32,
  type ValueOf,
} from "../../layout/index.js";
import { KhoError } from "../../report/error.js";
import { refusal } from "../errno.js";
import { type File, type Inode, type KernelCore, putFile } from "../kernel.js";
import { type Call, type CallFields, hasCall } from "./uapi.js";

/** Descriptors of the process that calls. */
export interface FdTable {
  /** @throws refusal EBADF */
  file(fd: number): File;
  /** Takes the lowest free number. @throws refusal EMFILE */
  reserve(): number;
  /** Gives up a number that was reserved. */
  unreserve(fd: number): void;
  /** Puts a file behind a number that was reserved; the table takes the caller's reference. */
  place(fd: number, file: File): void;
}

/** An ioctl as it arrives. */
export interface Ioctl {
  readonly fds: FdTable;
  /** 32 bits. */
  readonly request: number;
  /** The memory that the argument points to, as far as it can be read; results are written into it. */
  readonly arg: Uint8Array | undefined;
  /** True if it can be read but not written. */
  readonly readOnly: boolean;
}

/** An inode that has calls of its own. */
export interface IoctlInode extends Inode {
  ioctl(ioctl: Ioctl): void;
}

/** True for an inode with calls of its own; all others answer ENOTTY. */
export const hasIoctls = (inode: Inode): inode is IoctlInode => "ioctl" in inode;

/** A call in the making: its argument, and the way back. */
export interface Request<V> {
  readonly value: V;
  readonly fds: FdTable;
  /** Copies results back to user space. @throws refusal EFAULT */
  respond(results?: Partial<V>): void;
}

/** A call with what carries it out. */
export interface Command<On> {
  readonly call: Call;
  /** Which kind of session takes it, since 7.1; either unless given. */
  readonly kind?: "outgoing" | "incoming";
  run(on: On, request: Request<never>): void;
}

/** Binds a call to its code. */
export const command = <On, F extends CallFields>(
  call: Call<F>,
  run: (on: On, request: Request<ValueOf<Call<F>["layout"]>>) => void,
  kind?: "outgoing" | "incoming",
): Command<On> => ({
  call: call as unknown as Call,
  run: run as Command<On>["run"],
  ...(kind && { kind }),
});

/** What the checks that all calls share depend on. */
export interface Checks {
  readonly core: KernelCore;
  /** Throws EINVAL for a command that this file does not take, whatever its argument. */
  admit?(kind: "outgoing" | "incoming" | undefined): void;
  /** Called when the argument is in order. */
  enter(): void;
}

/** Finds the command and makes the checks that all calls share, in the kernel's order. */
export function dispatch<On>(
  on: On,
  commands: readonly Command<On>[],
  { core, admit, enter }: Checks,
  { fds, request, arg, readOnly }: Ioctl,
): void {
  const nr = request & 0xff;
  const found = commands.find(({ call }) => (call.request & 0xff) === nr && hasCall(core.kernel, call));
  if (!found) throw refusal("EINVAL", `no call of this file has the number ${nr}`);
  const size = readSize(arg, core.abi);
  if (request >>> 0 !== found.call.request)
    throw refusal("ENOTTY", `the call ${nr} has another type, or bits that it does not have`);
  admit?.(found.kind);
  const { layout } = found.call;
  const bytes = copyIn(arg!, size, sizeOf(layout, core.abi), layout.name);
  enter();
  const respond = (results: Record<string, unknown> = {}): void => {
    for (const [name, value] of Object.entries(results)) {
      const member = memberOf(layout, name as "size", core.abi);
      encodeInto(member.layout as Layout, value as never, bytes, member.offset, core.abi);
    }
    if (readOnly) throw refusal("EFAULT", "the argument cannot be written");
    arg!.set(bytes);
  };
  found.run(on, { value: decode(layout, bytes, 0, core.abi) as never, fds, respond });
}

function readSize(arg: Uint8Array | undefined, abi: Abi): number {
  if (!arg || arg.length < sizeOf(u32, abi))
    throw refusal("EFAULT", "the size of the argument cannot be read");
  return decode(u32, arg, 0, abi);
}

/** What the kernel takes of an argument of `size` bytes: all that it knows, if the rest is zeros. */
function copyIn(arg: Uint8Array, size: number, known: number, name: string): Uint8Array {
  if (size < known) throw refusal("EINVAL", `${name} has ${known} bytes, the argument says ${size}`);
  if (arg.subarray(known, size).some((byte) => byte !== 0))
    throw refusal("E2BIG", `bytes behind the ${known} of ${name} are not zero`);
  if (arg.length < size) throw refusal("EFAULT", `${size} bytes of argument, ${arg.length} can be read`);
  return arg.slice(0, known);
}

/** A call that never returns. */
export const blocksForEver = (what: string): KhoError =>
  new KhoError("machine-misuse", `the call blocks for ever: ${what}`);

/**
 * Answers with a new descriptor. The number is taken before the file is opened, and both are given up if the answer
 * cannot be written.
 */
export function respondWithFd(
  { fds, respond }: Pick<Request<{ fd: number }>, "fds" | "respond">,
  open: () => File,
): void {
  const fd = fds.reserve();
  try {
    const file = open();
    try {
      respond({ fd });
    } catch (error) {
      putFile(file);
      throw error;
    }
    fds.place(fd, file);
  } catch (error) {
    fds.unreserve(fd);
    throw error;
  }
}
