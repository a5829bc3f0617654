import { InvalidArgumentError } from "commander";
import { size } from "../values.js";
import type { Verb } from "../verb.js";

/** A number of things, 0 too. */
const count = (text: string): number => {
  if (!/^[0-9]{1,15}$/.test(text)) throw new InvalidArgumentError("It is no count: write 0, 1, 2 ...");
  return Number(text);
};

/** 0 to 1. */
const share = (text: string): number => {
  const value = /^(0|1|0?\.[0-9]{1,9}|1\.0*|[01])$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 0 && value <= 1))
    throw new InvalidArgumentError("It is no share: write 0 to 1, such as 0.3.");
  return value;
};

/** A number above 0. */
const positive = (text: string): number => {
  const value = /^[0-9]{1,9}(\.[0-9]{1,9})?$/.test(text) ? Number(text) : 0;
  if (value <= 0) throw new InvalidArgumentError("It is no number above 0: write 1, 0.25 ...");
  return value;
};

/** Billions of instructions per second, one number or two. */
const rate = (text: string): readonly [number, number] => {
  const [slow = "", fast = slow, ...more] = text.split("-");
  if (more.length > 0) throw new InvalidArgumentError("It is no speed: write 2, or 1-3.");
  const range = [positive(slow), positive(fast)] as const;
  if (range[0] > range[1]) throw new InvalidArgumentError("The slower speed stands first: write 1-3.");
  return range;
};

/** `kho cost`. */
export const costVerbs: readonly Verb[] = [
  {
    usage: "cost [file]",
    summary: "what a handover costs: bytes, pages, and modelled time",
    description:
      "Of the handover in FILE, of a shape in JSON, or of machines that there are not yet. Bytes and\npages are exact. What kernels spend is modelled, from instructions counted on real kernels. Before\nthe blackout is what the old kernel does while machines run; within it, all until files are\nretrieved.\nExits with 1 if the release has no room for what it is asked about.\nJSON: { shape, totals, structures, map, orders, runs, impossible, calls, scratch, kernel: {\nmodelled, constants, cautions, speeds, phases, before, blackout, after }, advice, toolkit? };\n--shape takes its shape.",
    examples: [
      ["kho cost fixtures/7.3-memfd/core.elf.gz", "of a capture: its shape is read, not asked for"],
      ["kho cost --vms 64 --memory 16GiB", "a host to be"],
      ["kho cost --vms 64 --memory 16GiB --order 9 --svg cost.svg", "with 2M folios, and a chart"],
      ["kho cost --memory 64MiB --fragmentation 1 --release 7.1", "scattered pages"],
      ["kho cost --memory 1GiB --retrieve-took 350", "calibrated by a run that took 350 ms to retrieve"],
      ["kho cost --json --vms 2 --memory 1GiB | jq .shape > shape.json", "a shape to change by hand"],
    ],
    options: (command) =>
      command
        .option("--vms <n>", "virtual machines, each with a memfd in a session (default: 1)", count)
        .option("--memory <size>", "memory of each: 16GiB", size)
        .option("--files <n>", "memfds that the memory of each is in (default: 1)", count)
        .option("--order <n>", "order of the folios: 0, or 9 for 2M with 4K pages (default: 0)", count)
        .option("--sessions <n>", "sessions that the machines share (default: one each)", count)
        .option("--devices <n>", "files of other handlers, of which the records alone are counted", count)
        .option("--flbs <n>", "entries of the FLB page", count)
        .option("--reserve-mem <name:size...>", "reserve_mem regions that are handed over: trace:2M")
        .option("--runs <n>", "physically contiguous runs of all memory (default: one for each file)", count)
        .option("--fragmentation <share>", "in place of --runs: 0 as by default, 1 for no neighbours", share)
        .option("--holes <size>", "memory of each machine that is not populated when it is preserved", size)
        .option("--in-scratch <size>", "memory of each machine that lies in scratch by then", size)
        .option("--scratch <size>", "bytes of the scratch areas", size)
        .option("--shape <file>", "a shape as JSON, in place of all these; - is standard input")
        .option("--reserved-regions <n>", "regions that memblock has reserved anyway (default: 25)", count)
        .option("--rate <range>", "billions of instructions per second to assume (default: 1-3)", rate)
        .option("--preserve-took <ms>", "what all preserve calls took on the real machine", positive)
        .option("--retrieve-took <ms>", "what all retrieve calls took there", positive)
        .option("--base-boot <ms>", "the boot of that machine with nothing preserved", positive)
        .option("--measure", "measure this toolkit at it, too: in JavaScript, not a kernel")
        .option("--json", "as JSON")
        .option("--svg <file>", "chart of the modelled blackout against memory, by order"),
    run: async (run, [file], options) => (await import("./cost.js")).costCommand(run, file, options),
  },
];
