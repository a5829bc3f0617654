import type { Context } from "../../formats/context.js";
import type { Image } from "../image/image.js";

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
export function reportFor(image: Image, judge: Context["report"]): Context["report"] {
  if (image.kind !== "debugfs" && image.kind !== "fdt") return judge;
  let truncated = false;
  return (severity, code, message, place) => {
    const quiet = { ...place, consequence: undefined };
    if (code === "fdt-truncated") {
      truncated = true;
      const cut = "the copied file ends inside the tree, as debugfs makes it from 6.19 on";
      judge(severity === "info" ? "info" : "warning", "truncated-capture", cut, quiet);
    } else if (code === "memory-absent" || code === "map-missing" || (truncated && derived.has(code)))
      judge("info", code, message, quiet);
    else judge(severity, code, message, place);
  };
}
