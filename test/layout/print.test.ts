import { describe, expect, it } from "vitest";
import {
  array,
  bits,
  bytes,
  chars,
  pa,
  padding,
  printLayout,
  struct,
  u8,
  u16,
  u32,
  u64,
} from "../../src/layout/index.js";
import { big, little } from "./support.js";

const source = { header: "include/linux/kho/abi/example.h", since: "6.19" };
const inner = struct("example_inner", { next: pa, order: u32 }, source);
const outer = struct(
  "example_ser",
  {
    pfn: bits(u64, 52),
    flags: bits(u64, 12),
    name: chars(16),
    kind: u8,
    a_padding_with_a_long_name_that_is_not_shown: padding(3),
    inner,
    many: array(inner, 2),
    grid: array(array(u16, 3), 2),
    names: array(chars(4), 5),
    gap: padding(1),
    rest: bytes((abi) => abi.pageSize - 100),
  },
  { ...source, until: "7.0" },
);

describe("printLayout", () => {
  it("prints a struct as pahole does", () => {
    expect(printLayout(outer, little)).toMatchInlineSnapshot(`
      "struct example_ser {
              u64                      pfn:52;       /*     0: 0      8 */
              u64                      flags:12;     /*     0:52      8 */
              char                     name[16];     /*        8     16 */
              u8                       kind;         /*       24      1 */

              /* XXX 3 bytes hole, they are written as zeros */

              struct example_inner     inner;        /*       28     12 */
              struct example_inner     many[2];      /*       40     24 */
              u16                      grid[2][3];   /*       64     12 */
              char                     names[5][4];  /*       76     20 */

              /* XXX 1 byte hole, it is written as zeros */

              u8                       rest[3996];   /*       97   3996 */

              /* size: 4093, members: 9, holes: 2, sum holes: 4 */
              /* include/linux/kho/abi/example.h, 6.19 to 7.0 */
      };"
    `);
  });

  it("big-endian, the first bit field is on top", () => {
    const lines = printLayout(outer, big).split("\n");
    expect(lines.slice(0, 3)).toMatchInlineSnapshot(`
      [
        "struct example_ser {",
        "        u64                      pfn:52;       /*     0:12      8 */",
        "        u64                      flags:12;     /*     0: 0      8 */",
      ]
    `);
  });

  it("prints a struct without holes or end, and one without members", () => {
    expect(printLayout(inner, little)).toMatchInlineSnapshot(`
      "struct example_inner {
              u64                      next;   /*        0      8 */
              u32                      order;  /*        8      4 */

              /* size: 12, members: 2 */
              /* include/linux/kho/abi/example.h, since 6.19 */
      };"
    `);
    expect(printLayout(struct("empty", {}, source), little)).toMatchInlineSnapshot(`
      "struct empty {

              /* size: 0, members: 0 */
              /* include/linux/kho/abi/example.h, since 6.19 */
      };"
    `);
  });
});
