import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { afterAll } from "vitest";
import { bundled } from "./bundle.js";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** What a call left behind. */
export interface Result {
  readonly stdout: string;
  readonly bytes: Buffer;
  readonly stderr: string;
  readonly code: number | null;
}

/** The environment of a call: nothing that decides about colour or width is inherited. */
const plain = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(NO_COLOR|FORCE_COLOR|COLUMNS|TERM|LANG|LC_.*|KHO_.*)$/.test(name),
  ),
);

/** Runs `kho ARGS` from the checkout, as a process of its own. */
export const run = (args: readonly string[], options: Options = {}): Promise<Result> =>
  start(process.execPath, [bundled, ...args], options);

/** Runs a line of shell in which `$KHO` is the command. */
export const shell = (line: string): Promise<Result> =>
  start("bash", ["-c", line], { env: { KHO: `${process.execPath} ${bundled}` } });

interface Options {
  readonly input?: Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
}

function start(command: string, args: readonly string[], { input, env = {} }: Options): Promise<Result> {
  const child = spawn(command, args, {
    cwd: root,
    env: { ...plain, TERM: "xterm", LANG: "C.UTF-8", ...env },
  });
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (bytes: Buffer) => out.push(bytes));
  child.stderr.on("data", (bytes: Buffer) => err.push(bytes));
  // A command that fails early does not read its input.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      const bytes = Buffer.concat(out);
      resolve({ stdout: bytes.toString(), bytes, stderr: Buffer.concat(err).toString(), code });
    });
  });
}

export const fixture = (name: string): string => `fixtures/${name}/core.elf.gz`;
export const core = fixture("7.3-memfd");

/** What the machine that made a fixture knew of it. */
// biome-ignore lint/suspicious/noExplicitAny: a free form, read by a few tests
export const truthOf = (name: string): any =>
  JSON.parse(readFileSync(join(root, "fixtures", name, "truth.json"), "utf8"));

/** The uncompressed bytes of a capture. */
export const coreBytes = (name = "7.3-memfd"): Buffer => gunzipSync(readFileSync(join(root, fixture(name))));

/** A folder for a test file, removed at its end. */
export function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), "kho-cli-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a capture in which every occurrence of `from` is replaced by `to`, of the same length; gives its path. */
export function altered(folder: string, from: Uint8Array, to: Uint8Array): string {
  const bytes = coreBytes();
  let found = 0;
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1), found++) bytes.set(to, at);
  if (found === 0) throw new Error("the capture does not have these bytes");
  const path = join(folder, `altered-${Math.abs(Buffer.from(to).readInt32LE(0))}.elf`);
  writeFileSync(path, bytes);
  return path;
}

/** Does the same for several cases at once: most of a call's time is its start. */
export const each = async <T>(cases: readonly T[], check: (item: T) => Promise<void>): Promise<void> => {
  await Promise.all(cases.map(check));
};
