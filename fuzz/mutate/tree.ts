/** Changes of flattened trees: of their tokens where they are, or of what they say. */
import {
  buildSequential,
  FDT_BEGIN_NODE,
  FDT_END,
  FDT_END_NODE,
  FDT_NOP,
  FDT_PROP,
  type Fdt,
  type FdtNode,
  type FdtProperty,
  fdtAbi,
  fdtHeader,
  fdtPropertyHeader,
  fdtReserveEntry,
  readFdt,
  type TreeSource,
} from "../../formats/fdt/index.js";
import { khoVmalloc } from "../../formats/kho/layout.js";
import type { Random } from "../../src/fuzz/random.js";
import { type Layout, sizeOf, textFromBytes, u32, u64 } from "../../src/layout/index.js";
import { joined, mutateBytes, put } from "./bytes.js";
import { type Hints, mutateField } from "./fields.js";

const tokens = [FDT_BEGIN_NODE, FDT_END_NODE, FDT_PROP, FDT_NOP, FDT_END].map(BigInt);

/** Nodes of a tree, the root first. */
function nodesOf({ root }: Fdt): FdtNode[] {
  const nodes = [root];
  for (let i = 0; i < nodes.length && nodes.length < 4096; i++) nodes.push(...nodes[i]!.children);
  return nodes;
}

/** A tree with a change. `bytes` begins with it, and may be longer: the result is as long, unless the tree needs more. */
export function mutateTree(bytes: Uint8Array, hints: Hints, random: Random): Uint8Array {
  let fdt: Fdt;
  try {
    fdt = readFdt(bytes, { lenient: true, maxNodes: 4096 });
  } catch {
    return mutateBytes(bytes, random);
  }
  if (random.chance(3)) {
    const rebuilt = rebuild(fdt, hints, random);
    return rebuilt.length < bytes.length
      ? joined(rebuilt, new Uint8Array(bytes.length - rebuilt.length))
      : rebuilt;
  }
  const changed = bytes.slice();
  changeInPlace(changed, fdt, hints, random);
  return changed;
}

function changeInPlace(bytes: Uint8Array, fdt: Fdt, hints: Hints, random: Random): void {
  const inTree: Hints = { ...hints, abi: fdtAbi };
  const { off_dt_struct, size_dt_struct, off_mem_rsvmap, off_dt_strings, size_dt_strings } = fdt.header;
  const properties = nodesOf(fdt).flatMap((node) => node.properties);
  const within = (at: number, layout: Layout): boolean =>
    at >= 0 && at + sizeOf(layout, fdtAbi) <= bytes.length;
  const kind = random.below(8);
  const property = properties.length > 0 ? random.pick(properties) : undefined;
  if (kind <= 3 && property) changeValue(bytes, property, hints, random);
  else if (kind === 4 && property && within(property.offset, fdtPropertyHeader))
    mutateField(fdtPropertyHeader, bytes, property.offset, inTree, random);
  else if (kind === 5 && within(off_dt_struct, u32)) {
    const room = Math.min(size_dt_struct, bytes.length - off_dt_struct);
    const at = off_dt_struct + 4 * random.below(Math.max(1, Math.floor(room / 4)));
    put(bytes, at, random.pick(tokens), 4, false);
  } else if (kind === 6 && random.chance(2) && off_dt_strings < bytes.length && size_dt_strings > 0) {
    const at = off_dt_strings + random.below(Math.min(size_dt_strings, bytes.length - off_dt_strings));
    bytes[at] = random.pick([0, 0x61, 0xff, random.below(256)]);
  } else if (kind === 6 && within(off_mem_rsvmap, fdtReserveEntry))
    mutateField(fdtReserveEntry, bytes, off_mem_rsvmap, inTree, random);
  else if (within(0, fdtHeader)) mutateField(fdtHeader, bytes, 0, inTree, random);
}

/** Values are integers of the machine, descriptors of areas, or text. */
function changeValue(bytes: Uint8Array, property: FdtProperty, hints: Hints, random: Random): void {
  const { valueOffset, length } = property;
  if (length === 0 || valueOffset + length > bytes.length) return;
  const layout = [u32, u64, khoVmalloc].find((candidate) => sizeOf(candidate, hints.abi) === length);
  if (layout && !random.chance(6)) mutateField(layout, bytes, valueOffset, hints, random);
  else
    bytes[valueOffset + random.below(length)] = random.pick([0, 0x31 + random.below(9), random.below(256)]);
}

/** The same tree with one node or property renamed, doubled, left out, moved, or of another length. */
function rebuild(fdt: Fdt, hints: Hints, random: Random): Uint8Array {
  const nodes = nodesOf(fdt);
  const at = random.pick(nodes);
  const names = [...nodes.map(({ name }) => name), ...hints.texts.map(textFromBytes), "", "a", "a@1"];
  const source = (node: FdtNode): TreeSource => {
    const plain: TreeSource = {
      name: node.name,
      properties: node.properties.map(({ name, value }) => [name, value] as const),
      children: node.children.map(source),
    };
    return node === at ? changed(plain) : plain;
  };
  const changed = (node: TreeSource): TreeSource => {
    const { properties, children } = node;
    const p = random.below(Math.max(1, properties.length));
    const c = random.below(Math.max(1, children.length));
    const some = properties[p];
    switch (random.below(8)) {
      case 0:
        return { ...node, name: random.pick(names) };
      case 1:
        return { ...node, properties: properties.toSpliced(p, 1) };
      case 2:
        return { ...node, children: children.toSpliced(c, 1) };
      case 3:
        return { ...node, children: children.length > 0 ? [...children, children[c]!] : [node] };
      case 4:
        return { ...node, properties: some ? [...properties, some] : properties };
      case 5:
        return { ...node, properties: properties.toReversed(), children: children.toReversed() };
      case 6:
        return some
          ? { ...node, properties: properties.with(p, [some[0], mutateBytes(some[1], random)]) }
          : node;
      default: {
        const other = random.pick(names);
        return some
          ? { ...node, properties: properties.with(p, [other, some[1]]) }
          : { ...node, name: other };
      }
    }
  };
  try {
    return buildSequential(source(fdt.root));
  } catch {
    // A name that cannot be written.
    return fdt.bytes.slice();
  }
}
