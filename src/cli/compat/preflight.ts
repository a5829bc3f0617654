import { readFileSync } from "node:fs";
import { allMandatory, type Policy, parsePolicy } from "../../compat/preflight/policy.js";
import { preflight } from "../../compat/preflight/preflight.js";
import { type Receiver, receiverOf } from "../../compat/preflight/receiver.js";
import type { Decoded, Meta } from "../../handover/index.js";
import { ioError } from "../../image/file.js";
import type { MemoryRange } from "../../memory/index.js";
import { physAddr } from "../../memory/index.js";
import { KhoError } from "../../report/error.js";
import { kernelArgument, kernelLabel } from "../abi/kernel-argument.js";
import { type Exit, exits } from "../exit.js";
import { type InputOptions, readMeta, withHandover } from "../input.js";
import { jsonText } from "../json.js";
import type { Run } from "../run.js";
import { preflightJson } from "./preflight-json.js";
import type { Shown } from "./preflight-shown.js";
import { preflightLines } from "./preflight-text.js";

export interface PreflightCommandOptions extends InputOptions {
  /** A release, or a file with a kernel. */
  readonly to: string;
  readonly policy?: string;
  /** Bytes. */
  readonly toPageSize?: number;
  readonly advice: boolean;
  readonly all?: boolean;
  readonly json?: boolean;
}

/** `kho preflight FILE --to KERNEL`: 0 if everything mandatory arrives. */
export async function preflightCommand(
  run: Run,
  file: string,
  options: PreflightCommandOptions,
): Promise<Exit> {
  // Before the capture is read: what is wrong with these is no reason to wait.
  const image = kernelArgument(run, options.to);
  const policy = options.policy === undefined ? allMandatory : readPolicy(options.policy);
  const known = receiverOf(image);
  const receiver = options.toPageSize === undefined ? known : { ...known, pageSize: options.toPageSize };
  const ram = options.meta === undefined ? undefined : ramOf(readMeta(options.meta));
  return withHandover(
    run,
    file,
    options,
    ({ image: capture, ...decoded }) => {
      if (!options.lenient) mustBeReadable(decoded);
      mustBeOfOneMachine(decoded, receiver);
      const result = preflight(capture, decoded, receiver, {
        policy,
        ...(ram && { ram }),
        ...(!options.advice && { maxTries: 0 }),
        onProgress: run.progress.update,
      });
      run.progress.clear();
      const shown: Shown = { decoded, receiver, kernel: kernelLabel(options.to), result };
      if (options.json) run.out.line(jsonText(preflightJson(shown)));
      else for (const line of preflightLines(run, shown, options.all ?? false)) run.out.line(line);
      run.out.flush();
      return result.promised ? exits.fine : exits.findings;
    },
    { mode: "forensic" },
  );
}

function readPolicy(path: string): Policy {
  let text: string;
  try {
    text = readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (cause) {
    throw ioError("cannot read", path, cause);
  }
  return parsePolicy(text);
}

const ramOf = ({ ramBase = 0n, ramSize }: Meta): MemoryRange | undefined =>
  ramSize === undefined ? undefined : { pa: physAddr(ramBase), size: ramSize };

/**
 * What its own release would not take is no handover to ask of another one.
 * @throws KhoError as strict decoding does
 */
function mustBeReadable({ findings }: Decoded): void {
  for (const { code, message, ...detail } of findings) {
    const { consequence } = detail;
    if (consequence?.all && consequence.outcome !== "misread") throw new KhoError(code, message, detail);
  }
}

/** @throws KhoError `usage` */
function mustBeOfOneMachine({ handover }: Decoded, { arch }: Receiver): void {
  if (arch === undefined || handover.arch === "" || arch === handover.arch) return;
  throw new KhoError("usage", `the capture is of a machine with ${handover.arch}, the kernel is for ${arch}`);
}
