import type { Stretch } from "../../machine/kho/blocks.js";
import { addressOf, type PhysAddr } from "../../memory/index.js";
import { KhoError } from "../../report/error.js";

/** Gives a block of `2 ** order` pages, aligned to its size, that nothing lies in. None comes twice. */
export type Vacancies = (order: number) => PhysAddr;

/**
 * Blocks out of ascending stretches of pages, highest addresses first: what a kernel misreads of a memory map is what is
 * far from where its bitmaps begin, and must not come out right by luck.
 * @throws KhoError `usage`, of a call, if there is no such block left
 */
export function newVacancies(stretches: readonly Stretch[], pageSize: number): Vacancies {
  const left = [...stretches];
  return (order) => {
    const size = 2 ** order;
    for (let i = left.length - 1; i >= 0; i--) {
      const { start, end } = left[i]!;
      const at = Math.floor((end - size) / size) * size;
      if (at < start) continue;
      left.splice(i, 1, { start, end: at }, { start: at + size, end });
      return addressOf(at, pageSize);
    }
    throw new KhoError("usage", `the machine has no room left for a block of ${size} pages`, {
      expected: "more memory than the side file says",
    });
  };
}
