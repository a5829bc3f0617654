import { Command, Option } from "commander";
import pkg from "../../package.json" with { type: "json" };
import { abiVerbs } from "./abi/verbs.js";
import { compatVerbs } from "./compat/compat-verbs.js";
import { craftVerbs } from "./compat/craft-verbs.js";
import { preflightVerbs } from "./compat/preflight-verbs.js";
import { costVerbs } from "./cost/cost-verbs.js";
import type { Exit } from "./exit.js";
import { fuzzVerbs } from "./fuzz/verbs.js";
import { iommuVerbs } from "./iommu/verbs.js";
import type { Run } from "./run.js";
import { address, index, pageSize, size, token } from "./values.js";
import type { Verb } from "./verb.js";

const core = "fixtures/7.3-memfd/core.elf.gz";

const verbs: readonly Verb[] = [
  {
    usage: "decode <file>",
    summary: "show everything that was handed over",
    examples: [
      [`kho decode ${core}`, "a tree for people"],
      [`kho decode --json ${core} | jq -r '.luo.sessions[].name'`, "the interchange form, kho.v1.Handover"],
      ["kho decode --lenient --all damaged.elf", "read on past damage, cut no list"],
    ],
    options: (command) =>
      command
        .option("-a, --all", "cut no list")
        .option("--json", "the interchange form as JSON, like --format json")
        .addOption(
          new Option(
            "--format <format>",
            "text, json, or pb: the bytes of a kho.v1.Handover, made in memory of half a kilobyte a run",
          ).choices(["text", "json", "pb"]),
        ),
    run: async (run, [file = ""], options) => (await import("./decode.js")).decodeCommand(run, file, options),
  },
  {
    usage: "check <file>",
    summary: "list everything that is wrong, and what the kernel makes of it",
    description:
      "Reads on past damage, as --lenient does. Exits with 1 if there is a warning or an error, with 0 if there is\nnothing or only what is worth knowing.",
    examples: [
      [`kho check ${core}`, "all findings, worst first"],
      [`kho check --release 7.1 ${core}`, "what a 7.1 kernel would make of it"],
      [`kho check --json ${core} | jq '.findings | length'`, "for a script"],
    ],
    options: (command) =>
      command
        .option("-a, --all", "list every place of findings that say the same")
        .option("--json", "findings as JSON"),
    run: async (run, [file = ""], options) => (await import("./check.js")).checkCommand(run, file, options),
  },
  {
    usage: "pages <file>",
    summary: "show which memory is preserved, by order and by address",
    description:
      'JSON: { pageSize, kind, rootPa, mapPages, bytes, blocks, orders: [{ order, blocks, bytes }],\nranges: [{ pa, end, order, blocks, bytes }] }. A u64 is a string of decimals, "end" is the first byte behind.',
    examples: [
      [`kho pages ${core}`, "histogram and ranges"],
      [`kho pages --at 0x19e2000 ${core}`, "what becomes of one address"],
      [`kho pages --json ${core} | jq -r '.ranges[] | select(.order == 9) | .pa'`, "every 2 MiB run"],
    ],
    options: (command) =>
      command
        .option("--json", "as JSON")
        .option("--at <addr>", "only what is preserved at this address", address),
    run: async (run, [file = ""], options) => (await import("./pages.js")).pagesCommand(run, file, options),
  },
  {
    usage: "sessions <file> [name]",
    summary: "list live-update sessions and their files; with a name, where each folio is",
    description:
      "JSON: { sessions: [{ index, name, files: [{ index, token, compatible, data, memfd? }] }] }, with a name also\nthe runs of each file. A u64 is a string of decimals.",
    examples: [
      [`kho sessions ${core}`, "all of them"],
      [`kho sessions ${core} kinds`, "one, with the runs of folios"],
      [`kho sessions --json ${core} | jq '.sessions[].files[].token'`, "for a script"],
    ],
    options: (command) => command.option("--json", "as JSON"),
    run: async (run, [file = "", name], options) =>
      (await import("./sessions.js")).sessionsCommand(run, file, name, options),
  },
  {
    usage: "extract <file> [session] [token]",
    summary: "write the content of one memfd to a file",
    description:
      "Holes stay holes. The content is written beside OUT as OUT.partial and renamed when it is complete. Where the\ncapture lacks memory nothing is left behind, exit code 3; with --lenient these bytes become holes, exit code 1.",
    examples: [
      [`kho extract ${core} kinds 0x12 -o /tmp/disk.img`, "the file with token 0x12 of the session kinds"],
      [
        `kho extract ${core} --session one --file 0 -o - | sha256sum`,
        "the first file of a session, to a pipe",
      ],
      [`kho extract ${core} --session kinds --token 18 --force -o /tmp/disk.img`, "replace an older copy"],
    ],
    options: (command) =>
      command
        .option("-o, --output <out>", "where to write; - is standard output, with zeros for holes")
        .option("--session <name>", "name of the session, as it is or as it is shown")
        .option("--token <token>", "token of the file, decimal or 0x hex", token)
        .option("--file <index>", "the file's place in the session, from 0", index)
        .option("-f, --force", "replace OUT, and OUT.partial of an earlier run"),
    run: async (run, [file = "", session, tokenText], options) =>
      (await import("./extract.js")).extractCommand(run, file, session, tokenText, options),
  },
  {
    usage: "pack <file>",
    summary: "write a small capture that holds the handover and nothing else",
    description:
      "An ELF core with every structure of the handover, at its address, that decodes to the same; compressed if OUT ends\nin .gz. Structures are written anew from what was decoded, and compared with the capture byte for byte: what no kernel\ndefines becomes zeros. Where anything else differs the capture's own page is taken, with a warning, exit code 1. Reads\non past damage, as --lenient does.",
    examples: [
      [`kho pack ${core} -o /tmp/small.elf.gz`, "structures alone: fit for a bug report"],
      [`kho pack --data ${core} -o /tmp/whole.elf.gz`, "with the contents of files and regions"],
      [`kho pack ${core} -o - | kho decode -`, "what is decoded of it"],
    ],
    options: (command) =>
      command
        .option("-o, --output <out>", "where to write; - is standard output")
        .option("--data", "also the contents of files, of reserve_mem regions and of the test module")
        .addOption(
          new Option("--zeros <how>", "omit leaves out stretches of zeros, store has them in the file")
            .choices(["omit", "store"])
            .default("omit"),
        )
        .option("-f, --force", "replace OUT, and OUT.partial of an earlier run"),
    run: async (run, [file = ""], options) => (await import("./pack.js")).packCommand(run, file, options),
  },
  {
    usage: "fdt <file> [subtree]",
    summary: "print a tree as device tree source",
    description:
      "The root tree of a capture, the tree of one of its subtrees, or a .dtb file. Numbers that the kernel stores in\nits own byte order have their value beside them. dtc -I dts -O dtb compiles the output.",
    examples: [
      [`kho fdt ${core}`, "the root"],
      ["kho fdt fixtures/7.1.13-memfd/core.elf.gz LUO", "live-update state, a tree up to 7.1"],
      ["kho fdt --check fixtures/7.3-memfd/fdt/second-in-fdt.dtb", "what is wrong with a tree"],
    ],
    options: (command) =>
      command.option("--check", "list what is wrong with the tree, instead of printing it"),
    run: async (run, [file = "", subtree], options) =>
      (await import("./fdt.js")).fdtCommand(run, file, subtree, options),
  },
  {
    usage: "scan <file>",
    summary: "list everything in a capture that could be the beginning of a handover",
    examples: [
      [`kho scan ${core}`, "every candidate, best first"],
      ["kho scan --base 0x40000000 guest-ram.bin", "raw memory that begins at 1 GiB"],
    ],
    options: (command) => command.option("--json", "as JSON"),
    run: async (run, [file = ""], options) => (await import("./scan.js")).scanCommand(run, file, options),
  },
  {
    usage: "simulate <scenario>",
    summary: "run a chain of kernels on a simulated machine",
    description:
      "SCENARIO is JSON, kho.v1.Scenario of proto/kho/v1/scenario.proto: kernels, sessions, files and contents, and what is\nto go wrong. Every kernel writes and reads the bytes of its release. Exits with 1 if anything goes otherwise than the\nscenario says.",
    examples: [
      ["kho simulate fixtures/scenarios/small-vm-host.json", "what happens at each kexec"],
      [
        "kho simulate fixtures/scenarios/three-kexec-chain.json --hop 2 -o /tmp/second.elf.gz",
        "and the memory of one",
      ],
      ["kho simulate fixtures/scenarios/small-vm-host.json -o - | kho decode -", "decoded right away"],
    ],
    bare: true,
    options: (command) =>
      command
        .option(
          "-o, --output <out>",
          "write what a kexec finds in memory, as an ELF core; - is standard output",
        )
        .addOption(new Option("--hop <n>", "which kexec, from 1; the last one unless given").argParser(index))
        .addOption(
          new Option("--zeros <how>", "omit leaves out stretches of zeros, store has them in the file")
            .choices(["omit", "store"])
            .default("omit"),
        )
        .option("--json", "what happened as JSON")
        .option("-f, --force", "replace OUT, and OUT.partial of an earlier run"),
    run: async (run, [file = ""], options) =>
      (await import("./simulate.js")).simulateCommand(run, file, options),
  },
  {
    usage: "layout [struct]",
    summary: "print the structures of a kernel release, as pahole does",
    examples: [
      ["kho layout", "all of the newest release"],
      ["kho layout luo_session_ser", "one of them"],
      ["kho layout kho_vmalloc_chunk --release 6.19 --page-size 64K", "of another release and page size"],
    ],
    options: (command) =>
      command
        .option("--release <release>", "kernel release, the newest that is known by default")
        .option("--page-size <size>", "bytes of a page: 4K, 16K or 64K", pageSize, 4096)
        .option("--json", "as JSON"),
    bare: true,
    run: async (run, [name], options) => (await import("./layout.js")).layoutCommand(run, name, options),
  },
  ...compatVerbs,
  ...craftVerbs,
  ...preflightVerbs,
  ...costVerbs,
  ...fuzzVerbs,
  ...iommuVerbs,
  ...abiVerbs,
];

