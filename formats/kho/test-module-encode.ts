import { type Abi, encode, u64 } from "../../src/layout/index.js";
import { addressOf } from "../../src/memory/index.js";
import { KhoError } from "../../src/report/error.js";
import { buildSequential, nativeU32Property, stringProperty } from "../fdt/index.js";
import { KHO_TEST_COMPAT, type KhoTest } from "./test-module.js";

/**
 * The list of the test module's folios: a u64 each, the physical address with the order in the bits below the page size.
 * @throws KhoError `value-range` for an order that these bits do not hold, or a page that no block of it begins at
 */
export function khoTestList({ pfn, order }: KhoTest["folios"], abi: Abi): Uint8Array {
  const size = u64.bytes;
  const bytes = new Uint8Array(pfn.length * size);
  for (let i = 0; i < pfn.length; i++) {
    if (order[i]! >= abi.pageSize || pfn[i]! % 2 ** order[i]! !== 0) {
      const path = `folios[${i}]`;
      throw new KhoError("value-range", `${path} of order ${order[i]} cannot begin at page ${pfn[i]}`, {
        path,
      });
    }
    bytes.set(encode(u64, addressOf(pfn[i]!, abi.pageSize) | BigInt(order[i]!), abi), i * size);
  }
  return bytes;
}

/**
 * The tree of the test module's subtree. `foliosInfo` is the list itself up to 6.17, and from 6.18 the description of
 * the vmalloc area with the list.
 * @throws KhoError `value-range`
 */
export const khoTestTree = (
  { magic, nrFolios, csum }: Pick<KhoTest, "magic" | "nrFolios" | "csum">,
  foliosInfo: Uint8Array,
  abi: Abi,
): Uint8Array =>
  buildSequential({
    name: "",
    properties: [
      ["compatible", stringProperty(KHO_TEST_COMPAT)],
      ["magic", nativeU32Property(magic, abi)],
    ],
    children: [
      {
        name: "data",
        properties: [
          ["nr_folios", nativeU32Property(nrFolios, abi)],
          ["folios_info", foliosInfo],
          ["csum", nativeU32Property(csum, abi)],
        ],
        children: [],
      },
    ],
  });
