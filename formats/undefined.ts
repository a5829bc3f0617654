/**
 * Every kind of byte in a handover that no kernel defines: who reads them must not look, who compares two handovers
 * must leave them out. This is the only list; encoders refer to it by name.
 */
export const undefinedBytes = {
  "fdt-slack": "a tree's page behind its totalsize: leftovers of libfdt's edits",
  "records-beyond-count":
    "records of an area, block or page behind its count: stale ones of an earlier try, or zeros",
  "array-tail": "a vmalloc area behind the last entry that its user counts",
  "page-tail": "the rest of a page behind the one structure in it",
  "slab-neighbours": "what shares a page with 512-byte bitmaps of the memory map: other objects of the slab",
  "boot-neighbours":
    "what shares a page with the hand-off record or the scratch array: other data of the boot loader",
} as const;

/** Name of one kind of {@link undefinedBytes}. */
export type Undefined = keyof typeof undefinedBytes;
