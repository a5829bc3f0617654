import { isAtLeast, type Kernel } from "../../../formats/kernels.js";
import { chars, type Fields, type Struct, s32, struct, u32, u64 } from "../../layout/index.js";

const source = { header: "include/uapi/linux/liveupdate.h", since: "6.19" };

/** Type byte of every call. They have neither size nor direction bits. */
export const LIVEUPDATE_IOCTL_TYPE = 0xba;

/** The call with this number, as user space asks for it. */
const request = (nr: number): number => (LIVEUPDATE_IOCTL_TYPE << 8) | nr;

/** A call: its number and the structure that its argument points to, with `size` first. */
export interface Call<F extends CallFields = CallFields> {
  readonly request: number;
  readonly layout: Struct<F>;
}
export type CallFields = Fields & { readonly size: typeof u32 };

const call = <F extends CallFields>(
  nr: number,
  name: string,
  fields: F,
  since: string = source.since,
): Call<F> => ({ request: request(nr), layout: struct(name, fields, { ...source, since }) });

/** `name` has room for 63 bytes and a NUL. */
const name = chars(64);

/** Calls on the device. */
export const LIVEUPDATE_IOCTL_CREATE_SESSION = call(0x00, "liveupdate_ioctl_create_session", {
  size: u32,
  fd: s32,
  name,
});
export const LIVEUPDATE_IOCTL_RETRIEVE_SESSION = call(0x01, "liveupdate_ioctl_retrieve_session", {
  size: u32,
  fd: s32,
  name,
});

/** Calls on a session. */
export const LIVEUPDATE_SESSION_PRESERVE_FD = call(0x40, "liveupdate_session_preserve_fd", {
  size: u32,
  fd: s32,
  token: u64,
});
export const LIVEUPDATE_SESSION_RETRIEVE_FD = call(0x41, "liveupdate_session_retrieve_fd", {
  size: u32,
  fd: s32,
  token: u64,
});
export const LIVEUPDATE_SESSION_FINISH = call(0x42, "liveupdate_session_finish", {
  size: u32,
  reserved: u32,
});
export const LIVEUPDATE_SESSION_GET_NAME = call(
  0x43,
  "liveupdate_session_get_name",
  { size: u32, reserved: u32, name },
  "7.2",
);

/** True if a release has this call. */
export const hasCall = (kernel: Kernel, { layout }: Call): boolean => isAtLeast(kernel, layout.source.since);
