import { isKhoError, KhoError } from "../report/error.js";

/** Errors that the modelled calls return, with Linux's numbers. include/uapi/asm-generic/errno{,-base}.h */
export const errnos = {
  EPERM: 1,
  ENOENT: 2,
  /** What a number of libfdt's, FDT_ERR_NOSPACE, is taken for when it gets out. */
  ESRCH: 3,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EMFILE: 24,
  ENOTTY: 25,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  ERANGE: 34,
  ENODATA: 61,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  ENOTRECOVERABLE: 131,
} as const;

/** Name of an errno, without the minus. */
export type Errno = keyof typeof errnos;

/** What a simulated kernel's call throws: code `refused`, and the errno in `consequence`. */
export function refusal(errno: Errno, message: string, path = ""): KhoError {
  return new KhoError("refused", message, {
    path,
    consequence: { outcome: "refused", phase: "call", errno },
  });
}

/** The errno of a call that a simulated kernel refused; undefined for any other error. */
export function errnoOf(error: unknown): Errno | undefined {
  if (!isKhoError(error, "refused")) return undefined;
  const errno = error.consequence?.errno;
  return errno !== undefined && errno in errnos ? (errno as Errno) : undefined;
}

/** Runs a call as a system call would be seen: its value, or the name of the errno. Other errors pass. */
export function attempt<T>(call: () => T): { readonly value: T } | { readonly errno: Errno } {
  try {
    return { value: call() };
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return { errno };
  }
}
