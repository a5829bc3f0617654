import { readFileSync } from "node:fs";
import { newExecutor } from "../../fuzz/execute.js";
import { oracles } from "../../fuzz/finding.js";
import { ioError } from "../../image/file.js";
import { type Exit, exits } from "../exit.js";
import type { Run } from "../run.js";
import { plural, safeSentence } from "../text.js";
import type { FuzzBuild } from "./checkout.js";
import { loadTarget } from "./targets.js";

/** `kho fuzz --target TARGET --reproduce FILE`: 1 if the input still shows a fault. */
export async function reproduce(
  { out, style }: Run,
  build: FuzzBuild,
  [target = ""]: readonly string[],
  file: string,
): Promise<Exit> {
  const data = inputOf(file);
  const { instrumentation, ...module } = await loadTarget(build, target);
  const executor = newExecutor(module, instrumentation);
  const { steps } = executor.run(data);
  const failure = executor.describe(data);
  out.line(`${style.bold(target)}  ${plural(data.length, "byte")}, ${plural(steps, "step")}`);
  if (!failure) {
    out.line(style.good("nothing is wrong"));
    return exits.fine;
  }
  out.line(`${style.bad(failure.oracle)}  ${oracles[failure.oracle]}`);
  out.line(`at ${safeSentence(failure.place)}\n`);
  for (const line of failure.text.split("\n")) out.line(safeSentence(line));
  return exits.findings;
}

function inputOf(file: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(file === "-" ? 0 : file));
  } catch (cause) {
    throw ioError("cannot read", file, cause);
  }
}
