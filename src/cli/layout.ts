import { iommuLayouts } from "../../formats/iommu/registry.js";
import { type Kernel, kernelOf, kernels } from "../../formats/kernels.js";
import { layoutsOf } from "../../formats/registry.js";
import { type Abi, printLayout, resolve, type Struct, sizeOf } from "../layout/index.js";
import { KhoError } from "../report/error.js";
import { type Exit, exits } from "./exit.js";
import { jsonText } from "./json.js";
import { nearest } from "./nearest.js";
import type { Run } from "./run.js";
import { alignRows } from "./table.js";
import { humanBytes, safeName } from "./text.js";

export interface LayoutCommandOptions {
  readonly release?: string;
  readonly pageSize: number;
  readonly json?: boolean;
}

/** `kho layout [STRUCT]`: the structures of a release, or the members of one. */
export async function layoutCommand(
  run: Run,
  name: string | undefined,
  options: LayoutCommandOptions,
): Promise<Exit> {
  const { out, style } = run;
  const kernel = kernelOf(options.release ?? kernels.at(-1)!.release);
  const abi: Abi = { byteOrder: "little", pageSize: options.pageSize };
  const layouts = layoutsOf(kernel);
  if (name !== undefined) {
    const found = find(layouts, name, kernel);
    if (options.json)
      for (const layout of found)
        out.line(jsonText({ release: kernel.release, pageSize: abi.pageSize, ...structJson(layout, abi) }));
    else out.line(found.map((layout) => printLayout(layout, abi)).join("\n\n"));
  } else if (options.json)
    out.line(
      jsonText({
        release: kernel.release,
        pageSize: abi.pageSize,
        structs: layouts.map((layout) => structJson(layout, abi)),
      }),
    );
  else {
    out.line(
      `${style.bold(`Linux ${kernel.release}`)}  ${humanBytes(abi.pageSize)} pages; kho layout STRUCT prints the members`,
    );
    out.line();
    writeTable(run, layouts, abi);
    out.line();
    out.line(`${style.bold("IOMMU")}  what hardware reads, the same in every release`);
    out.line();
    writeTable(run, iommuLayouts, abi);
  }
  return exits.fine;
}

function writeTable({ out, style }: Run, layouts: readonly Struct[], abi: Abi): void {
  const rows = layouts.map((layout) => [
    `struct ${layout.name}`,
    `${sizeOf(layout, abi)}`,
    `since ${layout.source.since}`,
    layout.source.header,
  ]);
  const [head = "", ...lines] = alignRows([["STRUCT", "SIZE", "", "HEADER"], ...rows], ["left", "right"]);
  out.line(style.dim(head));
  for (const line of lines) out.line(line);
}

/** Structures of that name; an IOMMU's can have two forms. */
function find(layouts: readonly Struct[], wanted: string, kernel: Kernel): readonly Struct[] {
  const name = wanted.replace(/^struct\s+/, "");
  const found = [...layouts, ...iommuLayouts].filter((layout) => layout.name === name);
  if (found.length > 0) return found;
  const having = kernels.filter((other) => layoutsOf(other).some((layout) => layout.name === name));
  const shown = safeName(name);
  if (having.length > 0)
    throw new KhoError("unknown-layout", `Linux ${kernel.release} has no struct ${shown}`, {
      expected: `--release ${having.map(({ release }) => release).join(", ")}`,
    });
  const near = nearest(
    name,
    [...layouts, ...iommuLayouts].map((layout) => layout.name),
  );
  throw new KhoError(
    "unknown-layout",
    `there is no struct ${shown} in what Linux ${kernel.release} hands over`,
    {
      expected: near.length > 0 ? near.join(" or ") : "a name that kho layout lists",
    },
  );
}

function structJson(layout: Struct, abi: Abi): Record<string, unknown> {
  const { members, size } = resolve(layout, abi);
  return {
    name: layout.name,
    size,
    ...layout.source,
    members: members
      .filter((member) => member.layout.kind !== "padding")
      .map(({ name, offset, size: bytes, layout: { kind }, ...rest }) => ({
        name,
        offset,
        size: bytes,
        kind,
        ...(kind === "bits" && "shift" in rest && { shift: rest.shift }),
      })),
  };
}