/** What verbs that are made of others are about. */
const groups: Readonly<Record<string, string>> = {
  abi: "which structures a kernel hands over, from its own types, and what changed about them",
  iommu: "what devices can reach: IOMMU page tables, from the root register on",
};

const color = (command: Command): Command =>
  command.addOption(
    new Option("--color <when>", "colour the output").choices(["auto", "always", "never"]).default("auto"),
  );

/** The options of every verb that reads a capture. */
const input = (command: Command): Command =>
  color(command)
    .option(
      "--release <release>",
      "kernel release whose formats to read, and whose reader judges: 7.3, 6.17.8",
    )
    .option("--lenient", "forensic: read on past damage and report it; strict stops where that release would")
    .option("--fdt <addr>", "physical address of the root tree", address)
    .option("--handoff <addr>", "of an x86 setup_data node, a zero page, or a device tree", address)
    .option("--meta <file>", "side file of the capture that says where the roots are")
    .option("--page-size <size>", "bytes of a page: 4K, 16K or 64K", pageSize)
    .option("--base <addr>", "the file is raw memory that begins at this address", address)
    .addOption(new Option("--side <side>", "half of a copied kho folder to read").choices(["in", "out"]))
    .option(
      "--max-decompressed <size>",
      "most bytes that a compressed file may unpack to (default: 512M)",
      size,
    );

