import { InvalidArgumentError } from "commander";
import type { Memfd } from "../../formats/memfd/memfd.js";
import { memfdContent } from "../handover/index.js";
import { storedBytes } from "../memory/index.js";
import { isKhoError, KhoError } from "../report/error.js";
import type { Finding } from "../report/finding.js";
import { type Exit, exits } from "./exit.js";
import { findFile, findSession, memfdOf } from "./find.js";
import { bySeverity, severityText } from "./finding.js";
import { type Forgiving, forgivingMemory, type Lost } from "./forgiving.js";
import { type InputOptions, withHandover } from "./input.js";
import type { Run } from "./run.js";
import { type OutputOptions, openSink, outputPath, type Sink } from "./sink.js";
import { exactBytes, humanBytes, plural, safeName, safeSentence } from "./text.js";
import { token as parseToken } from "./values.js";

export interface ExtractCommandOptions extends InputOptions, OutputOptions {
  readonly session?: string;
  readonly token?: bigint;
  /** The file's place in its session, from 0. */
  readonly file?: number;
}

/**
 * `kho extract FILE`: the bytes of one memfd. Where the capture lacks memory: exit code 3 and no output file; with
 * `--lenient` these bytes are holes, and the exit code is 1.
 */
export async function extractCommand(
  run: Run,
  file: string,
  sessionArgument: string | undefined,
  tokenArgument: string | undefined,
  options: ExtractCommandOptions,
): Promise<Exit> {
  const { session: name, token, out } = target(sessionArgument, tokenArgument, options);
  return withHandover(run, file, options, async ({ image, handover, findings }) => {
    const { session, index: s } = findSession(handover, name);
    const { file: found, index: f } = findFile(session, { token, file: options.file });
    const path = `luo.sessions[${s}].files[${f}]`;
    const memfd = memfdOf(found, path);
    const about = findings.filter((finding) => concerns(finding, path));
    if (memfd.size > BigInt(Number.MAX_SAFE_INTEGER))
      throw new KhoError("memfd-bad-size", `a file of ${memfd.size} bytes cannot be written`, { path });
    const source = options.lenient
      ? forgivingMemory(image.memory, handover.pageSize)
      : { memory: image.memory, lost: () => [] };
    const sink = openSink(run, out, options);
    const done = await write(run, sink, source, memfd, handover.pageSize, path);
    report(run, out, done, about);
    return done.absent > 0 || about.length > 0 ? exits.findings : exits.fine;
  });
}

interface Target {
  readonly session: string;
  readonly token: bigint | undefined;
  readonly out: string;
}

/** Session and token may come as arguments or as options, but once. The file's name is never made up. */
function target(
  session: string | undefined,
  token: string | undefined,
  options: ExtractCommandOptions,
): Target {
  const usage = (message: string): KhoError => new KhoError("usage", message);
  if (session !== undefined && options.session !== undefined)
    throw usage("the session is named twice, as an argument and with --session");
  if (token !== undefined && options.token !== undefined)
    throw usage("the token is named twice, as an argument and with --token");
  const name = session ?? options.session;
  if (name === undefined) throw usage("name a session: kho sessions lists them");
  let wanted = options.token;
  if (token !== undefined)
    try {
      wanted = parseToken(token);
    } catch (error) {
      if (error instanceof InvalidArgumentError)
        throw usage(`${safeName(token)} is no token: write 4096 or 0x1000`);
      throw error;
    }
  if (wanted !== undefined && options.file !== undefined)
    throw usage("name the file by its token or by --file, not both");
  return { session: name, token: wanted, out: outputPath(options, "the content") };
}

/** True for what is wrong with this file itself. */
const concerns = ({ path, severity }: Finding, file: string): boolean =>
  severity !== "info" && (path === file || path.startsWith(`${file}.`));

/** What was written, in bytes. */
interface Done {
  readonly size: number;
  data: number;
  holes: number;
  absent: number;
}

/** Pieces between two looks at what else there is to do, such as a signal. */
const piecesPerTurn = 16;

async function write(
  { progress }: Run,
  sink: Sink,
  { memory, lost }: Forgiving,
  memfd: Memfd,
  pageSize: number,
  path: string,
): Promise<Done> {
  const done: Done = { size: Number(memfd.size), data: 0, holes: 0, absent: 0 };
  // The library stops at as many bytes as the capture stores. What is absent does not count here, so it is done anew.
  const stored = storedBytes(memory);
  let pieces = 0;
  let holeEnd = -1;
  try {
    for (const piece of memfdContent(memory, memfd, pageSize, { maxData: Number.MAX_SAFE_INTEGER })) {
      if (piece.kind === "hole") {
        sink.hole(piece.offset, piece.length);
        if (piece.offset !== holeEnd) done.holes++;
        holeEnd = piece.offset + piece.length;
      } else writePiece(sink, piece.offset, piece.bytes, lost(), done);
      if (done.data > stored)
        throw new KhoError(
          "limit-exceeded",
          "the file has more data than the whole capture: its folios are listed more than once",
          {
            path,
            expected: `at most ${stored} bytes`,
          },
        );
      progress.update("writing", piece.offset, done.size);
      if (++pieces % piecesPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    sink.finish(done.size);
  } catch (error) {
    sink.abandon();
    if (isKhoError(error, "memory-absent"))
      throw new KhoError("memory-absent", `the capture lacks memory of this file: ${error.message}`, {
        path,
        ...(error.pa !== undefined && { pa: error.pa }),
      });
    throw error;
  }
  progress.clear();
  return done;
}

/** Bytes with the stretches left out that the capture lacks. */
function writePiece(sink: Sink, offset: number, bytes: Uint8Array, lost: readonly Lost[], done: Done): void {
  let at = 0;
  const until = (end: number): void => {
    if (end > at) sink.data(offset + at, bytes.subarray(at, end));
    done.data += Math.max(0, end - at);
  };
  for (const stretch of lost) {
    until(stretch.at);
    sink.hole(offset + stretch.at, stretch.length);
    done.absent += stretch.length;
    at = stretch.at + stretch.length;
  }
  until(bytes.length);
}

function report(
  { err, errStyle: style }: Run,
  out: string,
  { size, data, holes, absent }: Done,
  about: readonly Finding[],
): void {
  for (const { severity, message } of bySeverity(about))
    err.line(`kho: ${severityText(severity, style)}: ${safeSentence(message)}`);
  if (absent > 0)
    err.line(
      `kho: ${style.warn("warning")}: ${exactBytes(absent)} are not in the capture and were left as holes`,
    );
  const parts = [`${humanBytes(data)} of data`, ...(holes > 0 ? [plural(holes, "hole")] : [])];
  err.line(`${out === "-" ? "standard output" : safeName(out)}: ${exactBytes(size)}, ${parts.join(", ")}`);
  err.flush();
}
