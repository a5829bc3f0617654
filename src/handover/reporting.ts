import type { Context } from "../../formats/context.js";
import type { Image } from "../image/image.js";

/** How a decoding reports, and what it has learnt about the image from that. */
export interface Reporting {
  readonly report: Context["report"];
  /** True once the copy of a tree turned out to be cut. */
  readonly truncated: boolean;
}

/** What only follows from a tree that was cut. */
const derived = new Set([
  "property-missing",
  "property-bad-length",
  "compatible-unknown",
  "bad-address",
  "fdt-bad-string",
]);

/**
 * Files copied from debugfs, and single trees, are all there is: what they point to is not missing, it was never copied,
 * and a tree that ends early was cut by the copying. Says so, instead of calling it damage.
 */
export function reportingFor(image: Image, judge: Context["report"]): Reporting {
  if (image.kind !== "debugfs" && image.kind !== "fdt") return { report: judge, truncated: false };
  let truncated = false;
  return {
    get truncated() {
      return truncated;
    },
    report(severity, code, message, place) {
      const quiet = { ...place, consequence: undefined };
      if (code === "fdt-truncated") {
        truncated = true;
        const cut = "the copied file ends inside the tree, as debugfs makes it from 6.19 on";
        judge(severity === "info" ? "info" : "warning", "truncated-capture", cut, quiet);
      } else if (code === "memory-absent" || code === "map-missing" || (truncated && derived.has(code)))
        judge("info", code, message, quiet);
      else judge(severity, code, message, place);
    },
  };
}
