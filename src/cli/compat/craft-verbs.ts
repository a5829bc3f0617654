import type { Verb } from "../verb.js";

/** `kho craft`. */
export const craftVerbs: readonly Verb[] = [
  {
    usage: "craft [case]",
    summary: "make a handover with one precise fault, and say what every kernel does with it",
    description:
      "A simulated kernel makes a handover, one member of it gets another value, and simulated kernels boot on it: what they\ndo is predicted by running them. Without CASE lists all of them. -o writes the memory as an ELF core; beside OUT.elf go\nOUT.meta.json and OUT.expected.json, which say how to boot a real kernel on it and what a program there is to find. JSON:\n{ cases: [{ name, area, about, releases }] }; of a CASE { name, area, about, release, changes, predictions }.",
    examples: [
      ["kho craft", "every case, and what comes of it"],
      ["kho craft session-duplicate-name", "where the fault is, and what kernels do with it"],
      ["kho craft file-list-cycle --release 7.2 -o /tmp/cycle.elf", "for a real kernel to boot on"],
      ["kho craft memfd-chunk-cycle -o - | kho check -", "what a reader finds"],
    ],
    bare: true,
    options: (command) =>
      command
        .option("--release <release>", "the kernel that writes it, the newest that is known by default")
        .option("-o, --output <out>", "write the memory as an ELF core; - is standard output")
        .option("--json", "as JSON")
        .option("-f, --force", "replace OUT and what goes beside it"),
    run: async (run, [name], options) => (await import("./craft.js")).craftCommand(run, name, options),
  },
];
