import { KhoError } from "../src/report/error.js";

/** Version strings of the root tree. `kho-v2` was never in a release. */
export type KhoVersion = "kho-v1" | "kho-v2" | "kho-v3" | "kho-v4";
/** Version strings of the live-update blob. `luo-v2` to `luo-v4` were never in a release. */
export type LuoVersion = "luo-v1" | "luo-v2" | "luo-v3" | "luo-v4" | "luo-v5";
/** Names of the memfd file handler. */
export type MemfdVersion = "memfd-v1" | "memfd-v2";

/** What the kernels from one version on write, and all that they accept: there is no negotiation and no fallback. */
export interface Kernel {
  /** First version with these formats, `6.17.9`; the name of the row. */
  readonly release: string;
  readonly kho: KhoVersion;
  /** Bytes of a bitmap of the `kho-v1` memory map. */
  readonly bitmap?: 512 | "page";
  /** Preserved vmalloc areas exist. */
  readonly vmalloc: boolean;
  /** Live update exists, in this version. */
  readonly luo?: LuoVersion;
  /** FLBs exist; with `luo-v1` their node is then mandatory. */
  readonly flb: boolean;
  readonly memfd?: MemfdVersion;
  /** Version of the kexec-metadata subtree. */
  readonly metadata?: number;
  /**
   * How sure this row is. `source`: read in that release's source; `history`: from development snapshots that
   * bracket it.
   */
  readonly evidence: "source" | "history";
}

const from616: Kernel = {
  release: "6.16",
  kho: "kho-v1",
  bitmap: 512,
  vmalloc: false,
  flb: false,
  evidence: "history",
};
const from617: Kernel = { ...from616, release: "6.17", evidence: "source" };
const from6179: Kernel = { ...from617, release: "6.17.9", bitmap: "page", evidence: "history" };
const from618: Kernel = { ...from6179, release: "6.18", vmalloc: true, evidence: "source" };
const from619: Kernel = { ...from618, release: "6.19", luo: "luo-v1", memfd: "memfd-v1" };
const from70: Kernel = { ...from619, release: "7.0", flb: true, evidence: "history" };
const { bitmap: _, ...radixTree } = from70;
const from71: Kernel = {
  ...radixTree,
  release: "7.1",
  kho: "kho-v3",
  memfd: "memfd-v2",
  metadata: 1,
  evidence: "source",
};
const from72: Kernel = { ...from71, release: "7.2", kho: "kho-v4", luo: "luo-v5" };
const from73: Kernel = { ...from72, release: "7.3" };

/**
 * Every release with KHO, oldest first, each as what it changed; a row holds until the next one. The rules of
 * compatibility follow from it.
 */
export const kernels: readonly Kernel[] = [
  from616,
  from617,
  from6179,
  from618,
  from619,
  from70,
  from71,
  from72,
  from73,
];

/**
 * The row for a version as `uname -r` prints it: `7.3`, `7.3.4`, `6.17.8-300.fc43.x86_64`.
 * Within 7.3 and before 7.4 the 7.3 row holds, and so on.
 * @throws KhoError `unknown-release` for anything before 6.16, after the last row's series, or not a version
 */
export function kernelOf(release: string): Kernel {
  const kernel = findKernel(release);
  if (kernel) return kernel;
  throw new KhoError(
    "unknown-release",
    `no handover formats are known for kernel release ${release.slice(0, 80)}`,
    {
      expected: kernels.map((row) => row.release).join(", "),
      actual: release.slice(0, 80),
    },
  );
}

/** Like {@link kernelOf}, but undefined for a release that is not known. */
export function findKernel(release: string): Kernel | undefined {
  const wanted = parseVersion(release);
  if (!wanted) return undefined;
  return kernels.findLast((row) => {
    const [major, minor, patch = 0] = parseVersion(row.release)!;
    return major === wanted[0] && minor === wanted[1] && patch <= (wanted[2] ?? 0);
  });
}

/** True if `kernel` is of version `release` or later. */
export function isAtLeast(kernel: Kernel, release: string): boolean {
  const [major, minor, patch = 0] = parseVersion(kernel.release)!;
  const [wantedMajor, wantedMinor, wantedPatch = 0] = parseVersion(release)!;
  return (major - wantedMajor || minor - wantedMinor || patch - wantedPatch) >= 0;
}

/** The releases of a row, for people: `6.17 to 6.17.8` where another row begins in the same series, else its name. */
export function spanOf(kernel: Kernel): string {
  const [major, minor] = parseVersion(kernel.release)!;
  const next = parseVersion(kernels[kernels.indexOf(kernel) + 1]?.release ?? "");
  const ends = next && next[0] === major && next[1] === minor && next[2] !== undefined;
  return ends ? `${kernel.release} to ${major}.${minor}.${next[2]! - 1}` : kernel.release;
}

/** The newest release that is known. */
export const newestKernel: Kernel = from73;

function parseVersion(text: string): [number, number, number?] | undefined {
  const match = /^(\d{1,4})\.(\d{1,4})(?:\.(\d{1,6}))?(?![\d.])/.exec(text);
  if (!match) return undefined;
  return [Number(match[1]), Number(match[2]), match[3] === undefined ? undefined : Number(match[3])] as [
    number,
    number,
    number?,
  ];
}
