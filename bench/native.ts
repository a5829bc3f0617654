import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Peer } from "./measure.js";

/** A C program, compiled for this run. */
export interface Native {
  /** Runs it and gives what it prints, word by word. */
  run(...args: string[]): string[];
  /** Puts bytes into a file that lasts as long as the process, and gives its path. */
  file(name: string, bytes: Uint8Array): string;
}

let folder: string | undefined;
const programs = new Map<string, Native | undefined>();

/**
 * Compiles `bench/native/NAME.c`, with `-lLIBRARY` for each library. Undefined where there is no C compiler or no such
 * library; a line on standard error says that the program is left out.
 */
export function native(name: string, libraries: readonly string[] = []): Native | undefined {
  if (!programs.has(name)) programs.set(name, compile(name, libraries));
  return programs.get(name);
}

function compile(name: string, libraries: readonly string[]): Native | undefined {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), "kho-bench-"));
    process.on("exit", () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  const inFolder = (file: string): string => join(folder!, file);
  const source = new URL(`native/${name}.c`, import.meta.url).pathname;
  const program = inFolder(name);
  const compiler = process.env.CC ?? "cc";
  const { error, status, stderr } = spawnSync(
    compiler,
    ["-O2", "-o", program, source, ...libraries.map((library) => `-l${library}`)],
    { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" },
  );
  if (error || status !== 0) {
    const why = error
      ? `there is no C compiler ${compiler}`
      : (/error: (.*)/.exec(stderr)?.[1] ?? stderr.split("\n")[0]);
    process.stderr.write(`left out: bench/native/${name}.c: ${why}\n`);
    return undefined;
  }
  return {
    run: (...args) =>
      execFileSync(program, args, { encoding: "utf8", maxBuffer: 2 ** 24 })
        .trim()
        .split(/\s+/),
    file(fileName, bytes) {
      const path = inFolder(fileName);
      writeFileSync(path, bytes);
      return path;
    },
  };
}

/** Seconds for which one process of a C program should run, all its runs together. */
const processSeconds = 0.05;

/**
 * A peer that is a program of `bench/native`: called with `args` and a number of runs, it prints the median nanoseconds
 * of a run and a checksum below 2^53. No peer, an empty array, where the program could not be compiled.
 */
export function nativePeer(
  peer: Pick<Peer, "name" | "goal" | "floor">,
  program: Native | undefined,
  args: readonly string[],
): Peer[] {
  if (!program) return [];
  let runs = 3;
  return [
    {
      ...peer,
      run: () => Number(program.run(...args, "1")[1]),
      seconds: () => {
        const seconds = Number(program.run(...args, `${runs}`)[0]) / 1e9;
        runs = Math.min(Math.max(Math.round(processSeconds / seconds), 3), 10001);
        return seconds;
      },
    },
  ];
}
