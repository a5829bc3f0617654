import { availableParallelism } from "node:os";
import { InvalidArgumentError, Option } from "commander";
import { token } from "../values.js";
import type { Verb } from "../verb.js";

const count = (text: string): number => {
  if (!/^[1-9][0-9]{0,14}$/.test(text)) throw new InvalidArgumentError("It is no count: write 1, 2, 3 ...");
  return Number(text);
};

const jobs = (text: string): number => {
  if (count(text) > 256) throw new InvalidArgumentError("Jobs are at most 256.");
  return Number(text);
};

/** `kho fuzz`. */
export const fuzzVerbs: readonly Verb[] = [
  {
    usage: "fuzz",
    summary: "look for inputs that the library, or the simulated kernel, does not take as it should",
    description:
      "Runs the targets fuzz/*.ts of a checkout on an instrumented build, and keeps what reaches new code. The same seed,\ntargets, jobs and --runs find the same. Exits with 1 if anything was found.",
    examples: [
      ["kho fuzz --list", "the targets, and what each looks at"],
      ["kho fuzz --time 3600 --keep-going --corpus corpus --plot fuzz.svg", "an hour on all of them"],
      ["kho fuzz --target handover --runs 20000 --seed 7", "the same again on any machine"],
      [
        "kho fuzz --target handover --reproduce findings/handover/hang-1f0c44aa/input",
        "what one input shows, on the library as it is now",
      ],
    ],
    bare: true,
    options: (command) =>
      command
        .option("--target <name...>", "targets to run, in turns (default: all)")
        .option("--list", "list the targets")
        .option("--reproduce <file>", "run one input of one target, and show what it does")
        .option("--time <seconds>", "end after this time (default: 60, without --runs)", count)
        .option("--runs <n>", "end after so many executions of each target", count)
        .option("--jobs <n>", "worker threads", jobs, availableParallelism())
        .addOption(new Option("--seed <n>", "what all choices follow from").argParser(token).default(1n, "1"))
        .option("--keep-going", "do not end at the first finding")
        .option("--corpus <dir>", "begin with DIR/TARGET/*, and add what reaches more")
        .option("--findings <dir>", "where to put what was found", "findings")
        .option("--plot <file>", "draw coverage and speed over time as SVG")
        .option("--json", "the report as JSON"),
    run: async (run, _, options) => (await import("./fuzz.js")).fuzzCommand(run, options),
  },
];
