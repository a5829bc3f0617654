import { KhoError } from "../../../src/report/error.js";

/** What encoders throw for a value that cannot be written. */
export const valueRange = (path: string, expected: string, actual: string): KhoError =>
  new KhoError("value-range", `${path}: expected ${expected}, got ${actual}`, { path, expected, actual });
