import { scan } from "../handover/index.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import { type Exit, exits } from "./exit.js";
import { describeImage, type InputOptions, inputName, withImage } from "./input.js";
import { jsonText } from "./json.js";
import type { Run } from "./run.js";
import { plural, safeSentence, wrap } from "./text.js";

export interface ScanCommandOptions extends InputOptions {
  readonly json?: boolean;
}

const kinds = {
  root: "root",
  setup_data: "setup_data",
  boot_params: "zero page",
  "device-tree": "device tree",
} as const;

/** `kho scan FILE`: everything that could be the beginning of a handover. Exit code 3 if nothing of it is usable. */
export async function scanCommand(run: Run, file: string, options: ScanCommandOptions): Promise<Exit> {
  const { out, style, columns, progress } = run;
  return withImage(run, file, options, (image) => {
    if (image.kind === "debugfs" || image.kind === "fdt")
      throw new KhoError("usage", `${describeImage(image)}: there is no memory in it to search`);
    if (!options.json) {
      out.line(`${style.bold(inputName(file))}: ${describeImage(image)}`);
      out.flush();
    }
    const update = (done: number, total: number): void =>
      progress.update("looking for the root", done, total);
    const { candidates: found } = scan(image.memory, update);
    progress.clear();
    const usable = found.filter((candidate) => candidate.usable).length;
    if (options.json) out.line(jsonText({ candidates: found }));
    else {
      out.line(`${plural(found.length, "candidate")}, ${usable} usable${usable > 0 ? ", best first" : ""}`);
      const addresses = Math.max(0, ...found.map(({ pa }) => hex(pa).length));
      for (const { pa, kind, verdict, usable: good } of found) {
        const mark = good ? style.good("usable  ") : style.dim("unusable");
        const head = `${hex(pa).padEnd(addresses)}  ${kinds[kind].padEnd(11)}  `;
        const [first = "", ...rest] = wrap(safeSentence(verdict), Math.max(30, columns - head.length - 10));
        out.line(`${head}${mark}  ${first}`);
        for (const line of rest) out.line(" ".repeat(head.length + 10) + line);
      }
    }
    out.flush();
    return usable > 0 ? exits.fine : exits.content;
  });
}
