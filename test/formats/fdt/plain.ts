import type { FdtNode } from "../../../formats/fdt/index.js";
import type { Tree } from "./write.js";

/** What a node holds, without where it was. */
export const plain = (node: FdtNode): Tree => ({
  name: node.name,
  properties: node.properties.map(({ name, value }) => [name, Uint8Array.from(value)]),
  children: node.children.map(plain),
});
