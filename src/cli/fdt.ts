import { defaultLimits } from "../../formats/context.js";
import {
  checkFdt,
  type Fdt,
  type FdtNode,
  type FdtProperty,
  property,
  readFdt,
  stringList,
  toDts,
} from "../../formats/fdt/index.js";
import { findRoot } from "../handover/find-root.js";
import { decodeHandover } from "../handover/index.js";
import { copiedRoot } from "../handover/root-tree.js";
import { treeBytes } from "../handover/tree-bytes.js";
import type { Image } from "../image/image.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import { type Exit, exits } from "./exit.js";
import { severityText } from "./finding.js";
import { decodeOptions, type InputOptions, withImage } from "./input.js";
import { nearest } from "./nearest.js";
import type { Run } from "./run.js";
import { plural, safeName, safeSentence } from "./text.js";

export interface FdtCommandOptions extends InputOptions {
  readonly check?: boolean;
}

/** `kho fdt FILE [SUBTREE]`: a tree as source that dtc compiles, or what is wrong with it. */
export async function fdtCommand(
  run: Run,
  file: string,
  subtree: string | undefined,
  options: FdtCommandOptions,
): Promise<Exit> {
  return withImage(run, file, options, (image) => {
    const bytes =
      subtree === undefined ? rootOf(run, image, options) : subtreeOf(run, image, subtree, options);
    run.progress.clear();
    return options.check ? writeProblems(run, bytes) : writeSource(run, bytes, options.lenient ?? false);
  });
}

/** The bytes of the tree that a capture begins with. */
function rootOf({ progress }: Run, image: Image, options: InputOptions): Uint8Array {
  const copied = copiedRoot(image);
  if (copied) return copied;
  const { fdt, handoff, meta } = decodeOptions(options, progress);
  const hints = {
    ...(fdt !== undefined && { fdt }),
    ...(handoff !== undefined && { handoff }),
    ...(meta && { meta }),
  };
  return treeBytes(image.memory, findRoot(image, hints, defaultLimits, progress.update).handoff.fdtPa);
}

function subtreeOf({ progress }: Run, image: Image, name: string, options: InputOptions): Uint8Array {
  const { handover } = decodeHandover(image, decodeOptions(options, progress));
  const { subtrees } = handover;
  const found = subtrees.find((subtree) => subtree.name === name);
  if (!found) {
    const names = subtrees.map((subtree) => safeName(subtree.name));
    const near = nearest(name, names);
    throw new KhoError("not-found", `there is no subtree ${safeName(name)} in this handover`, {
      expected:
        near.length > 0
          ? near.join(" or ")
          : names.length > 0
            ? names.slice(0, 16).join(", ")
            : "none has any",
    });
  }
  const { blob, kind, pa } = found;
  if (!blob)
    throw new KhoError("memory-absent", `the blob of ${safeName(name)} is not in the capture`, { pa });
  if (kind === "fdt") return blob;
  const structure =
    kind === "luo_ser"
      ? "a struct luo_ser"
      : kind === "kho_kexec_metadata"
        ? "a struct kho_kexec_metadata"
        : "no known format";
  throw new KhoError(
    "not-found",
    `the blob of ${safeName(name)} is not a tree but ${structure}: kho decode shows it`,
    { pa },
  );
}

function writeSource({ out, err, errStyle }: Run, bytes: Uint8Array, lenient: boolean): Exit {
  const faults: string[] = [];
  const fdt = readFdt(bytes, { lenient, report: ({ message }) => faults.push(message) });
  const { text, unrepresentable } = toDts(fdt, { annotate: annotator(fdt) });
  out.text(text);
  out.flush();
  for (const fault of faults) err.line(`kho: ${errStyle.warn("warning:")} ${safeSentence(fault)}`);
  for (const what of unrepresentable)
    err.line(
      `kho: ${errStyle.warn("warning:")} left out, the syntax has no way to write it: ${safeSentence(what)}`,
    );
  err.flush();
  return faults.length > 0 || unrepresentable.length > 0 ? exits.findings : exits.fine;
}

/** Properties of 8 bytes that the kernel stores in its own byte order. */
const raw = /^(fdt|preserved-data|blob-size|preserved-memory-map|start|size|luo-.*|liveupdate-number)$/;
/** Their value is a size or a number, not an address. */
const decimal = new Set(["blob-size", "size", "liveupdate-number"]);
/** The trees that have such properties; in a machine's tree the same names mean something else. */
const ours = /^(kho|luo|memblock|kho-test)-v/;

/** Comments with the values of raw numbers, for trees of the kernel's handover; nothing for other trees. */
function annotator(fdt: Fdt): (path: string, property: FdtProperty) => string | undefined {
  const compatible = property(fdt.root, "compatible");
  const versions = (compatible && stringList(compatible.value)) ?? [];
  const known = versions.some((version) => ours.test(version));
  return (_, { name, value }) => {
    if (!known) return undefined;
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    if (value.length === 8 && raw.test(name)) {
      const number = view.getBigUint64(0, true);
      return decimal.has(name) ? `${number}` : hex(number);
    }
    if (value.length === 4 && rawWords.has(name)) return hex(view.getUint32(0, true));
    return undefined;
  };
}
/** Properties of 4 bytes of the KHO test module. */
const rawWords = new Set(["magic", "nr_folios", "csum"]);

function writeProblems({ out, style }: Run, bytes: Uint8Array): Exit {
  const problems = checkFdt(bytes);
  if (problems.length > 0) {
    out.line(plural(problems.length, "problem"));
    for (const { severity, code, message, expected, actual } of problems) {
      const comparison =
        expected === undefined
          ? ""
          : ` (expected ${expected}${actual === undefined ? "" : `, found ${actual}`})`;
      out.line(
        `${severityText(severity, style)}${" ".repeat(9 - severity.length)}${safeSentence(message + comparison)}  ${style.dim(code)}`,
      );
    }
  } else {
    const { header, root, reservations } = readFdt(bytes);
    const { nodes, properties } = countOf(root);
    const facts = [
      `version ${header.version}`,
      `${header.totalsize} bytes`,
      plural(nodes, "node"),
      plural(properties, "property", "properties"),
      plural(reservations.length, "reservation"),
    ];
    out.line(`${style.good("no problems")}: ${facts.join(", ")}`);
  }
  out.flush();
  return problems.length > 0 ? exits.findings : exits.fine;
}

function countOf(root: FdtNode): { nodes: number; properties: number } {
  let nodes = 0;
  let properties = 0;
  const rest = [root];
  for (let node = rest.pop(); node; node = rest.pop()) {
    nodes++;
    properties += node.properties.length;
    for (const child of node.children) rest.push(child);
  }
  return { nodes, properties };
}
