/** What a real kernel did with a handover: read from its log and from what the program on it says, and nothing else. */
import { readFileSync } from "node:fs";
import type { Expected, ExpectedFile } from "../../src/compat/craft/expected.js";
import type {
  CallResult,
  FileResult,
  FlbResult,
  Outcome,
  SessionResult,
} from "../../src/compat/craft/outcome.js";

/** Numbers of errnos that come up. include/uapi/asm-generic/errno{,-base}.h */
const names: Readonly<Record<number, string>> = {
  2: "ENOENT",
  5: "EIO",
  12: "ENOMEM",
  17: "EEXIST",
  22: "EINVAL",
  28: "ENOSPC",
  61: "ENODATA",
  95: "EOPNOTSUPP",
};
const errno = (number: string | undefined): string => names[Number(number)] ?? `errno ${number}`;

/** Looks at a growing log: over with a panic, or when nothing has been added for so long that the boot hangs. */
export function newWatch(patience = 60_000): (log: string) => boolean {
  let length = -1;
  let since = Date.now();
  return (log) => {
    if (log.length !== length) since = Date.now();
    length = log.length;
    return isOver(log) || Date.now() - since > patience;
  };
}

const warning = /WARNING: |BUG: (?!unable)/;
/** What only kernels with CONFIG_KEXEC_HANDOVER_DEBUG say, of a fresh region: it comes out of scratch. */
const ofDebugging = /at kho_preserve_pages\+/;

/** The boot ended there before there was a program: what else is missing in the log is not the program's. */
const started = "@@PAUSE k2-init";

/** Reads `console.txt` and `guest.txt` of a folder; `told` is what the program was told to expect. */
export function observe(folder: string, told: Expected, flbs: readonly string[]): Outcome {
  const log = readFileSync(`${folder}/console.txt`, "utf8").replaceAll("\r", "");
  const guest = readFileSync(`${folder}/guest.txt`, "utf8").split("\n");
  const received = log.includes("KHO: found kexec handover data") && !log.includes("disabling KHO revival");
  const common = {
    metadata: /KHO: exec from: /.test(log),
    revived: [...log.matchAll(/Revived memory reservation '(.*)' from KHO/g)].map(([, name]) => name!),
    warns: log.split("\n").some((line) => warning.test(line) && !ofDebugging.test(line)),
  };
  if (/IO-APIC \+ timer doesn't work/.test(log)) throw new Error("the emulator was too slow for the kernel");
  if (!guest.includes(started)) return { ...common, boot: stopped(log), flbs: [], sessions: [] };
  return {
    ...common,
    boot: { kind: received ? "received" : "ignored" },
    flbs: flbs.map(
      (name): FlbResult => ({
        name,
        found: log.includes(`${name}: found flb data from the previous boot`),
        finished: log.includes(`${name}: finish was triggered`),
      }),
    ),
    ...program(guest, log, told),
  };
}

/** A panic on purpose says so. Everything else is an oops, a lack of memory, or an end without a word. */
function stopped(log: string): Outcome["boot"] {
  const found = /Kernel panic - not syncing: The incoming tree failed to initialize properly \[-(\d+)\]/.exec(
    log,
  );
  return { kind: "stops", ...(found && { errno: errno(found[1]) }) };
}

function program(guest: readonly string[], log: string, told: Expected): Pick<Outcome, "open" | "sessions"> {
  const died = /Attempted to kill init/.test(log);
  const opened = guest.find((line) => line.startsWith("@@NOTE /dev/liveupdate"));
  if (!opened) return { open: "oops", sessions: [] };
  const [, fd, code] = /liveupdate (-?\d+) (\d+)$/.exec(opened)!;
  if (fd === "-1") return { open: code === "5" ? logged(log) : errno(code), sessions: [] };
  const sessions: SessionResult[] = [];
  for (const { name, files } of told.sessions) {
    const refused = find(guest, `@@FAIL retrieve session ${name} errno (\\d+)`);
    if (refused) {
      sessions.push({ name, result: errno(refused[1]), files: [] });
      continue;
    }
    const results: FileResult[] = [];
    for (const file of files) {
      const result = fileResult(guest, name, file);
      results.push(result ?? { token: BigInt(file.token), result: "oops" });
      if (!result) return { open: "fine", sessions: [...sessions, { name, result: "fine", files: results }] };
    }
    const unfinished = find(guest, `@@FAIL finish ${name} errno (\\d+)`);
    sessions.push({
      name,
      result: "fine",
      files: results,
      finish: unfinished ? errno(unfinished[1]) : "fine",
    });
  }
  // Dead, and every file was there: it was in the last session that it died, of which it may not have said anything.
  if (died && !guest.some((line) => line.startsWith("@@VERIFY"))) {
    const last = sessions.pop()!;
    sessions.push({ ...last, finish: "oops" });
  }
  return { open: "fine", sessions };
}

const find = (lines: readonly string[], pattern: string): RegExpExecArray | undefined =>
  lines.map((line) => new RegExp(`^${pattern}$`).exec(line)).find((found) => found !== null) ?? undefined;

/** The errno that the kernel gives for not reading the sessions, of which user space sees EIO. */
function logged(log: string): CallResult {
  const found = [...log.matchAll(/luo: .*?\[?-(\d+)\]?$/gm)].at(-1);
  return found ? errno(found[1]) : "EIO";
}

/** What the program says of one file; undefined if it died before it could. */
function fileResult(guest: readonly string[], session: string, told: ExpectedFile): FileResult | undefined {
  const token = BigInt(told.token);
  const refused = find(guest, `@@FAIL retrieve fd ${session} ${told.token} errno (\\d+)`);
  if (refused) return { token, result: errno(refused[1]) };
  const at = guest.findIndex((line) => line.startsWith(`@@CHECK ${session} ${told.token} `));
  const found = find(
    guest,
    `@@MEMFD k2 ${session} ${told.token} size (\\d+) pos (\\d+) seals (0x[0-9a-f]+) blocks512 \\d+`,
  );
  if (at < 0 || !found) return undefined;
  // What is wrong with a file is said before the check of it, and after that of the one before.
  const before = guest.slice(0, at).findLastIndex((line) => line.startsWith("@@CHECK"));
  const wrong = guest.slice(before + 1, at).some((line) => line.startsWith("@@BAD content"));
  return {
    token,
    result: "fine",
    file: {
      size: BigInt(found[1]!),
      pos: BigInt(found[2]!),
      seals: Number(found[3]),
      pages: wrong ? ["other"] : pagesOf(told),
    },
  };
}

/** The pages of a file that the program found as it was told. */
function pagesOf({ size, ranges }: ExpectedFile): number[] {
  const pages = new Array<number>(Math.ceil(size / 4096)).fill(0);
  for (const { index, count, words = 512 } of ranges) pages.fill(words, index, index + count);
  return pages;
}

/** What of an outcome both sides can tell. Of a boot that stops nobody says how far it had got. */
export function comparable({ boot, metadata, revived, flbs, open, sessions, warns }: Outcome): object {
  if (boot.kind === "stops") return { boot };
  return {
    boot,
    metadata,
    revived,
    flbs,
    open,
    warns,
    sessions: sessions.map(({ files, ...session }) => ({
      ...session,
      files: files.map(({ token, result, file }) => ({
        token,
        result,
        ...(file && { ...file, pages: file.pages.includes("other") ? "something else" : "as told" }),
      })),
    })),
  };
}

/** True once a kernel's log ends in a panic: there is nothing more to come. */
export const isOver = (log: string): boolean => log.includes("Kernel panic - not syncing");
