/** FLBs: what their handlers find once they register, and what their files run into when they are finished. */
import type { Kernel } from "../../../../formats/kernels.js";
import { flbCapacity } from "../../../../formats/luo/encode.js";
import { luoFlbHeaderSer, luoFlbSer } from "../../../../formats/luo/layout.js";
import { LUO_FLB_PGCNT } from "../../../../formats/luo/records.js";
import { memberOf } from "../../../layout/index.js";
import type { PhysAddr } from "../../../memory/index.js";
import type { CraftCase } from "../case.js";
import type { Editor } from "../edit.js";
import { flbPage } from "../places.js";

const applies = ({ flb }: Kernel): boolean => flb;
const second = ({ handover }: Editor): PhysAddr => handover.luo!.flbs[1]!.pa;

export const flbCases: readonly CraftCase[] = [
  {
    name: "flb-count-too-large",
    about: "the FLB page says that it holds one entry more than there is room for",
    area: "flbs",
    applies,
    spoil: (editor) => editor.set(luoFlbHeaderSer, flbPage(editor), "count", BigInt(flbCapacity(editor) + 1)),
  },
  {
    name: "flb-search-without-end",
    about: "an FLB is not listed, and the page says that it holds more entries than memory has room for",
    area: "flbs",
    applies,
    spoil(editor) {
      editor.set(luoFlbSer, second(editor), "name", "not-listed");
      editor.set(luoFlbHeaderSer, flbPage(editor), "count", 1n << 40n);
    },
  },
  {
    name: "flb-page-count",
    about: "the FLB page says that it is two pages",
    area: "flbs",
    applies,
    spoil: (editor) => editor.set(luoFlbHeaderSer, flbPage(editor), "pgcnt", BigInt(LUO_FLB_PGCNT + 1)),
  },
  {
    name: "flb-not-listed",
    about: "an FLB that files depend on is not listed",
    area: "flbs",
    applies,
    spoil: (editor) => editor.set(luoFlbSer, second(editor), "name", "not-listed"),
  },
  {
    name: "flb-name-unterminated",
    about: "the name of an FLB has no NUL",
    area: "flbs",
    applies,
    spoil: (editor) =>
      editor.set(luoFlbSer, second(editor), "name", "f".repeat(memberOf(luoFlbSer, "name", editor.abi).size)),
  },
  {
    name: "flb-without-references",
    about: "an FLB that files depend on is listed with a count of 0",
    area: "flbs",
    applies,
    spoil: (editor) => editor.set(luoFlbSer, second(editor), "count", 0n),
  },
];
