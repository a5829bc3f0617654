import { type Fdt, type FdtNode, type FdtProperty, stringList } from "../../formats/fdt/index.js";
import type { KhoVersion } from "../../formats/kernels.js";
import { PROP_PRESERVED_MEMORY_MAP, rootForms } from "../../formats/kho/root.js";
import { bytesFromText } from "../layout/index.js";

/**
 * Gives back the property names that a copy of debugfs `out/fdt` has lost. From 6.19 on that file ends inside the
 * tree, and what is cut off is the end of the strings block. But kernels build the tree in one fixed order, so the
 * strings block of each version is known; it is used only if the version that the tree itself states has that block.
 */
export function recoverNames(fdt: Fdt): Fdt {
  for (const [version, form] of Object.entries(rootForms) as [KhoVersion, (typeof rootForms)[KhoVersion]][]) {
    // The strings of the empty tree in reverse order of first use, then those of the first subtree as they came.
    const names = [
      PROP_PRESERVED_MEMORY_MAP,
      "compatible",
      form.address,
      ...(form.size === undefined ? [] : [form.size]),
    ];
    const byOffset = new Map<number, string>();
    let offset = 0;
    for (const name of names) {
      byOffset.set(offset, name);
      offset += bytesFromText(name).length + 1;
    }
    const stated = fdt.root.properties.find(({ nameOffset }) => byOffset.get(nameOffset) === "compatible");
    if (!stated || stringList(stated.value)?.[0] !== version) continue;
    return { ...fdt, root: renamed(fdt.root, byOffset) };
  }
  return fdt;
}

/** The root and its children: the tree has no further level. */
const renamed = (node: FdtNode, names: ReadonlyMap<number, string>): FdtNode => ({
  name: node.name,
  offset: node.offset,
  properties: node.properties.map((property): FdtProperty => {
    const { name, offset, nameOffset, valueOffset, length, value } = property;
    return { name: name || (names.get(nameOffset) ?? ""), offset, nameOffset, valueOffset, length, value };
  }),
  children: node.children.map((child) => renamed(child, names)),
});
