import { readFileSync } from "node:fs";
import { newestKernel } from "../../../formats/kernels.js";
import type { RegionShape, Shape } from "../../cost/shape.js";
import { type Parameters, shapeFrom } from "../../cost/shape-from.js";
import { parseShape } from "../../cost/shape-json.js";
import { shapeOf } from "../../cost/shape-of.js";
import { ioError } from "../../image/file.js";
import { KhoError } from "../../report/error.js";
import { type InputOptions, withHandover } from "../input.js";
import type { Run } from "../run.js";
import { size } from "../values.js";

/** The numbers that a shape is made of, as they are parsed. */
export interface ShapeOptions extends InputOptions {
  readonly vms?: number;
  readonly memory?: number;
  readonly files?: number;
  readonly order?: number;
  readonly sessions?: number;
  readonly devices?: number;
  readonly flbs?: number;
  readonly reserveMem?: readonly string[];
  readonly runs?: number;
  readonly fragmentation?: number;
  readonly holes?: number;
  readonly inScratch?: number;
  readonly scratch?: number;
  readonly shape?: string;
}

/** Options that are parameters as they are. */
const alike = [
  "files",
  "order",
  "sessions",
  "devices",
  "flbs",
  "runs",
  "fragmentation",
  "holes",
  "inScratch",
] as const;
const numbers = ["vms", "memory", "reserveMem", "scratch", ...alike] as const;

/**
 * The shape: of a capture, of a file, or of numbers.
 * @throws KhoError `usage` for more than one of them, or none; as reading them does
 */
export async function readShape(run: Run, file: string | undefined, options: ShapeOptions): Promise<Shape> {
  const given = numbers.filter((name) => options[name] !== undefined);
  const ways = [file, options.shape, given.length > 0 ? given[0] : undefined].filter(
    (way) => way !== undefined,
  );
  if (ways.length !== 1)
    throw new KhoError(
      "usage",
      ways.length === 0
        ? "what is it to be the cost of?"
        : "a capture, a shape and numbers are three ways, and each is enough",
      { expected: "FILE, or --shape, or --memory and whatever else is known" },
    );
  if (file !== undefined) return withHandover(run, file, options, shapeOf);
  if (options.shape !== undefined) return parseShape(readText(options.shape));
  const { memory, vms = memory === undefined ? 0 : 1 } = options;
  if (memory === undefined && vms > 0)
    throw new KhoError("usage", "--memory says how much each of the machines has", {
      expected: "--memory 16GiB",
    });
  return shapeFrom({ ...parametersOf(options), vms, memory: memory ?? 0 });
}

function parametersOf(options: ShapeOptions): Omit<Parameters, "memory"> {
  const { scratch, reserveMem, base, pageSize, release = newestKernel.release } = options;
  if (options.files === 0) throw new KhoError("usage", "memory that is in no file is not handed over");
  return {
    release,
    ...Object.fromEntries(
      alike.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
    ),
    ...(pageSize !== undefined && { pageSize }),
    ...(scratch !== undefined && { scratch: { areas: 3, bytes: scratch } }),
    ...(base !== undefined && { base: Number(base) }),
    ...(reserveMem && { regions: reserveMem.map((text) => regionOf(text, pageSize ?? 4096)) }),
  };
}

function regionOf(text: string, pageSize: number): RegionShape {
  const [name = "", bytes = "", ...more] = text.split(":");
  if (name === "" || bytes === "" || more.length > 0)
    throw new KhoError("usage", "a region is a name and a size", {
      expected: "trace:2M",
      actual: text.slice(0, 80),
    });
  return { name, pages: Math.ceil(size(bytes) / pageSize) };
}

function readText(path: string): string {
  try {
    return readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (cause) {
    throw ioError("cannot read", path, cause);
  }
}
