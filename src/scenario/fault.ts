import { type FaultDetail, isKhoError, KhoError } from "../report/error.js";

/** What is wrong with a scenario; `path` says where: `kernels[1].steps[0].sessions.files[2]`. */
export const malformed = (
  path: string,
  message: string,
  detail: Pick<FaultDetail, "expected" | "actual" | "cause"> = {},
): KhoError => new KhoError("scenario-malformed", message, { path, ...detail });

/** Says of what turns out to be impossible where the scenario asks for it. */
export function within<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    if (!isKhoError(cause) || cause.code === "scenario-malformed") throw cause;
    const { message, expected, actual } = cause;
    throw malformed(path, message, {
      cause,
      ...(expected !== undefined && { expected }),
      ...(actual !== undefined && { actual }),
    });
  }
}
