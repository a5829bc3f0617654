import type { Subject } from "./measure.js";

/** What `npm run bench -- NAME` can choose: subjects that share their input. */
export interface Group {
  readonly name: string;
  /** Makes the input, compiles the peers. The short mode has less of it, where a peer is slow. */
  readonly subjects: (options: Options) => Promise<readonly Subject[]>;
}

export interface Options {
  readonly short: boolean;
}

/** Modules are loaded once they are chosen: the code of others is not in the way. */
export const groups: readonly Group[] = [
  { name: "fdt", subjects: async () => (await import("./fdt.js")).fdtSubjects() },
  { name: "bitmaps", subjects: async () => (await import("./bitmaps.js")).bitmapsSubjects() },
  { name: "map", subjects: async () => (await import("./map.js")).mapSubjects() },
  { name: "vmalloc", subjects: async () => (await import("./vmalloc.js")).vmallocSubjects() },
  { name: "folios", subjects: async () => (await import("./folios.js")).foliosSubjects() },
  { name: "lists", subjects: async () => (await import("./lists.js")).listsSubjects() },
  { name: "records", subjects: async () => (await import("./records.js")).recordsSubjects() },
  { name: "objects", subjects: async (options) => (await import("./objects.js")).objectsSubjects(options) },
  { name: "page-table", subjects: async () => (await import("./page-table.js")).pageTableSubjects() },
  { name: "handover", subjects: async () => (await import("./handover.js")).handoverSubjects() },
];
