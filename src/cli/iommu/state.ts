import { contextTables } from "../../../formats/proposed/iommu/context-tables.js";
import { driverOf, seriesOf } from "../../../formats/proposed/iommu/series.js";
import { isDeleted } from "../../../formats/proposed/iommu/state.js";
import { pciName } from "../../iommu/names.js";
import { newReading } from "../../iommu/open.js";
import { type PersistedDomain, type PersistedIommus, readPersisted } from "../../iommu/persisted.js";
import { mappedBytes } from "../../iommu/reach.js";
import { hex } from "../../report/hex.js";
import { type Exit, exitOfFindings, exits } from "../exit.js";
import { describeImage, type InputOptions, inputName, withHandover } from "../input.js";
import { safeJson } from "../json.js";
import type { Run } from "../run.js";
import { humanBytes, plural } from "../text.js";
import { type Branch, drawTree } from "../tree.js";
import { tableText, writeFindings } from "./text.js";

export interface StateOptions extends InputOptions {
  readonly series: string;
  readonly json?: boolean;
}

/** `kho iommu state FILE`: what a kernel with one of the proposed series kept of its IOMMUs. */
export async function iommuStateCommand(run: Run, file: string, options: StateOptions): Promise<Exit> {
  const { out, style } = run;
  const series = seriesOf(options.series);
  return withHandover(
    run,
    file,
    options,
    async ({ image, handover }) => {
      const reading = newReading(image.memory, { onProgress: run.progress.update });
      const persisted = readPersisted(reading.ctx, handover, series);
      run.progress.clear();
      const { findings } = reading;
      if (options.json && persisted) {
        const { stateJson } = await import("../../interchange-iommu.js");
        out.line(safeJson(stateJson(persisted, findings)));
        out.flush();
        return exitOfFindings(findings);
      }
      out.line(`${style.bold(inputName(file))}: ${describeImage(image)}`);
      if (persisted) writeState(run, persisted);
      const exit = writeFindings(run, findings);
      return persisted ? exit : exits.content;
    },
    { mode: "forensic" },
  );
}

function writeState({ out, style, glyphs }: Run, { series, rootPa, state, domains }: PersistedIommus): void {
  out.line(`${series.compatible}, series ${series.name}, at ${hex(rootPa)}`);
  const section = (title: string, branches: readonly Branch[]): void => {
    out.line();
    out.line(`${style.bold(title)}  ${branches.length === 0 ? "none" : branches.length}`);
    for (const line of drawTree(branches, { glyphs, style })) out.line(line);
  };
  section(
    "IOMMUs",
    state.iommus.map((iommu, i) => {
      const { intel, smmuv3 } = iommu;
      const tables = intel?.contextTables ? contextTables(intel.contextTables).length : undefined;
      const where = intel
        ? `root table at ${hex(intel.rootTable)}${tables === undefined ? "" : `, ${plural(tables, "context table")}`}`
        : smmuv3
          ? `STRTAB_BASE_CFG ${hex(smmuv3.strtabBaseCfg)}`
          : "";
      const type = driverOf(series, iommu.type) ?? `type ${iommu.type}`;
      const registers = (intel ?? smmuv3)?.registerBase;
      return {
        cells: [
          `${i}`,
          deletedText(type, isDeleted(iommu)),
          registers === undefined ? "" : `registers at ${hex(registers)}`,
          where,
        ],
      };
    }),
  );
  section(
    "Domains",
    domains.map(({ record, table, runs, tables }, i) => ({
      cells: [
        `${i}`,
        deletedText(domainTable({ record, ...(table && { table }) }), isDeleted(record)),
        plural(tables.size, "page of tables", "pages of tables"),
        `${plural(runs.length, "range")}, ${humanBytes(mappedBytes(runs))}`,
      ],
    })),
  );
  section(
    "Devices",
    state.devices.map((device) => ({
      cells: [
        deletedText(pciName(device.pciDomain, device.devid), isDeleted(device)),
        device.domain === undefined ? "no domain" : `domain ${device.domain}`,
        device.iommu === undefined ? "no IOMMU" : `IOMMU ${device.iommu}`,
        `attached as ${device.attachmentId}`,
      ],
    })),
  );
}

const deletedText = (text: string, deleted: boolean): string => (deleted ? `${text} (deleted)` : text);

const domainTable = ({ record, table }: Pick<PersistedDomain, "record" | "table">): string =>
  table ? tableText(table) : `top table at ${hex(record.topTablePa)}, level ${record.topLevel}`;
