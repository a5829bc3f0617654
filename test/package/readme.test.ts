/**
 * The README does what it says: every `sh` block that begins with the command is run, every `ts` block is type-checked
 * against the sources and run. A comment `# exit 2` behind a command, or on a line of its own before it, names the exit
 * code it is to have; blocks marked `ts no-run` are type-checked alone. A block of `text` is the output of the last
 * command before it, to the letter. All run in the folder of the README.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = new URL("../..", import.meta.url).pathname;
const path = join(root, "README.md");
const readme = existsSync(path) ? readFileSync(path, "utf8") : "";
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

interface FencedBlock {
  /** Of the block's first line in the README. */
  readonly line: number;
  /** What follows the fence: `sh`, `ts no-run`. */
  readonly info: string;
  readonly text: string;
}

const blocks: FencedBlock[] = [...readme.matchAll(/^```([^\n`]*)\n(.*?)^```$/gms)].map((match) => ({
  line: readme.slice(0, match.index).split("\n").length + 1,
  info: match[1]!.trim(),
  text: match[2]!,
}));

interface Command {
  readonly line: number;
  readonly command: string;
  readonly exit: number;
}

const commands = blocks
  .filter(({ info, text }) => info === "sh" && text.startsWith("npm run -s kho --"))
  .flatMap(commandsOf);

describe.skipIf(readme === "")("README.md", () => {
  test("begins with the two commands that continuous integration runs", () => {
    const first = blocks.filter(({ info, text }) => info === "sh" && text.startsWith("npm ci"));
    expect(first.map(({ text }) => text.trim())).toEqual(["npm ci && npm start", "npm ci && npm test"]);
  });

  test("shows the command and the library", () => {
    expect(commands.length).toBeGreaterThan(0);
    expect(blocks.some(({ info }) => info === "ts")).toBe(true);
  });
});

describe.skipIf(commands.length === 0)("commands of README.md", () => {
  test.each(commands)("line $line: $command", async ({ command, exit }) => {
    const { code, output } = await run("bash", ["-o", "pipefail", "-c", command]);
    expect(code, output).toBe(exit);
  });
});

/** Output that is shown: a block of text, and the command that stands last before it. */
const shown = blocks.flatMap(({ info, text, line }, i) => {
  if (info !== "text") return [];
  const before = blocks.slice(0, i).findLast((block) => block.info === "sh")!;
  const command = before.text.trim().split("\n").at(-1)!.replace(/ *#.*/, "");
  return [{ line, text, command: command.replace("npm ci && npm start", "npm run -s start") }];
});

describe.skipIf(shown.length === 0)("output that README.md shows", () => {
  test.each(shown)("line $line is what `$command` prints", async ({ command, text }) => {
    const { stdout } = await run("bash", ["-c", command]);
    expect(stdout).toBe(text);
  });
});

const scripts = blocks.filter(({ info }) => /^ts\b/.test(info));
describe.skipIf(scripts.length === 0)("TypeScript of README.md", () => {
  const folder = join(tmpdir(), `kho-readme-${process.pid}`);
  const fileOf = ({ line }: FencedBlock): string => join(folder, `README-line-${line}.ts`);
  const config = join(folder, "tsconfig.json");
  afterAll(() => rmSync(folder, { recursive: true }));

  beforeAll(() => {
    mkdirSync(folder);
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    const { compilerOptions } = JSON.parse(readFileSync(join(root, "tsconfig.json"), "utf8"));
    const paths = Object.entries(manifest.tsup.entry)
      .filter(([name]) => name !== "cli")
      .map(([name, source]) => [name === "index" ? "kho" : `kho/${name}`, [join(root, String(source))]]);
    // Examples may leave names unused.
    const options = {
      ...compilerOptions,
      noUnusedLocals: false,
      baseUrl: folder,
      paths: Object.fromEntries(paths),
    };
    writeFileSync(config, JSON.stringify({ compilerOptions: options, include: ["*.ts"] }));
    for (const block of scripts) writeFileSync(fileOf(block), block.text);
  });

  test("type-checks", () => {
    const { config: json } = ts.readConfigFile(config, (name) => readFileSync(name, "utf8"));
    const { options, fileNames } = ts.parseJsonConfigFileContent(json, ts.sys, folder);
    const diagnostics = ts.getPreEmitDiagnostics(ts.createProgram(fileNames, options));
    expect(
      ts.formatDiagnostics(diagnostics, {
        getCanonicalFileName: (name) => name,
        getCurrentDirectory: () => folder,
        getNewLine: () => "\n",
      }),
    ).toBe("");
  });

  const runnable = scripts.filter(({ info }) => info === "ts");
  test.each(runnable)("line $line runs", async (block) => {
    const { code, output } = await run("node", ["--import", "tsx", fileOf(block)], {
      TSX_TSCONFIG_PATH: config,
    });
    expect(code, output).toBe(0);
  });
});

/** The commands of a block, one to a line, continued behind a backslash. */
function commandsOf({ line, text }: FencedBlock): Command[] {
  const found: Command[] = [];
  let exit = 0;
  let begun: Command | undefined;
  for (const [i, written] of text.split("\n").entries()) {
    const continued = written.endsWith("\\");
    const noted = /(?:^|\s)#.*?\bexits?\b\D*(\d+)/.exec(written);
    if (noted) exit = Number(noted[1]);
    const part = continued ? written.slice(0, -1) : written;
    if (!begun && (part.trim() === "" || part.startsWith("#"))) continue;
    begun = { line: begun?.line ?? line + i, command: (begun?.command ?? "") + part, exit };
    if (continued) continue;
    found.push(begun);
    begun = undefined;
    exit = 0;
  }
  return found;
}

function run(
  file: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; stdout: string; output: string }> {
  return new Promise((resolve) => {
    const options = {
      cwd: root,
      env: { ...process.env, ...env },
      maxBuffer: 2 ** 28,
      encoding: "utf8",
    } as const;
    const child = execFile(file, args, options, (error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? (error ? 1 : 0), stdout, output: stdout + stderr }),
    );
  });
}
