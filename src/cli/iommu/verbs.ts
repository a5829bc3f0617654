import { type Command, InvalidArgumentError, Option } from "commander";
import { address, index } from "../values.js";
import type { Verb } from "../verb.js";

const core = "fixtures/7.3-iommu-intel/core.elf.gz";
const root = "--vendor vtd --root 0x140226000";

/** As the vendors of src/iommu/open.ts; a test compares. Code of a verb is loaded when it is called, not for its help. */
export const vendorChoices = ["vtd", "amd", "smmuv3", "riscv"];
/** As the formats of src/iommu/formats.ts. */
export const formatChoices = [
  "vtdss",
  "x86_64",
  "amdv1",
  "riscv64",
  "arm_s1",
  "arm_s1-16k",
  "arm_s1-64k",
  "arm_s2",
  "arm_s2-16k",
  "arm_s2-64k",
];

/** As the series of formats/proposed/iommu/series.ts. */
export const seriesChoices = ["a0", "a", "a-intel", "b", "c", "c-prime", "d"];

/** A whole number of a range. */
const within =
  (low: number, high: number, what: string) =>
  (text: string): number => {
    const value = index(text);
    if (value < low || value > high) throw new InvalidArgumentError(`${what} are ${low} to ${high}.`);
    return value;
  };

const unit = (command: Command): Command =>
  command
    .addOption(new Option("--vendor <vendor>", "whose IOMMU it is").choices(vendorChoices))
    .option(
      "--root <addr>",
      "the root register as the hardware holds it (RTADDR, device table base, STRTAB_BASE, ddtp), or the address alone",
      address,
    )
    .option("--cfg <value>", "STRTAB_BASE_CFG of an SMMUv3, or the capabilities of a RISC-V IOMMU", address)
    .option(
      "--c-bit <n>",
      "AMD: bit of an address that says that memory is encrypted",
      within(12, 63, "Bits"),
    )
    .option("--json", "as JSON, by proto/kho/v1/iommu.proto");

const kept = (command: Command): Command =>
  command.option(
    "--handover",
    "find the handover in the capture, and check that what devices reach is preserved; --fdt, --handoff and --meta imply it",
  );

const device = (command: Command): Command =>
  command
    .option("--device <name>", "PCI address such as 0000:00:05.0, or the requester or stream id")
    .option("--pasid <n>", "its address space of a PASID or substream", within(0, 2 ** 20 - 1, "PASIDs"));

const space = (command: Command): Command =>
  device(command)
    .option("--table <addr>", "instead of a device: the top page table itself", address)
    .addOption(new Option("--format <format>", "its format").choices(formatChoices))
    .option("--levels <n>", "its number of levels", within(1, 6, "Levels"))
    .option(
      "--va-bits <n>",
      "bits that it translates, where the levels do not say it",
      within(13, 64, "Bits"),
    );

