import { escapeText } from "../../src/layout/index.js";
import { KhoError } from "../../src/report/error.js";
import { hex } from "../../src/report/hex.js";
import { shown } from "./problem.js";
import type { Fdt, FdtNode, FdtProperty } from "./tree.js";

/** How {@link toDts} writes. */
export interface DtsOptions {
  /**
   * A comment to put behind a property, or nothing. `path` is that of the property's node, `/` or `/LUO`. What it
   * returns may hold any characters: it cannot end the comment.
   */
  readonly annotate?: (path: string, property: FdtProperty) => string | undefined;
  /** Most characters to handle: of text, of names, and of paths that `annotate` is given. Defaults to 2^26. */
  readonly maxCharacters?: number;
}

/** Device tree source. */
export interface Dts {
  readonly text: string;
  /** What the text lacks, because the syntax has no way to write its name. A comment is in its place. */
  readonly unrepresentable: readonly string[];
}

/** The characters that dtc takes for a name, of a node or a property. */
const writable = /^[a-zA-Z0-9,._+*#?@-]+$/;

/**
 * A tree as device tree source that `dtc -I dts -O dtb` compiles to the same nodes, properties, values and
 * reservations in the same order. Values that are NUL-terminated printable text are written as strings, others
 * as cells if they are a multiple of 4 bytes long, else as bytes. Cells are big-endian u32: a native u64 of a
 * little-endian machine shows with its bytes reversed.
 *
 * dtc has rules beyond the format. It needs `-f` for names that occur twice or use characters that it parses but does
 * not like (`@` in a property's name, `*` in a node's) and for bad values of `phandle`; and it drops a property `name`
 * that repeats its node's name.
 * The boot CPU is not in the source; a comment names the flag, unless it is 0, which dtc assumes.
 *
 * @throws KhoError `limit-exceeded` if there are more characters than `maxCharacters`
 */
export function toDts(fdt: Fdt, { annotate, maxCharacters = 2 ** 26 }: DtsOptions = {}): Dts {
  const unrepresentable: string[] = [];
  const pieces: string[] = [];
  let room = maxCharacters;
  const fits = (length: number): void => {
    if (length > room)
      throw new KhoError("limit-exceeded", `the source takes more than ${maxCharacters} characters`, {
        expected: `at most ${maxCharacters} characters`,
      });
  };
  /** Names are counted even where they are left out: many properties can have one long name. */
  const count = (length: number): void => {
    fits(length);
    room -= length;
  };
  const line = (depth: number, text: string): void => {
    count(depth + text.length + 1);
    pieces.push("\t".repeat(depth), text, "\n");
  };
  const leaveOut = (depth: number, what: string): void => {
    line(depth, comment(`not representable: ${what}`));
    unrepresentable.push(what);
  };

  const begin = ({ node, path }: Place, depth: number): void => {
    line(depth, depth === 0 ? "/ {" : `${node.name} {`);
    for (const property of node.properties) {
      const { name, length } = property;
      count(name.length);
      // Before the text is made: a byte takes up to three characters, "00 ".
      fits(3 * length);
      if (!writable.test(name)) {
        leaveOut(depth + 1, `property ${shown(name)} at ${hex(property.offset)}, ${length} bytes`);
        continue;
      }
      if (annotate) count(path.length);
      const note = annotate?.(path, property);
      const assigned = length === 0 ? "" : ` = ${valueText(property.value)}`;
      line(depth + 1, `${name}${assigned};${note === undefined ? "" : ` ${comment(note)}`}`);
    }
  };

  line(0, "/dts-v1/;");
  for (const { address, size } of fdt.reservations) line(0, `/memreserve/ ${hex(address)} ${hex(size)};`);
  const cpu = fdt.header.boot_cpuid_phys;
  if (cpu !== 0) line(0, comment(`boot_cpuid_phys: dtc -b ${cpu}`));
  line(0, "");
  if (fdt.root.name !== "") leaveOut(0, `name ${shown(fdt.root.name)} of the root node`);

  // Nodes that are written in part, the root first: a list, as the depth is up to the tree.
  const open: Place[] = [{ node: fdt.root, path: "/", next: 0 }];
  begin(open[0]!, 0);
  for (let place = open.at(-1); place; place = open.at(-1)) {
    const node = place.node.children[place.next++];
    if (!node) {
      open.pop();
      line(open.length, "};");
      continue;
    }
    const depth = open.length;
    if (place.next > 1 || place.node.properties.length > 0) line(0, "");
    count(node.name.length);
    if (!writable.test(node.name)) {
      const { properties, children } = node;
      const holds = `${properties.length} properties and ${children.length} nodes`;
      leaveOut(depth, `node ${shown(node.name)} at ${hex(node.offset)} with ${holds}`);
      continue;
    }
    const inner = { node, path: `${depth === 1 ? "" : place.path}/${node.name}`, next: 0 };
    begin(inner, depth);
    open.push(inner);
  }
  return { text: pieces.join(""), unrepresentable };
}

interface Place {
  readonly node: FdtNode;
  readonly path: string;
  /** Index of the child to write next. */
  next: number;
}

/** Text that ends neither the comment nor the line. */
const comment = (text: string): string => `/* ${escapeText(text).replaceAll("*/", "*\\/")} */`;

function valueText(value: Uint8Array): string {
  const text = quoted(value);
  if (text !== undefined) return text;
  const written: string[] = [];
  if (value.length % 4 !== 0) {
    for (const byte of value) written.push(byte.toString(16).padStart(2, "0"));
    return `[${written.join(" ")}]`;
  }
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  for (let at = 0; at < value.length; at += 4)
    written.push(`0x${view.getUint32(at).toString(16).padStart(8, "0")}`);
  return `<${written.join(" ")}>`;
}

const escapes = new Map([
  [0x09, "\\t"],
  [0x0a, "\\n"],
  [0x0d, "\\r"],
  [0x22, '\\"'],
  [0x5c, "\\\\"],
]);

/**
 * The value as strings, if every one of them is printable ASCII, not empty, and terminated. Empty ones are left to
 * cells and bytes: zeros are far more often a number.
 */
function quoted(value: Uint8Array): string | undefined {
  if (value.at(-1) !== 0) return undefined;
  const strings: string[] = [];
  let text = "";
  for (const byte of value) {
    if (byte === 0) {
      if (text === "") return undefined;
      strings.push(`"${text}"`);
      text = "";
      continue;
    }
    const escaped = escapes.get(byte);
    if (escaped === undefined && (byte < 0x20 || byte > 0x7e)) return undefined;
    text += escaped ?? String.fromCharCode(byte);
  }
  return strings.join(", ");
}
