/**
 * Writes a synthetic host as an ELF core, 4 GiB for a terabyte in 4K folios:
 * `node --import tsx test/scale/write.ts FILE --memory 1TiB --vms 64 --order 0 --mean 64 --release 7.3`,
 * or with `--table` an IOMMU page table of so much memory, 2 GiB for a terabyte. What to call `kho` with is printed.
 */
import { parseArgs } from "node:util";
import { elfCore } from "../../src/image/elf-write.js";
import { newFile, writePieces } from "../../src/image/write.js";
import { hex } from "../../src/report/hex.js";
import { abi, makeHost } from "./host.js";
import { makeTable } from "./table.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    memory: { type: "string", default: "1TiB" },
    vms: { type: "string", default: "64" },
    order: { type: "string", default: "0" },
    mean: { type: "string", default: "64" },
    release: { type: "string", default: "7.3" },
    table: { type: "boolean", default: false },
    force: { type: "boolean", default: false },
  },
});

const units: Readonly<Record<string, number>> = { MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

function bytesOf(text: string): number {
  const [, number, unit] = /^(\d+)([MGT]iB)$/.exec(text) ?? [];
  if (number === undefined) throw new Error(`${text} is not an amount like 64GiB`);
  return Number(number) * units[unit!]!;
}

const [file] = positionals;
if (file === undefined) throw new Error("name the file to write");
const vms = Number(values.vms);
const bytes = bytesOf(values.memory);
// `Infinity` for files that are one run.
const mean = Number(values.mean);

const { memory, call } = values.table ? table() : host();
const core = elfCore(memory, { ranges: memory.ranges, arch: "x86_64", pageSize: abi.pageSize });
await writePieces(newFile(file, values.force), core);
console.log(`kho ${call}`);

function host() {
  const { release } = values;
  const { memory, handoff } = makeHost({
    release,
    vms,
    bytes: bytes / vms,
    order: Number(values.order),
    mean,
  });
  return { memory, call: `decode ${file} --release ${release} --handoff ${hex(handoff.recordPa)}` };
}

function table() {
  const { memory, table } = makeTable({ bytes, mean });
  const { format, levels, root } = table;
  return {
    memory,
    call: `iommu ranges ${file} --table ${hex(root)} --format ${format.name} --levels ${levels}`,
  };
}
