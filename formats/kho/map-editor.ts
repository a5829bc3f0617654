/**
 * A memory map that is written while blocks are preserved. Blocks are `count` adjacent ones of `2 ** order` pages, the
 * first naturally aligned.
 * @throws KhoError `value-range` for blocks that there cannot be, `limit-exceeded` for more at once than a decoder follows
 */
export interface MapEditor {
  /** Adds blocks; twice is once. What the allocation throws goes on, and this call has added nothing then. */
  add(order: number, pfn: number, count: number): void;
  /** Takes blocks out, as far as they are in. Leaves and bitmaps stay, also empty ones. */
  remove(order: number, pfn: number, count: number): void;
  /** True if the map has exactly this block. */
  has(order: number, pfn: number): boolean;
}
