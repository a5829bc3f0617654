import { describe, expect, it } from "vitest";
import { iommuAbi } from "../../../../formats/iommu/entry.js";
import {
  riscvCapabilities,
  riscvDdtp,
  riscvIommuDc,
  riscvIommuDcBase,
  riscvIommuDdte,
  riscvIommuPc,
  riscvIommuPdte,
} from "../../../../formats/iommu/riscv/layout.js";
import { resolve, type Struct, sizeOf } from "../../../../src/layout/index.js";

/** Word, highest bit and lowest bit of fields, as the tables of the specification have them. */
type Table = readonly (readonly [name: string, word: number, high: number, low: number])[];

const context: Table = [
  ["V", 0, 0, 0],
  ["EN_ATS", 0, 1, 1],
  ["EN_PRI", 0, 2, 2],
  ["T2GPA", 0, 3, 3],
  ["DTF", 0, 4, 4],
  ["PDTV", 0, 5, 5],
  ["PRPR", 0, 6, 6],
  ["GADE", 0, 7, 7],
  ["SADE", 0, 8, 8],
  ["DPE", 0, 9, 9],
  ["SBE", 0, 10, 10],
  ["SXL", 0, 11, 11],
  ["iohgatp_PPN", 1, 43, 0],
  ["GSCID", 1, 59, 44],
  ["iohgatp_MODE", 1, 63, 60],
  ["PSCID", 2, 31, 12],
  ["fsc_PPN", 3, 43, 0],
  ["fsc_MODE", 3, 63, 60],
];
const layouts: readonly (readonly [string, Struct, bytes: number, Table])[] = [
  [
    "ddtp",
    riscvDdtp,
    8,
    [
      ["iommu_mode", 0, 3, 0],
      ["busy", 0, 4, 4],
      ["PPN", 0, 53, 10],
    ],
  ],
  [
    "capabilities",
    riscvCapabilities,
    8,
    [
      ["Sv39", 0, 9, 9],
      ["Sv48", 0, 10, 10],
      ["Sv57", 0, 11, 11],
      ["Svpbmt", 0, 15, 15],
      ["Sv39x4", 0, 17, 17],
      ["Sv48x4", 0, 18, 18],
      ["Sv57x4", 0, 19, 19],
      ["MSI_FLAT", 0, 22, 22],
      ["AMO_HWAD", 0, 24, 24],
      ["ATS", 0, 25, 25],
      ["T2GPA", 0, 26, 26],
      ["PD8", 0, 38, 38],
      ["PD17", 0, 39, 39],
      ["PD20", 0, 40, 40],
    ],
  ],
  [
    "pointer to a device directory",
    riscvIommuDdte,
    8,
    [
      ["V", 0, 0, 0],
      ["PPN", 0, 53, 10],
    ],
  ],
  [
    "pointer to a process directory",
    riscvIommuPdte,
    8,
    [
      ["V", 0, 0, 0],
      ["PPN", 0, 53, 10],
    ],
  ],
  ["base context", riscvIommuDcBase, 32, context],
  [
    "extended context",
    riscvIommuDc,
    64,
    [
      ...context,
      ["msiptp_PPN", 4, 43, 0],
      ["msiptp_MODE", 4, 63, 60],
      ["msi_addr_mask", 5, 51, 0],
      ["msi_addr_pattern", 6, 51, 0],
    ],
  ],
  [
    "process context",
    riscvIommuPc,
    16,
    [
      ["V", 0, 0, 0],
      ["ENS", 0, 1, 1],
      ["SUM", 0, 2, 2],
      ["PSCID", 0, 31, 12],
      ["fsc_PPN", 1, 43, 0],
      ["fsc_MODE", 1, 63, 60],
    ],
  ],
];

describe.each(layouts)("%s", (_, layout, bytes, table) => {
  it(`has ${bytes} bytes`, () => expect(sizeOf(layout, iommuAbi)).toBe(bytes));
  it.each(table)("%s is in word %i, bits %i to %i", (name, word, high, low) => {
    const found = resolve(layout, iommuAbi).members.find((member) => member.name === name);
    expect(found).toMatchObject({ offset: word * 8, shift: low, layout: { width: high - low + 1 } });
  });
});
