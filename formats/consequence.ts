import type { Consequence } from "../src/report/finding.js";

/** KHO as a whole is ignored: the machine boots as if cold and everything preserved is lost. */
export const khoIgnored = (errno?: string): Consequence => ({
  outcome: "ignored",
  phase: "boot",
  all: true,
  ...(errno && { errno }),
});
/** The boot stops: panic, unhandled fault or endless loop. */
export const bootStops = (detail: string, errno?: string): Consequence => ({
  outcome: "panic",
  phase: "boot",
  all: true,
  detail,
  ...(errno && { errno }),
});
/** LUO panics on purpose, because going on with memory in an unknown state is considered worse. */
export const luoPanics = (errno: string): Consequence =>
  bootStops("live update stops the boot on purpose", errno);
/** Every open of /dev/liveupdate fails with EIO; the kernel logs `errno`. All sessions are out of reach. */
export const openFails = (errno: string): Consequence => ({
  outcome: "refused",
  phase: "open",
  all: true,
  errno,
});
/** The first open of /dev/liveupdate runs into an unhandled fault. */
export const openOops = (detail: string): Consequence => ({
  outcome: "panic",
  phase: "open",
  all: true,
  detail,
});
/** Retrieving this one file fails with `errno`, now and on every further try. */
export const retrieveFails = (errno: string): Consequence => ({
  outcome: "refused",
  phase: "retrieve",
  errno,
});
/** Retrieving this one file runs into an unhandled fault that kills the calling process. */
export const retrieveOops: Consequence = {
  outcome: "panic",
  phase: "retrieve",
  detail: "unhandled fault in the retrieve call",
};
/** The bytes are accepted and taken for something else. */
export const misread = (phase: Consequence["phase"], detail: string): Consequence => ({
  outcome: "misread",
  phase,
  detail,
});
/** This one item is dropped. */
export const itemIgnored = (
  detail: string,
  errno?: string,
  phase: Consequence["phase"] = "boot",
): Consequence => ({
  outcome: "ignored",
  phase,
  detail,
  ...(errno && { errno }),
});
