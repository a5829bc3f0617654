import type { DeviceEntry } from "../../../formats/iommu/device.js";
import { iommuAbi, unpackWord } from "../../../formats/iommu/entry.js";
import { throughParent } from "../../../formats/iommu/nested.js";
import { type Access, readWrite } from "../../../formats/iommu/prot.js";
import { type Translated, translate } from "../../../formats/iommu/translate.js";
import { decode, type Struct } from "../../layout/index.js";
import type { Memory } from "../../memory/index.js";
import { KhoError } from "../../report/error.js";
import { hex } from "../../report/hex.js";
import { type Exit, exitOfFindings, exits } from "../exit.js";
import { describeImage, inputName, withImage } from "../input.js";
import { safeJson } from "../json.js";
import type { Run } from "../run.js";
import { alignRows } from "../table.js";
import { humanBytes } from "../text.js";
import { address } from "../values.js";
import { openSpace, type SpaceOptions } from "./input.js";
import { accessText, spaceHead, writeFindings } from "./text.js";

/** Where an address leads, through one table or two. */
interface Result {
  readonly stages: readonly Translated[];
  readonly pa?: bigint;
  readonly size?: bigint;
  readonly access: Access;
  readonly fault?: string;
}

/** `kho iommu translate FILE ADDR`: where one address leads, with every entry that says so; 1 if it leads nowhere. */
export async function iommuTranslateCommand(
  run: Run,
  file: string,
  addressText: string,
  options: SpaceOptions,
): Promise<Exit> {
  const { out, style } = run;
  const iova = readAddress(addressText);
  return withImage(run, file, options, async (image) => {
    if (!options.json) {
      out.line(`${style.bold(inputName(file))}: ${describeImage(image)}`);
      out.flush();
    }
    const { vendor, reading, entry } = openSpace(run, image, options);
    const result = lookUp(image.memory, entry, iova);
    run.progress.clear();
    const { findings } = reading;
    const exit = result.pa === undefined ? exits.findings : exitOfFindings(findings);
    if (options.json) {
      const { translationJson } = await import("../../interchange-iommu.js");
      out.line(safeJson(translationJson(vendor, entry, iova, result.stages, result, findings)));
      out.flush();
      return exit;
    }
    out.line(spaceHead(style, vendor, entry));
    out.line();
    for (const line of stepLines(entry, result)) out.line(line);
    out.line();
    out.line(`${style.bold(hex(iova))}  ${verdict(result)}`);
    if (findings.length > 0) writeFindings(run, findings);
    out.flush();
    return exit;
  });
}

function readAddress(text: string): bigint {
  try {
    return address(text);
  } catch (cause) {
    throw new KhoError("usage", `ADDR is ${JSON.stringify(text.slice(0, 80))}`, {
      expected: "an address such as 0x4b3000, at most 64 bits",
      cause,
    });
  }
}

function lookUp(memory: Memory, { kind, table, parent }: DeviceEntry, iova: bigint): Result {
  if (kind === "identity") return { stages: [], pa: iova, access: readWrite };
  if (!table) return { stages: [], access: 0, fault: "blocked" };
  const first = translate(parent ? throughParent(memory, parent) : memory, table, iova);
  if (!parent || first.pa === undefined) return { stages: [first], ...first };
  const second = translate(memory, parent, first.pa);
  const size = second.size !== undefined && second.size < first.size! ? second.size : first.size!;
  const access = first.access & second.access;
  if (access === 0 && second.pa !== undefined) return { stages: [first, second], access, fault: "no-access" };
  return {
    stages: [first, second],
    access,
    ...(second.pa === undefined ? { fault: second.fault! } : { pa: second.pa, size }),
  };
}

const faults: Readonly<Record<string, string>> = {
  "out-of-range": "the address has more bits than the table translates",
  "not-present": "nothing is mapped there",
  "invalid-entry": "the entry is of no kind that hardware takes",
  "table-absent": "the table is not in the capture",
  "no-access": "the entries allow neither reading nor writing",
  blocked: "the device is blocked",
};

function verdict({ pa, size, access, fault }: Result): string {
  if (pa === undefined) return `leads nowhere: ${faults[fault ?? ""] ?? fault}`;
  return `leads to ${hex(pa)}, ${accessText(access)}${size === undefined ? "" : `, in a page of ${humanBytes(size)}`}`;
}

/** The structures and entries on the way: where, what, and the members that are not zero. */
function stepLines({ words }: DeviceEntry, { stages }: Result): string[] {
  const rows: string[][] = words.map(({ layout, pa, bytes }) => [
    hex(pa),
    layout.name,
    members(decode(layout, bytes, 0, iommuAbi)),
  ]);
  for (const { steps } of stages)
    for (const { pa, level, index, word, layout } of steps)
      rows.push([hex(pa), `${layout.name}, level ${level}, entry ${index}`, entryText(layout, word)]);
  return alignRows(rows);
}

const entryText = (layout: Struct, word: bigint): string =>
  word === 0n ? "0" : `${hex(word)}  ${members(unpackWord(layout, word))}`;

/** Addresses are in frames there, as the hardware has them; they are shown in hex like everything wider than a flag. */
const members = (value: object): string =>
  Object.entries(value)
    .filter(([, member]) => member !== 0 && member !== 0n)
    .map(([name, member]) => (member === 1 ? name : `${name}=${shown(member)}`))
    .join(" ") || "nothing set";

const shown = (value: unknown): string =>
  typeof value === "number" || typeof value === "bigint"
    ? value < 10
      ? `${value}`
      : hex(value)
    : String(value);
