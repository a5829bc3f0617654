/** What every release, and every development kernel between them, writes: facts, not code under test. */

export interface Luo {
  compatible: "luo-v1" | "luo-v2" | "luo-v3" | "luo-v4" | "luo-v5";
  /** The tree with everything in properties, a tree that points to a structure, or the structure itself. */
  root: "properties" | "pointer" | "structure";
  sessions: "area" | "blocks";
  files: "area" | "blocks";
  flb: boolean;
}

export interface Form {
  label: string;
  /** A row of the release table whose reader takes these bytes, or comes closest. */
  release: string;
  /** True for what no release writes. */
  development?: boolean;
  kho: "kho-v1" | "kho-v2" | "kho-v3" | "kho-v4";
  /** Bytes of a bitmap, or the radix tree; the early tree has a level less on 16K pages. */
  map: 512 | "page" | "radix" | "radix-early";
  /** The root tree is written in one go, or opened and edited. */
  tree: "sequential" | "edited";
  vmalloc: boolean;
  metadata: boolean;
  memfd?: "memfd-v1" | "memfd-v2";
  luo?: Luo;
}

const luoV1 = (flb: boolean): Luo => ({
  compatible: "luo-v1",
  root: "properties",
  sessions: "area",
  files: "area",
  flb,
});
const old = { kho: "kho-v1", tree: "sequential", vmalloc: false, metadata: false } as const;
const before = {
  kho: "kho-v1",
  map: "page",
  tree: "edited",
  vmalloc: true,
  metadata: false,
  memfd: "memfd-v1",
} as const;
const radix = { map: "radix", tree: "edited", vmalloc: true, metadata: true, memfd: "memfd-v2" } as const;
const luoV5: Luo = {
  compatible: "luo-v5",
  root: "structure",
  sessions: "blocks",
  files: "blocks",
  flb: true,
};

export const releases: Form[] = [
  { label: "6.16", release: "6.16", map: 512, ...old },
  { label: "6.17.8", release: "6.17", map: 512, ...old },
  { label: "6.17.9", release: "6.17.9", map: "page", ...old },
  { label: "6.18", release: "6.18", map: "page", ...old, vmalloc: true },
  { label: "6.19", release: "6.19", ...before, luo: luoV1(false) },
  { label: "7.0", release: "7.0", ...before, luo: luoV1(true) },
  { label: "7.1", release: "7.1", kho: "kho-v3", ...radix, luo: luoV1(true) },
  { label: "7.2", release: "7.2", kho: "kho-v4", ...radix, luo: luoV5 },
  { label: "7.3", release: "7.3", kho: "kho-v4", ...radix, luo: luoV5 },
];

const development = { development: true, ...radix } as const;
const raw = { root: "structure", flb: true } as const;
const pointer = { root: "pointer", flb: true } as const;
export const developmentForms: Form[] = [
  {
    label: "kho-v2",
    release: "7.1",
    kho: "kho-v2",
    ...development,
    map: "radix-early",
    metadata: false,
    luo: luoV1(true),
    memfd: "memfd-v1",
  },
  {
    label: "kho-v3 before its release",
    release: "7.1",
    kho: "kho-v3",
    ...development,
    map: "radix-early",
    luo: luoV1(true),
  },
  {
    label: "luo-v2",
    release: "7.1",
    kho: "kho-v3",
    ...development,
    luo: { compatible: "luo-v2", ...pointer, sessions: "area", files: "area" },
  },
  {
    label: "luo-v3 as a tree",
    release: "7.1",
    kho: "kho-v3",
    ...development,
    luo: { compatible: "luo-v3", ...pointer, sessions: "blocks", files: "area" },
  },
  {
    label: "luo-v4 as a tree",
    release: "7.2",
    kho: "kho-v4",
    ...development,
    luo: { compatible: "luo-v4", ...pointer, sessions: "blocks", files: "blocks" },
  },
  {
    label: "luo-v3 as a structure",
    release: "7.2",
    kho: "kho-v4",
    ...development,
    luo: { compatible: "luo-v3", ...raw, sessions: "area", files: "area" },
  },
  {
    label: "luo-v4 as a structure",
    release: "7.2",
    kho: "kho-v4",
    ...development,
    luo: { compatible: "luo-v4", ...raw, sessions: "blocks", files: "area" },
  },
];

export function formOf(label: string): Form {
  const form = [...releases, ...developmentForms].find((candidate) => candidate.label === label);
  if (!form) throw new Error(`no form ${label}`);
  return form;
}
