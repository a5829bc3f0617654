/** Counts of instructions on real kernels, and how far the model may be from them. */
import { readFileSync } from "node:fs";

export interface FilePoint {
  readonly order: number;
  readonly layout: "as allocated" | "every second page" | "every third page" | "unpopulated";
  readonly setup?: string;
  readonly n: number;
  /** Null where it was not taken. */
  readonly runs: number | null;
  readonly preserve: number;
  readonly initEarly: number;
  readonly memoryInit: number;
  readonly freeAll: number;
  readonly kernelInit: number;
  readonly retrieve: number;
}

export interface SessionPoint {
  readonly sessions: number;
  /** Of each session, a page each. */
  readonly files: number;
  readonly create: number;
  readonly preserve: number;
  readonly reboot: number;
  readonly finalize: number;
  readonly memoryInit: number;
  readonly open: number;
  readonly retrieveSession: number;
  readonly retrieve: number;
  readonly finish: number;
  readonly close: number;
}

export interface Kernel {
  readonly kernel: string;
  readonly release: string;
  readonly idle: readonly {
    readonly initEarly: number;
    readonly memoryInit: number;
    readonly freeAll: number;
    readonly kernelInit: number;
  }[];
  readonly files: readonly FilePoint[];
  readonly sessions: readonly SessionPoint[];
}

export interface Rule {
  readonly phase: string;
  readonly kernel?: string;
  readonly order?: number;
  readonly below?: number;
  readonly layout?: string;
  readonly setup?: string;
  readonly sessions?: number;
  readonly files?: number;
  readonly within: number;
  readonly stated: boolean;
  readonly why: string;
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../fixtures/cost/${name}.json`, import.meta.url), "utf8"));

export const kernels = ["6.19", "7.1", "7.2", "7.3"].map((release) => read(release) as Kernel);
export const tolerance = read("tolerance") as {
  readonly files: readonly Rule[];
  readonly sessions: readonly Rule[];
};

/** The first rule for a phase of a row. */
export function ruleFor(
  rules: readonly Rule[],
  phase: string,
  release: string,
  row: Partial<FilePoint & SessionPoint>,
): Rule {
  const rule = rules.find(
    (each) =>
      each.phase === phase &&
      (each.kernel ?? release) === release &&
      (each.below === undefined || row.n! < each.below) &&
      (["order", "layout", "setup", "sessions", "files"] as const).every(
        (key) => each[key] === undefined || each[key] === row[key],
      ),
  );
  if (!rule) throw new Error(`no tolerance for ${phase} of ${release}, ${JSON.stringify(row)}`);
  return rule;
}
