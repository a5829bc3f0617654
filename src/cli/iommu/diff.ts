import type { DeviceEntry } from "../../../formats/iommu/device.js";
import type { Image } from "../../image/image.js";
import type { Space, SpaceDiff } from "../../interchange-iommu.js";
import { type Change, diffMappings } from "../../iommu/diff.js";
import { parseDevice } from "../../iommu/names.js";
import { newReaches } from "../../iommu/reach.js";
import type { Finding } from "../../report/finding.js";
import { hex } from "../../report/hex.js";
import { type Exit, exitOfFindings, exits } from "../exit.js";
import { describeImage, inputName, withImage } from "../input.js";
import { safeJson } from "../json.js";
import type { Run } from "../run.js";
import { rangeText } from "../sections.js";
import { alignRows } from "../table.js";
import { humanBytes, plural } from "../text.js";
import { openUnit, type SpaceOptions } from "./input.js";
import { accessText, domainText, spaceName, translationText, writeFindings } from "./text.js";

export interface DiffOptions extends SpaceOptions {
  /** Root of the second capture, where it is another one. */
  readonly root2?: bigint;
  readonly cfg2?: bigint;
  readonly all?: boolean;
}

/** Address spaces of one capture, by device and PASID. */
interface Half {
  readonly vendor: string;
  readonly spaces: ReadonlyMap<string, Required<Space>>;
  readonly findings: readonly Finding[];
}

/** `kho iommu diff A B`: what devices can reach in one capture and not in the other; 1 if anything differs. */
export async function iommuDiffCommand(
  run: Run,
  first: string,
  second: string,
  options: DiffOptions,
): Promise<Exit> {
  const { out, style } = run;
  const { root2, cfg2, ...same } = options;
  const later = {
    ...same,
    ...(root2 !== undefined && { root: root2 }),
    ...(cfg2 !== undefined && { cfg: cfg2 }),
  };
  const halfOf = (file: string, from: DiffOptions): Promise<Half> =>
    withImage(run, file, from, (image) => {
      if (!options.json) out.line(`${style.bold(inputName(file))}: ${describeImage(image)}`);
      out.flush();
      return readHalf(run, image, from);
    });
  const before = await halfOf(first, options);
  const after = await halfOf(second, later);
  const diffs = compare(before, after);
  const findings = [...before.findings, ...after.findings];
  const exit = diffs.length > 0 ? exits.findings : exitOfFindings(findings);
  if (options.json) {
    const { diffJson } = await import("../../interchange-iommu.js");
    out.line(safeJson(diffJson(before.vendor, diffs, findings)));
    out.flush();
    return exit;
  }
  const spaces = new Set([...before.spaces.keys(), ...after.spaces.keys()]).size;
  out.line(
    diffs.length === 0
      ? `${plural(spaces, "address space")}: ${style.good("no difference")}`
      : `${plural(diffs.length, "address space differs", "address spaces differ")} of ${spaces}`,
  );
  for (const diff of diffs) writeDiff(run, diff, options.all ?? false);
  if (findings.length > 0) writeFindings(run, findings);
  out.flush();
  return exit;
}

function readHalf(run: Run, image: Image, options: DiffOptions): Half {
  const { vendor, unit, reading } = openUnit(run, image, options);
  const reaches = newReaches(reading.ctx);
  const entries =
    options.device === undefined
      ? unit.devices()
      : named(unit.device(parseDevice(options.device), options.pasid));
  const spaces = new Map<string, Required<Space>>();
  for (const entry of entries)
    spaces.set(`${entry.device} ${entry.pasid ?? ""}`, { entry, runs: reaches(entry).runs });
  run.progress.clear();
  return { vendor, spaces, findings: reading.findings };
}

const named = (entry: DeviceEntry | undefined): DeviceEntry[] => (entry ? [entry] : []);

function compare(before: Half, after: Half): SpaceDiff[] {
  const diffs: SpaceDiff[] = [];
  for (const key of new Set([...before.spaces.keys(), ...after.spaces.keys()])) {
    const a = before.spaces.get(key);
    const b = after.spaces.get(key);
    if (!a || !b) {
      diffs.push({ ...(a && { before: a }), ...(b && { after: b }), changes: [] });
      continue;
    }
    const changes = [...diffMappings(a.runs, b.runs)];
    if (changes.length > 0 || translationText(a.entry) !== translationText(b.entry))
      diffs.push({ before: a, after: b, changes });
  }
  return diffs;
}

/** Changes of one address space that are listed without `--all`. */
const shownChanges = 20;

function writeDiff({ out, style }: Run, { before, after, changes }: SpaceDiff, all: boolean): void {
  const entry = (before ?? after)!.entry;
  out.line();
  out.line(style.bold(spaceName(entry)));
  const say = (mark: string, { entry: one }: Space): void =>
    out.line(`  ${mark} ${[domainText(one), translationText(one)].filter((part) => part !== "").join("; ")}`);
  if (before && after && translationText(before.entry) === translationText(after.entry)) say(" ", before);
  else {
    if (before) say(style.bad("-"), before);
    if (after) say(style.good("+"), after);
  }
  const listed = all || changes.length <= shownChanges + 1 ? changes.length : shownChanges;
  const rows = changes
    .slice(0, listed)
    .map((change) => [
      `  ${marks[change.kind]}`,
      rangeText(change.iova, change.size),
      humanBytes(change.size),
      changeText(change),
    ]);
  for (const line of alignRows(rows, ["left", "left", "right", "left"])) out.line(line);
  if (listed < changes.length) out.line(`  ... and ${changes.length - listed} more (--all)`);
}

const marks = { added: "+", removed: "-", moved: "~", rights: "~" } as const;

function changeText({ kind, before, after }: Change): string {
  switch (kind) {
    case "added":
      return `now to ${hex(after!.pa)}, ${accessText(after!.access)}`;
    case "removed":
      return `no more to ${hex(before!.pa)}, ${accessText(before!.access)}`;
    case "moved":
      return `to ${hex(after!.pa)}, ${accessText(after!.access)}; before to ${hex(before!.pa)}, ${accessText(before!.access)}`;
    case "rights":
      return `${accessText(after!.access)}; before ${accessText(before!.access)}`;
  }
}
