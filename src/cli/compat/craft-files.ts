import type { Crafted } from "../../compat/craft/case.js";
import { expectedOf } from "../../compat/craft/expected.js";
import { imageMeta, imageRanges } from "../../compat/craft/image.js";
import type { Outcome } from "../../compat/craft/outcome.js";
import { elfCore } from "../../image/elf-write.js";
import { isGzipName, writePieces } from "../../image/write.js";
import { jsonText } from "../json.js";
import type { Run } from "../run.js";
import { type OutputOptions, openSink, type Sink } from "../sink.js";
import { exactBytes, safeName } from "../text.js";

/** The files of a case that are open for writing: the memory, and, unless that goes to a pipe, what goes beside it. */
export interface CraftedFiles {
  readonly out: string;
  readonly core: Sink;
  readonly beside?: { readonly meta: SideFile; readonly expected: SideFile };
  /** Leaves nothing behind of what is not complete. */
  abandon(): void;
}

interface SideFile {
  readonly path: string;
  readonly sink: Sink;
}

/** Opens all of them before anything is made. @throws KhoError `usage` if one exists and may not be replaced; `io` */
export function openCrafted(run: Run, out: string, options: OutputOptions): CraftedFiles {
  const open: Sink[] = [];
  const abandon = (): void => {
    for (const sink of open) sink.abandon();
  };
  const opened = (path: string): Sink => {
    const sink = openSink(run, path, options);
    open.push(sink);
    return sink;
  };
  try {
    const core = opened(out);
    if (out === "-") return { out, core, abandon };
    const stem = out.replace(/\.elf(\.gz)?$/, "");
    const side = (kind: string): SideFile => {
      const path = `${stem}.${kind}.json`;
      return { path, sink: opened(path) };
    };
    return { out, core, beside: { meta: side("meta"), expected: side("expected") }, abandon };
  } catch (error) {
    abandon();
    throw error;
  }
}

/** Writes the memory, how to boot a kernel on it, and what is to be found; `outcome` is of the release that wrote it. */
export async function writeCrafted(
  run: Run,
  { out, core: sink, beside }: CraftedFiles,
  crafted: Crafted,
  outcome: Outcome,
): Promise<void> {
  const { memory, hardware } = crafted.departure;
  const core = elfCore(memory, { ranges: imageRanges(crafted), arch: hardware.arch, zeros: "store" });
  const size = await writePieces(sink, core, {
    gzip: isGzipName(out),
    onProgress: (done) => run.progress.update("writing", done, core.size),
  });
  run.progress.clear();
  if (beside) {
    writeJson(beside.meta, imageMeta(crafted, outcome));
    writeJson(beside.expected, expectedOf(crafted.asked, outcome));
  }
  const others = beside ? `, with ${safeName(beside.meta.path)} and ${safeName(beside.expected.path)}` : "";
  run.err.line(`${out === "-" ? "standard output" : safeName(out)}: ${exactBytes(size)}${others}`);
  run.err.flush();
}

function writeJson({ sink }: SideFile, value: unknown): void {
  const bytes = new TextEncoder().encode(`${jsonText(value)}\n`);
  sink.data(0, bytes);
  sink.finish(bytes.length);
}
