import type { Pfn } from "../memory/index.js";
import { refusal } from "./errno.js";
import type { Faults } from "./faults.js";
import type { PageAllocator } from "./pages.js";
import type { Ram } from "./ram.js";

/** What allocating needs. */
export interface Memories {
  readonly ram: Ram;
  readonly pages: PageAllocator;
  readonly faults: Faults;
}

/**
 * Takes a block of `2 ** order` zeroed pages. `what` names the purpose, for fault injection and for who looks at what is
 * held. @throws KhoError `refused` with ENOMEM
 */
export function allocateZeroed(
  { ram, pages, faults }: Memories,
  order: number,
  what: string,
  node?: number,
): Pfn {
  const pfn = faults.allocation?.(what, order) ? undefined : pages.allocate(order, what, node);
  if (pfn === undefined) throw refusal("ENOMEM", `no block of order ${order} for ${what}`);
  ram.zero(pfn, 2 ** order);
  return pfn;
}
