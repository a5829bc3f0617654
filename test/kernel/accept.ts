import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { ImageFiles } from "./image.js";

/** What a real kernel made of an image. */
export interface Verdict {
  readonly accepted: boolean;
  /** What the judge prints, and the end of the kernel's log if it did not accept. */
  readonly text: string;
}

/** What else there is to say of a boot. */
export interface AcceptOptions {
  /** Looks at the kernel's log once a second; true ends the boot, of which nothing more is to come. */
  readonly over?: (log: string) => boolean;
}

/**
 * Boots a real kernel on an image. Every page that is not in the image is full of rubbish. The kernel's log is
 * `console.txt` in the folder, the guest's lines are in `guest.txt`.
 */
export async function accept(
  kernels: string,
  release: string,
  files: ImageFiles,
  folder: string,
  { over }: AcceptOptions = {},
): Promise<Verdict> {
  const { image, meta, expected } = files;
  const judge = spawn(
    "python3",
    [`${kernels}/accept.py`, release, image, meta, expected, folder, "--poison"],
    { env: { ...process.env, KHO_KERNELS: kernels, KHO_WORK: folder }, stdio: ["ignore", "pipe", "pipe"] },
  );
  let text = "";
  for (const stream of [judge.stdout, judge.stderr]) stream.on("data", (data) => (text += String(data)));
  const growing = `${folder}/run/accept/console.log`;
  const watch = setInterval(() => {
    if (over && existsSync(growing) && over(readFileSync(growing, "utf8"))) endEmulator(judge);
  }, 1000);
  const code = await new Promise<number | null>((resolve, reject) => {
    judge.on("error", reject);
    judge.on("close", resolve);
  });
  clearInterval(watch);
  const accepted = code === 0 && /^PASS$/m.test(text);
  const log = `${folder}/console.txt`;
  if (!accepted && existsSync(log))
    text += `\n...\n${readFileSync(log, "utf8").split("\n").slice(-40).join("\n")}`;
  return { accepted, text };
}

/** Ends the emulator that the judge has started; the judge itself sees it, and cleans up. */
function endEmulator({ pid }: ChildProcess): void {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return;
  const children = readdirSync(tasks).flatMap((task) =>
    readFileSync(`${tasks}/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
  for (const child of children) process.kill(child, "SIGTERM");
}
