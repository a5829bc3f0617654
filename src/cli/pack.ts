import { type Packed, packHandover } from "../handover/index.js";
import { elfCore } from "../image/elf-write.js";
import type { Image } from "../image/image.js";
import { isGzipName, writePieces } from "../image/write.js";
import { storedBytes } from "../memory/index.js";
import { type Exit, exitOfFindings } from "./exit.js";
import { groupFindings, groupLines } from "./finding.js";
import { type InputOptions, type Opened, withHandover } from "./input.js";
import { noticeFindings } from "./notice.js";
import type { Run } from "./run.js";
import { type OutputOptions, openSink, outputPath, zerosRoom } from "./sink.js";
import { alignRows } from "./table.js";
import { exactBytes, humanBytes, plural, safeName } from "./text.js";

export interface PackCommandOptions extends InputOptions, OutputOptions {
  readonly data?: boolean;
  readonly zeros: "omit" | "store";
}

/** `kho pack FILE`: the handover alone, as a small capture. */
export async function packCommand(run: Run, file: string, options: PackCommandOptions): Promise<Exit> {
  const out = outputPath(options, "the capture");
  return withHandover(
    run,
    file,
    options,
    async (opened) => {
      const { image } = opened;
      const { update } = run.progress;
      const packed = packHandover(image, opened, { data: options.data ?? false, onProgress: update });
      const core = elfCore(packed.memory, {
        ...identity(opened),
        ranges: packed.memory.ranges,
        zeros: options.zeros,
        maxSize: storedBytes(image.memory) + zerosRoom,
      });
      const size = await writePieces(openSink(run, out, options), core, {
        gzip: isGzipName(out),
        onProgress: (done) => update("writing", done, core.size),
      });
      run.progress.clear();
      report(run, out, size, opened, packed, options);
      const noticed = noticeFindings(run, opened);
      return noticed || exitOfFindings(packed.findings);
    },
    { mode: "forensic" },
  );
}

/** What the capture says of itself. A page size that was worked out is worked out of the packed file again. */
function identity({ image, handover }: Opened): {
  arch?: Image["arch"];
  pageSize?: number;
  release?: string;
} {
  const { arch, pageSize, pageSizeGuessed } = handover;
  return {
    ...((arch === "x86_64" || arch === "aarch64") && { arch }),
    ...(!pageSizeGuessed && { pageSize }),
    ...(image.release !== undefined && { release: image.release }),
  };
}

function report(
  { err, errStyle: style, columns }: Run,
  out: string,
  size: number,
  { image, handover }: Opened,
  { structures, contents, undefined: undefinedBytes, findings }: Packed,
  { data }: PackCommandOptions,
): void {
  for (const group of groupFindings(findings))
    for (const line of groupLines(group, handover.release, { style, columns })) err.line(line);
  const before = storedBytes(image.memory);
  const ratio = before / size;
  const times = ratio >= 1.05 ? `, ${ratio >= 10 ? Math.round(ratio) : ratio.toFixed(1)} times smaller` : "";
  err.line(
    `${out === "-" ? "standard output" : safeName(out)}: ${exactBytes(size)}, of a capture with ${humanBytes(before)} of memory${times}`,
  );
  const asFound =
    structures.asFound === 0
      ? "all as kho writes them"
      : `${humanBytes(structures.asFound)} as they are in the capture`;
  const pages = plural(Math.ceil(structures.size / handover.pageSize), "page");
  const rows = [["structures", `${exactBytes(structures.size)} in ${pages}, ${asFound}`]];
  const zeroed = undefinedBytes.reduce((sum, { size: bytes }) => sum + bytes, 0);
  if (zeroed > 0) {
    const kinds = [...undefinedBytes].sort((a, b) => b.size - a.size);
    const list = kinds.map(({ what, size: bytes }) => `${what} ${humanBytes(bytes)}`).join(", ");
    rows.push(["undefined", `${exactBytes(zeroed)} became zeros: ${list}`]);
  }
  if (contents > 0n || data) rows.push(["contents", exactBytes(contents)]);
  else rows.push(["contents", "none; --data packs them"]);
  const opaque = (handover.luo?.sessions ?? []).flatMap(({ files }) => files).filter(({ memfd }) => !memfd);
  if (opaque.length > 0)
    rows.push(["opaque", `${plural(opaque.length, "file")}, of which only the records are packed`]);
  for (const line of alignRows(rows)) err.line(`  ${line}`);
  err.flush();
}
