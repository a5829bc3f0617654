import { CommanderError } from "commander";
import { type Exit, exits } from "./exit.js";
import { reportFailure } from "./failure.js";
import { isClosedPipe, newOutput } from "./output.js";
import { newProgram } from "./program.js";
import { newRun } from "./run.js";
import { columnsOf } from "./terminal.js";
import { safeSentence } from "./text.js";

/** Runs the command for the arguments behind its name, and gives the exit code. Everything is written by then. */
export async function runCli(args: readonly string[]): Promise<Exit> {
  let exit: Exit = exits.fine;
  const out = newOutput(1, "standard output");
  const err = newOutput(2, "standard error");
  const columns = columnsOf();
  const screen = {
    out: out.text,
    err: (text: string) => err.text(text.split("\n").map(safeSentence).join("\n")),
    columns: Number.isFinite(columns) ? columns : 100,
  };
  const program = newProgram(screen, async ({ verb, args: [file], options, start }) => {
    const run = newRun(options.color);
    try {
      exit = await start(run);
      run.out.flush();
    } catch (error) {
      exit = reportFailure(run, error, { verb, options, ...(file !== undefined && { file }) });
    }
  });
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError))
      exit = reportFailure(newRun("auto"), error, { verb: "", options: {} });
    else if (error.code === "commander.help") exit = args[0] === "help" ? exits.fine : exits.usage;
    else exit = error.exitCode === 0 ? exits.fine : exits.usage;
  }
  try {
    out.flush();
    err.flush();
  } catch (error) {
    if (!isClosedPipe(error)) return exits.io;
  }
  return exit;
}
