import { encodedAt, fillPages } from "../../formats/fill.js";
import { khoVmalloc } from "../../formats/kho/layout.js";
import type { KhoTest } from "../../formats/kho/test-module.js";
import { khoTestList, khoTestTree } from "../../formats/kho/test-module-encode.js";
import { encodeVmallocContent } from "../../formats/kho/vmalloc-encode.js";
import { khoTestInfoPath, khoTestPath } from "../../formats/paths.js";
import { encode } from "../layout/index.js";
import type { PhysAddr } from "../memory/index.js";
import { encodeArea } from "./encode-area.js";
import type { Writing } from "./writing.js";

/** Writes the test module's subtree, but for the folios themselves. `room` is the length of the blob so far. */
export function encodeKhoTest(
  writing: Writing,
  pa: PhysAddr,
  room: number | undefined,
  test: KhoTest,
): number {
  const { target } = writing;
  const { abi, kernel } = target;
  const list = encodedAt(khoTestPath, () => khoTestList(test.folios, abi));
  const tree = khoTestTree(test, kernel.vmalloc ? viaArea(writing, list) : list, abi);
  fillPages(target, pa, Math.ceil((room ?? tree.length) / abi.pageSize), tree, "fdt-slack");
  return tree.length;
}

function viaArea(writing: Writing, list: Uint8Array): Uint8Array {
  const { target } = writing;
  const area = encodeArea(writing, khoTestInfoPath, list.length, (blocks) =>
    encodeVmallocContent(target, blocks, list.length, (bytes, offset) =>
      bytes.set(list.subarray(offset, offset + bytes.length)),
    ),
  );
  return encode(khoVmalloc, area, target.abi);
}
