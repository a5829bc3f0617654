import { reduceBtf } from "../../btf/reduce.js";
import { KhoError } from "../../report/error.js";
import { type Exit, exits } from "../exit.js";
import type { Run } from "../run.js";
import { type OutputOptions, openSink, outputPath } from "../sink.js";
import { plural } from "../text.js";
import { kernelArgument, kernelLabel } from "./kernel-argument.js";
import type { AbiOptions } from "./sides.js";

/** `kho abi reduce FILE -o OUT`: the types that a kernel hands over, and no other, as BTF. */
export async function abiReduceCommand(
  run: Run,
  file: string,
  options: AbiOptions & OutputOptions,
): Promise<Exit> {
  const path = outputPath(options, "BTF");
  const { btf, abi, evidence } = kernelArgument(run, file, options);
  if (!btf || !abi)
    throw new KhoError(
      "btf-missing",
      `${kernelLabel(file)} has no types that could be reduced: ${evidence}`,
      {
        expected: "a kernel built with CONFIG_DEBUG_INFO_BTF, or BTF itself",
      },
    );
  const names = [...abi.structures.keys()];
  const bytes = reduceBtf(btf, names);
  const sink = openSink(run, path, options);
  try {
    sink.data(0, bytes);
    sink.finish(bytes.length);
  } catch (error) {
    sink.abandon();
    throw error;
  }
  if (path !== "-") run.err.line(`${plural(names.length, "structure")}, ${plural(bytes.length, "byte")}`);
  return exits.fine;
}
