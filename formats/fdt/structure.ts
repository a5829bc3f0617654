import { offsetOf, sizeOf } from "../../src/layout/index.js";
import type { Block } from "./header.js";
import {
  FDT_BEGIN_NODE,
  FDT_END,
  FDT_END_NODE,
  FDT_NOP,
  FDT_PROP,
  FDT_TAGSIZE,
  fdtAbi,
  fdtNodeHeader,
  fdtPropertyHeader,
} from "./layout.js";
import { type Faults, shown } from "./problem.js";
import { nameAt, type Strings } from "./strings.js";
import type { FdtNode, FdtProperty } from "./tree.js";

/** How much a tree may ask for. */
export interface Limits {
  /** Nodes and properties together. */
  readonly maxNodes: number;
  /** Nodes open at once, the root included. */
  readonly maxDepth: number;
}

interface OpenNode extends FdtNode {
  readonly properties: FdtProperty[];
  children: FdtNode[];
}

/**
 * A property that makes the view of its value when it is read. Views are most of the cost of reading a tree,
 * and most are never looked at.
 */
class LazyProperty implements FdtProperty {
  readonly #bytes: Uint8Array;

  constructor(
    bytes: Uint8Array,
    readonly name: string,
    readonly offset: number,
    readonly nameOffset: number,
    readonly valueOffset: number,
    readonly length: number,
  ) {
    this.#bytes = bytes;
  }

  get value(): Uint8Array {
    return this.#bytes.subarray(this.valueOffset, this.valueOffset + this.length);
  }
}

/** What the loop below needs at every token. As locals of a function they are not looked up each time. */
const constants = {
  FDT_BEGIN_NODE,
  FDT_END_NODE,
  FDT_PROP,
  FDT_TAGSIZE,
  nodeHeaderSize: sizeOf(fdtNodeHeader, fdtAbi),
  propertySize: sizeOf(fdtPropertyHeader, fdtAbi),
  lenAt: offsetOf(fdtPropertyHeader, "len", fdtAbi),
  nameoffAt: offsetOf(fdtPropertyHeader, "nameoff", fdtAbi),
};

/**
 * Reads the structure block in one pass and returns the root. Nesting is a list, not recursion. Of a damaged block
 * the nodes and properties that are whole are returned; a node that is cut keeps what it had.
 * @throws KhoError in strict mode `fdt-bad-structure`, `fdt-bad-string`, `limit-exceeded`
 */
export function readStructure(
  bytes: Uint8Array,
  block: Block,
  strings: Strings,
  limits: Limits,
  faults: Faults,
): FdtNode {
  const { FDT_BEGIN_NODE, FDT_END_NODE, FDT_PROP, FDT_TAGSIZE } = constants;
  const { nodeHeaderSize, propertySize, lenAt, nameoffAt } = constants;
  const { start, end, limit } = block;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { known } = strings;
  const open: OpenNode[] = [];
  let node: OpenNode | undefined;
  let root: OpenNode | undefined;
  /** Nodes and properties that may still come. */
  let left = limits.maxNodes;

  /** For `[at, at + length)` that is not readable. Bytes that a capture lacks have been reported before. */
  const ranOut = (at: number, length: number, what: string): void => {
    if (at + length > end) {
      const room = `the structure block ends at ${end}`;
      faults.add("fdt-bad-structure", at, length, `${what} leaves the structure block`, {
        expected: room,
        actual: `${what} ends at ${at + length}`,
      });
    }
  };
  const tooMany = (at: number, length: number): void =>
    faults.add("limit-exceeded", at, length, `there are more than ${limits.maxNodes} nodes and properties`);

  // Bounds are compared in the loop and reported outside of it: helpers that do both cost a sixth of the time.
  for (let at = start; ; ) {
    if (at + FDT_TAGSIZE > limit) {
      ranOut(at, FDT_TAGSIZE, "a token");
      break;
    }
    const token = view.getUint32(at);
    if (token === FDT_PROP) {
      if (at + propertySize > limit) {
        ranOut(at, propertySize, "a property");
        break;
      }
      const length = view.getUint32(at + lenAt);
      const nameoff = view.getUint32(at + nameoffAt);
      const valueOffset = at + propertySize;
      if (valueOffset + length > limit) {
        ranOut(at, propertySize + length, "a property's value");
        break;
      }
      if (--left < 0) {
        tooMany(at, propertySize);
        break;
      }
      const name = known[nameoff] ?? strings.name(nameoff, at, propertySize);
      if (name === undefined && strings.spent) break;
      if (!node) faults.add("fdt-bad-structure", at, propertySize, "a property is outside of the root node");
      else {
        if (node.children.length > 0)
          faults.add("fdt-bad-structure", at, propertySize, "a property comes behind a subnode");
        node.properties.push(new LazyProperty(bytes, name ?? "", at, nameoff, valueOffset, length));
      }
      at = valueOffset + length;
      at += (start - at) & (FDT_TAGSIZE - 1);
    } else if (token === FDT_BEGIN_NODE) {
      const nameStart = at + nodeHeaderSize;
      let nul = nameStart;
      let all = 0;
      for (; nul < limit && bytes[nul] !== 0; nul++) all |= bytes[nul]!;
      if (nul >= limit) {
        ranOut(at, nul - at + 1, "a node's name");
        break;
      }
      if (--left < 0) {
        tooMany(at, nodeHeaderSize);
        break;
      }
      if (open.length >= limits.maxDepth) {
        faults.add("limit-exceeded", at, nodeHeaderSize, `nodes are nested deeper than ${limits.maxDepth}`);
        break;
      }
      const name = nameAt(bytes, nameStart, nul, all);
      const inner: OpenNode = { name, offset: at, properties: [], children: [] };
      // A list that begins with its first item takes less than one that is pushed to: most nodes have few.
      if (node) {
        if (node.children.length === 0) node.children = [inner];
        else node.children.push(inner);
      } else if (root) {
        faults.add("fdt-bad-structure", at, nodeHeaderSize, `there is a second root node, ${shown(name)}`);
        break;
      } else {
        root = inner;
        if (name !== "")
          faults.add("fdt-bad-structure", at, nodeHeaderSize, "the root node has a name", {
            expected: '""',
            actual: shown(name),
          });
      }
      open.push(inner);
      node = inner;
      at = nul + 1;
      at += (start - at) & (FDT_TAGSIZE - 1);
    } else if (token === FDT_END_NODE) {
      if (!node) {
        faults.add("fdt-bad-structure", at, FDT_TAGSIZE, "a node ends that has not begun");
        break;
      }
      open.pop();
      node = open[open.length - 1];
      at += FDT_TAGSIZE;
    } else if (token === FDT_NOP) at += FDT_TAGSIZE;
    else if (token === FDT_END) {
      if (node)
        faults.add("fdt-bad-structure", at, FDT_TAGSIZE, `the block ends inside of node ${shown(node.name)}`);
      else if (!root) faults.add("fdt-bad-structure", at, FDT_TAGSIZE, "there is no root node");
      break;
    } else {
      faults.add("fdt-bad-structure", at, FDT_TAGSIZE, `0x${token.toString(16)} is no token`);
      break;
    }
  }
  return root ?? { name: "", offset: start, properties: [], children: [] };
}
