import { pageSize } from "../values.js";
import type { Verb } from "../verb.js";

const core = "fixtures/7.3-memfd/core.elf.gz";

/** `kho preflight`. */
export const preflightVerbs: readonly Verb[] = [
  {
    usage: "preflight <file>",
    summary: "will the next kernel take what is in this capture",
    description:
      'Puts the capture back into a simulated machine and boots KERNEL on it: a release, or a file with a kernel (vmlinux,\nbzImage, BTF). Only what this handover uses counts. Where it does not all arrive, parts are left out and the kernel is\nbooted again, to find a small set without which the rest arrives.\n\nPOLICY is JSON that says what has to arrive: { "mandatory": ["sessions[vm-*]"], "optional": ["flbs[pci-*]",\n"kexec_metadata"], "default": "mandatory" }. Patterns are names of parts as the output has them, and take along what\nbelongs to these; * is anything. Of several that match, the one with the most characters decides.\n\nJSON: { from: { release, guessed, evidence }, to: { kernel, release, notes, differences }, verdict, promised, detail,\nreason?: { code, path, message, errno, phase }, parts: [{ part, kind, verdict, need, detail, bytes?, token? }], assumed,\nnotes, absent, advice?: { kind, drop: [{ part, kind, do, token? }], minimal, tries, rest?, instead? } }. Verdicts are works, lossy,\nignored, refused, panic, misread, unknown. A u64 is a string of decimals.\n\nExits with 0 if everything mandatory arrives whole; 1 if something mandatory does not, or cannot be promised to, or if\nanything is ignored, misread or stops a kernel; 2 for usage, a malformed policy among it; 3 if the capture is no\nhandover, or so damaged that its own release would take nothing (--lenient goes on); 4 if reading fails.',
    examples: [
      [`kho preflight ${core} --to 7.2`, "before a fleet goes back to 7.2"],
      [
        `kho preflight ${core} --to /boot/vmlinuz-7.3.4 --policy fleet.json`,
        "with the image that is to boot",
      ],
      ["kho preflight fixtures/6.19.10-memfd/core.elf.gz --to 7.0", "what stops it, and what helps"],
      [`kho preflight ${core} --to 7.1 --json | jq -r '.advice.kind'`, "for a script"],
    ],
    options: (command) =>
      command
        .requiredOption("--to <kernel>", "the kernel that is to take it")
        .option("--policy <file>", "what has to arrive, and what may get lost; all has to unless given")
        .option(
          "--to-page-size <size>",
          "bytes of a page of that kernel, where its image does not tell",
          pageSize,
        )
        .option("--no-advice", "do not look for what helps")
        .option("-a, --all", "cut no list")
        .option("--json", "as JSON"),
    run: async (run, [file = ""], options) =>
      (await import("./preflight.js")).preflightCommand(run, file, options),
  },
];