/** Verbs of `kho iommu`. */
export const iommuVerbs: readonly Verb[] = [
  {
    group: "iommu",
    usage: "devices <file>",
    summary: "list the devices, how each is translated, and how much it can reach",
    description:
      "Walks the IOMMU's own structures and the page tables of every device. Entries that are as the driver leaves unused\nones, blocked, are not listed. Exits with 1 if anything is wrong.",
    examples: [
      [`kho iommu devices ${core} ${root}`, "all devices of a VT-d unit"],
      [
        "kho iommu devices dump.elf --vendor smmuv3 --root 0x4000000100000000 --cfg 0x10210",
        "an SMMUv3, with both of its registers",
      ],
      [
        "kho iommu devices dump.elf --vendor amd --root 0x1000001ff --handover",
        "what of it is not preserved",
      ],
    ],
    options: (command) => kept(unit(command)),
    run: async (run, [file = ""], options) =>
      (await import("./devices.js")).iommuDevicesCommand(run, file, options),
  },
  {
    group: "iommu",
    usage: "ranges <file>",
    summary: "show what one device can reach: addresses, memory, page sizes, rights",
    description:
      "Neighbours that lie next to each other on both sides and allow the same are one range. JSON: { ranges: [{ iova, pa,\nsize, read, write, pageSizes }] }, a kho.v1.IommuRanges. A u64 is a string of decimals.\nA device that addresses memory untranslated has all of it as one range. Exits with 1 if anything is wrong.",
    examples: [
      [`kho iommu ranges ${core} ${root} --device 0000:00:05.0`, "one device"],
      [
        `kho iommu ranges ${core} --table 0x142586000 --format vtdss --levels 4`,
        "a domain, by its top page table",
      ],
      [`kho iommu ranges ${core} ${root} --device 00:06.0 --json | jq '.ranges[0]'`, "for a script"],
    ],
    options: (command) => kept(space(unit(command))),
    run: async (run, [file = ""], options) =>
      (await import("./ranges.js")).iommuRangesCommand(run, file, options),
  },
  {
    group: "iommu",
    usage: "translate <file> <addr>",
    summary: "look one address up, with every entry on the way",
    description: "ADDR is an address as the device uses it. Exits with 1 if it leads nowhere.",
    examples: [
      [`kho iommu translate ${core} 0x40000000 ${root} --device 00:05.0`, "from the root to the page"],
    ],
    options: (command) => space(unit(command)),
    run: async (run, [file = "", addr = ""], options) =>
      (await import("./translate.js")).iommuTranslateCommand(run, file, addr, options),
  },
  {
    group: "iommu",
    usage: "diff <before> <after>",
    summary: "show what devices can reach in one capture and not in the other",
    description:
      "The same options for both captures, but for a root that has moved: --root2. Exits with 1 if anything differs.",
    examples: [
      [`kho iommu diff before.elf after.elf ${root} --root2 0x140300000`, "across a kexec"],
      [`kho iommu diff before.elf after.elf ${root} --device 00:05.0`, "of one device"],
    ],
    options: (command) =>
      device(unit(command))
        .option("--root2 <addr>", "root register of the second capture", address)
        .option("--cfg2 <value>", "and what --cfg is for the second", address)
        .option("-a, --all", "list every change"),
    run: async (run, [first = "", second = ""], options) =>
      (await import("./diff.js")).iommuDiffCommand(run, first, second, options),
  },
  {
    group: "iommu",
    usage: "debugfs <file>",
    summary: "print what the kernel's driver shows of the tables in debugfs",
    description:
      "VT-d: dmar_translation_struct, and with --device its domain_translation_struct. AMD: with --device its devtbl.",
    examples: [
      [`kho iommu debugfs ${core} ${root} --device 00:06.0`, "the page table of a device"],
      [
        `diff <(kho iommu debugfs ${core} ${root}) /sys/kernel/debug/iommu/intel/dmar_translation_struct`,
        "a capture against the running kernel",
      ],
    ],
    options: (command) =>
      device(unit(command)).addOption(
        new Option("--unit <n>", "number of the IOMMU").argParser(index).default(0),
      ),
    run: async (run, [file = ""], options) =>
      (await import("./debugfs.js")).iommuDebugfsCommand(run, file, options),
  },
  {
    group: "iommu",
    usage: "state <file>",
    summary: "show the IOMMU state that a kernel with a proposed series handed over",
    description:
      "Records of IOMMUs, domains and devices, and the page tables that the domains keep. The name of the FLB is the same in\nseveral postings of the series, so that --series says which one is meant.",
    examples: [
      ["kho iommu state fixtures/vm-host.elf --series d", "as the posting of September 2026 has it"],
      ["kho iommu state fixtures/vm-host.elf --series c --json", "as JSON"],
    ],
    options: (command) =>
      command
        .addOption(
          new Option("--series <name>", "which posting").choices(seriesChoices).makeOptionMandatory(),
        )
        .option("--json", "as JSON, a kho.v1.IommuState"),
    run: async (run, [file = ""], options) =>
      (await import("./state.js")).iommuStateCommand(run, file, options),
  },
];
