/** What rows of the release table have in common. */
import type { Kernel } from "../../formats/kernels.js";

/** What a row says of formats; not its name, nor how sure it is. */
function formatsOf({ release: _, evidence: __, ...formats }: Kernel): Omit<Kernel, "release" | "evidence"> {
  return formats;
}

/** Names of what differs in two rows. */
export function differing(a: Kernel, b: Kernel): (keyof Kernel)[] {
  const [some, others] = [formatsOf(a), formatsOf(b)] as [Partial<Kernel>, Partial<Kernel>];
  const keys = new Set([...Object.keys(some), ...Object.keys(others)] as (keyof Kernel)[]);
  return [...keys].filter((key) => some[key] !== others[key]);
}
