import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A C program, compiled for this run. */
export interface Native {
  /** Runs it and gives what it prints, word by word. */
  run(...args: string[]): string[];
  /** Puts bytes into a file that lasts as long as the process, and gives its path. */
  file(name: string, bytes: Uint8Array): string;
}

/** Compiles `bench/native/NAME.c`; undefined where there is no C compiler. */
export function native(name: string): Native | undefined {
  const folder = mkdtempSync(join(tmpdir(), "kho-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const source = new URL(`native/${name}.c`, import.meta.url).pathname;
  const program = join(folder, name);
  try {
    execFileSync(process.env.CC ?? "cc", ["-O2", "-o", program, source], {
      stdio: ["ignore", "ignore", "pipe"],
    });
  } catch {
    return undefined;
  }
  return {
    run: (...args) => execFileSync(program, args, { encoding: "utf8" }).trim().split(/\s+/),
    file(fileName, bytes) {
      const path = join(folder, fileName);
      writeFileSync(path, bytes);
      return path;
    },
  };
}
