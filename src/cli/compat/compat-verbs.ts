import { Option } from "commander";
import { pageSize } from "../values.js";
import type { Verb } from "../verb.js";

/** `kho compat`. */
export const compatVerbs: readonly Verb[] = [
  {
    usage: "compat [from] [to]",
    summary: "what a kernel makes of everything that another one can hand over",
    description:
      "Boots simulated kernels: FROM makes sessions, files, FLBs, regions and whatever else it can hand over, TO\ntakes them, and what comes out is held against what went in. Nothing is looked up in a table. FROM and TO\nare releases, or files with a kernel: vmlinux, bzImage, BTF. The way back is shown, too.\nJSON: { from, to, states: [{ state, verdict, detail }], rollback }; of --matrix { releases, pairs }.\nExits with 1 unless all that FROM can have works in TO.",
    examples: [
      ["kho compat 6.19 7.0", "an upgrade, and the rollback"],
      ["kho compat 7.2 ./vmlinux", "to a kernel of one's own"],
      ["kho compat --matrix", "every release with every other"],
      ["kho compat --matrix --format markdown", "for a document"],
      ["kho compat 7.3 7.3 --page-size 16K --to-page-size 64K", "arm64 kernels with other pages"],
      [`kho compat 7.0 6.19 --json | jq '.states[] | select(.verdict != "works")'`, "for a script"],
    ],
    options: (command) =>
      command
        .option("--matrix", "every known release with every other")
        .option("--json", "as JSON, like --format json")
        .addOption(
          new Option("--format <format>", "text, markdown or json").choices(["text", "markdown", "json"]),
        )
        .option("--page-size <size>", "bytes of a page of FROM: 4K, 16K or 64K", pageSize)
        .option("--to-page-size <size>", "of TO, the same unless given; such machines are arm64", pageSize),
    bare: true,
    run: async (run, [from, to], options) =>
      (await import("./compat.js")).compatCommand(run, [from, to], options),
  },
];
