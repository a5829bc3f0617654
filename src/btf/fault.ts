import { KhoError } from "../report/error.js";

/** The error for BTF that contradicts itself. */
export const malformed = (message: string, expected?: string, actual?: string): KhoError =>
  new KhoError("btf-malformed", message, {
    ...(expected !== undefined && { expected }),
    ...(actual !== undefined && { actual }),
  });
