import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** What an independent observer recorded of a capture: /proc/self/pagemap, debugfs, sysfs, and the test program's own tables. */
export interface Truth {
  readonly scenario: string;
  readonly kernelRelease: string;
  readonly kexecs: number;
  readonly sessions?: readonly { readonly name: string; readonly files: readonly TruthFile[] }[];
  readonly scratchAreas: readonly (readonly [string, string])[];
  readonly reserveMem?: Readonly<Record<string, { readonly start: string; readonly size: string }>>;
  /** Options of the command line, `1M:4096:foo`. */
  readonly reserveMemParams?: readonly string[];
  readonly dmesgKho?: readonly string[];
}

export interface TruthFile {
  readonly token: string;
  readonly size: number;
  readonly pos: number;
  /** [page of the file, PFN, count] */
  readonly pageRuns: readonly (readonly [number, number, number])[];
  /** The same in the kernel that received it. */
  readonly pageRunsAfter: readonly (readonly [number, number, number])[];
  readonly ranges: readonly {
    readonly kind: "w" | "f";
    readonly index: number;
    readonly count: number;
    readonly words: number;
  }[];
  readonly observedBefore: { readonly seals: string };
  readonly observedAfter: { readonly size: number; readonly pos: number; readonly seals: string };
}

export interface Fixture {
  readonly name: string;
  readonly core: string;
  readonly meta: string;
  readonly folder: string;
  readonly truth: Truth;
}

const root = fileURLToPath(new URL("../../fixtures", import.meta.url));

/** Every capture of a handover under fixtures/: a folder with core.elf.gz and truth.json. */
export const fixtures: readonly Fixture[] = readdirSync(root)
  .map((name) => ({ name, folder: `${root}/${name}` }))
  .filter(({ folder }) => existsSync(`${folder}/core.elf.gz`) && existsSync(`${folder}/truth.json`))
  .map(({ name, folder }) => ({
    name,
    folder,
    core: `${folder}/core.elf.gz`,
    meta: readFileSync(`${folder}/meta.json`, "utf8"),
    truth: JSON.parse(readFileSync(`${folder}/truth.json`, "utf8")) as Truth,
  }))
  .filter(({ truth }) => truth.scratchAreas !== undefined);

const mask = (1n << 64n) - 1n;

/** Word `word` of page `page` of the file with `token`, by the formula that truth.json states. */
function patternWord(token: bigint, page: bigint, word: bigint): bigint {
  let z =
    (token * 0x9e3779b97f4a7c15n +
      page * 0xc2b2ae3d27d4eb4fn +
      word * 0x165667b19e3779f9n +
      0x2545f4914f6cdd1dn) &
    mask;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
  return z ^ (z >> 31n);
}

/** The bytes that the file has, by the recipe of its ranges. */
export function expectedContent(file: TruthFile, pageSize: number): Uint8Array {
  const pages = Math.ceil(file.size / pageSize);
  const bytes = new Uint8Array(pages * pageSize);
  const view = new DataView(bytes.buffer);
  for (const { kind, index, count, words } of file.ranges) {
    if (kind !== "w") continue;
    for (let page = index; page < Math.min(index + count, pages); page++)
      for (let word = 0; word < words; word++)
        view.setBigUint64(
          page * pageSize + word * 8,
          patternWord(BigInt(file.token), BigInt(page), BigInt(word)),
          true,
        );
  }
  return bytes.subarray(0, file.size);
}
