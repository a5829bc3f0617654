import { readFileSync } from "node:fs";
import { amdv1 } from "../../../formats/iommu/amd/v1.js";
import { armFormat } from "../../../formats/iommu/arm/table.js";
import type { DomainOptions } from "../../../formats/iommu/domain.js";
import type { FormatName, TableFormat } from "../../../formats/iommu/format.js";
import { riscv64 } from "../../../formats/iommu/riscv/table.js";
import { vtdss } from "../../../formats/iommu/vtd/second-stage.js";
import { x86Format } from "../../../formats/iommu/x86.js";

/** One case that the kernel's own table code has run. Numbers in hex. */
export interface Vector {
  readonly name: string;
  readonly format: FormatName;
  readonly config: {
    readonly vaBits: number;
    readonly paBits: number;
    readonly levels: number;
    readonly granuleLg2: number;
    readonly coherent: boolean;
    readonly signExtend: boolean;
    readonly snoop: boolean;
    readonly smeMask: string;
    readonly hd: boolean;
    readonly s2fwb: boolean;
    readonly pgsizeBitmap: string;
  };
  readonly ops: readonly (
    | readonly ["map", iova: string, pa: string, size: string, prot: number]
    | readonly ["unmap", iova: string, size: string]
  )[];
  readonly results: readonly (readonly [errno: number, mapped: string] | string)[];
  readonly root: string;
  readonly rootLevels: number;
  readonly tables: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const file = new URL("../../../fixtures/iommu-vectors/vectors.json", import.meta.url).pathname;
export const vectors = JSON.parse(readFileSync(file, "utf8")) as readonly Vector[];

export function formatOf({ format, config }: Pick<Vector, "format" | "config">): TableFormat {
  const { coherent, snoop, granuleLg2, hd, s2fwb } = config;
  const smeMask = BigInt(config.smeMask);
  switch (format) {
    case "vtdss":
      return vtdss({ coherent, snoop });
    case "x86_64":
      return x86Format({ coherent, smeMask });
    case "amdv1":
      return amdv1({ smeMask });
    case "riscv64":
      return riscv64();
    case "arm_s1":
      return armFormat({ stage: 1, granuleLg2, coherent, dirtyTracking: hd });
    case "arm_s2":
      return armFormat({ stage: 2, granuleLg2, coherent, s2fwb });
  }
}

export function optionsOf(vector: Pick<Vector, "format" | "config">): DomainOptions {
  const { levels, vaBits, paBits, signExtend, pgsizeBitmap } = vector.config;
  return {
    format: formatOf(vector),
    levels,
    vaBits,
    paBits,
    signExtend,
    pgsizeBitmap: BigInt(pgsizeBitmap),
    grows: vector.format === "amdv1",
  };
}