/** What a call of a verb is, handed to whoever runs it. */
export interface Call {
  readonly verb: string;
  readonly args: string[];
  readonly options: { readonly color: "auto" | "always" | "never"; readonly lenient?: boolean };
  readonly start: (run: Run) => Promise<Exit>;
}

/** Text that commander writes, and whether it may be coloured. */
export interface Screen {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly columns: number;
}

/** The command with all its verbs. `call` runs the one that is asked for. */
export function newProgram(screen: Screen, call: (call: Call) => Promise<void>): Command {
  const program = new Command("kho")
    .description(
      "Decodes what one Linux kernel hands to the next across a kexec: KHO, live update, memfd folio lists.",
    )
    .version(pkg.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [verb]", "show help for a verb")
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: screen.out,
      writeErr: screen.err,
      outputError: (text, write) => write(`kho: ${text}`),
      getOutHelpWidth: () => screen.columns,
      getErrHelpWidth: () => screen.columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText("after", epilogue);
  const parents = new Map(
    Object.entries(groups).map(([name, summary]) => [
      name,
      program
        .command(name)
        .summary(summary)
        .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`)
        .helpCommand(false),
    ]),
  );
  for (const { group, usage, summary, description = "", examples, options, bare = false, run } of verbs) {
    const parent = group === undefined ? program : parents.get(group)!;
    const own = options(parent.command(usage).summary(summary).allowExcessArguments(false));
    const command = bare ? color(own) : input(own);
    command.description(
      `${summary[0]!.toUpperCase()}${summary.slice(1)}.${description && `\n\n${description}`}`,
    );
    command.addHelpText("after", exampleText(examples));
    command.action(async () => {
      const parsed = command.opts();
      await call({
        verb: group === undefined ? command.name() : `${group} ${command.name()}`,
        args: command.args,
        options: parsed as Call["options"],
        start: (context) => run(context, command.args, parsed as never),
      });
    });
  }
  return program;
}

const exampleText = (examples: Verb["examples"]): string =>
  `\nExamples:\n${examples.map(([example, what]) => `  ${example}\n      ${what}`).join("\n")}`;

const epilogue = `
FILE is an ELF core (also gzip or zstd), raw memory, a copied /sys/kernel/debug/kho folder, one .dtb file, or - for
standard input.

Exit codes: 0 fine, 1 findings of severity warning or error, 2 usage, 3 not a handover or damaged, 4 I/O.

Examples:
  kho decode ${core}
  kho check --release 7.1 ${core}
  kho help extract`;
