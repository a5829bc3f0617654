import type { Command } from "commander";
import { pageSize, size } from "../values.js";
import type { Verb } from "../verb.js";

const btf = "fixtures/btf";

const reads = (command: Command): Command =>
  command.option(
    "--max-decompressed <size>",
    "most bytes that a compressed file may unpack to (default: 512M)",
    size,
  );

const kernels =
  "A kernel is a release (7.3, 6.17.8) or a file: vmlinux, BTF such as /sys/kernel/btf/vmlinux, or\na bzImage, as it is or compressed with gzip or zstd; - is standard input. A file speaks for itself,\na release through our layouts.";

/** Verbs of `kho abi`. */
export const abiVerbs: readonly Verb[] = [
  {
    group: "abi",
    usage: "show [struct]",
    summary: "print what a kernel hands over, or one structure as pahole does",
    description: `${kernels}\nWith types of a file any structure can be printed.`,
    examples: [
      ["kho abi show luo_session_ser", "of the newest release that is known"],
      [`kho abi show memfd_luo_ser --from ${btf}/6.19.10.btf`, "as that kernel's own types have it"],
      ["kho abi show --from /sys/kernel/btf/vmlinux", "everything that the running kernel hands over"],
    ],
    bare: true,
    options: (command) =>
      reads(command)
        .option("--from <kernel>", "release or file, the newest release that is known by default")
        .option("--page-size <size>", "bytes of a page of a release: 4K, 16K or 64K", pageSize, 4096)
        .option("--json", "as JSON"),
    run: async (run, [name], options) => (await import("./show.js")).abiShowCommand(run, name, options),
  },
  {
    group: "abi",
    usage: "diff <a> <b>",
    summary: "list the structures that two kernels hand over differently",
    description: `${kernels}\nExits with 1 if anything differs.`,
    examples: [
      ["kho abi diff 7.1 7.2", "two releases"],
      [`kho abi diff ${btf}/7.1.13.btf 7.2`, "a kernel against a release"],
      [
        `kho abi diff ${btf}/7.3.btf ${btf}/7.3-arm64-64k.btf --json | jq -r '.structs[].struct'`,
        "for a script",
      ],
    ],
    bare: true,
    options: (command) => reads(command).option("--json", "as JSON"),
    run: async (run, [a = "", b = ""], options) =>
      (await import("./diff.js")).abiDiffCommand(run, a, b, options),
  },
  {
    group: "abi",
    usage: "lint <a> [b]",
    summary: "find what can break a handover: in one kernel, or from one to another",
    description: `${kernels}\nA kernel alone is held against all known releases that have the same version strings. Exits with 1\nif there is a warning or an error.`,
    examples: [
      [`kho abi lint ${btf}/6.17.8.btf ${btf}/6.18.15.btf`, "what changed while its version did not"],
      ["kho abi lint vmlinux", "before a patch is posted: pointers, configuration, bit fields, strings"],
      ["kho abi lint 6.19 7.0 --json | jq '.claims[] | [.rule, .struct]'", "for a script"],
    ],
    bare: true,
    options: (command) => reads(command).option("--json", "as JSON"),
    run: async (run, [a = "", b], options) => (await import("./lint.js")).abiLintCommand(run, a, b, options),
  },
  {
    group: "abi",
    usage: "reduce <file>",
    summary: "write the types that a kernel hands over as BTF, and no other types",
    description:
      "The same types always give the same bytes, a few KiB instead of megabytes: fit for a test or a bug\nreport.",
    examples: [
      ["kho abi reduce /sys/kernel/btf/vmlinux -o /tmp/small.btf", "of the running kernel"],
      [`kho abi reduce ${btf}/7.3.btf -o - | kho abi show --from -`, "and what is in it"],
    ],
    bare: true,
    options: (command) =>
      reads(command)
        .option("-o, --output <out>", "where to write; - is standard output")
        .option("-f, --force", "replace OUT, and OUT.partial of an earlier run"),
    run: async (run, [file = ""], options) =>
      (await import("./reduce.js")).abiReduceCommand(run, file, options),
  },
];
