import { describe, expect, it } from "vitest";
import { decodeIommuState } from "../../../../formats/proposed/iommu/decode.js";
import { encodeIommuState } from "../../../../formats/proposed/iommu/encode.js";
import { seriesOf } from "../../../../formats/proposed/iommu/series.js";
import { physAddr, sparseMemory } from "../../../../src/memory/index.js";
import { hexBytes } from "../../../layout/support.js";
import { targetOf } from "../../target.js";
import { differences, reading } from "./support.js";

/** Pages: the root, then one of each kind; the record of each kind begins at 0x10 of its page. */
const pages = { root: 0x10000, iommus: 0x11000, domains: 0x12000, devices: 0x13000 };

/** One record of each kind in hex, member by member, and what it says beside what all series say. */
interface Vector {
  readonly root: string;
  readonly iommus: string;
  readonly domains: string;
  readonly devices: string;
  readonly says: { readonly iommu: object; readonly domain: object; readonly device: object };
}

const rootV1 = `
  0010010000000000 0100000000000000
  0020010000000000 0100000000000000
  0030010000000000 0100000000000000`;
const rootV2 = "0010010000000000 0020010000000000 0030010000000000";
const rootV4 = `0100000000000000 ${rootV2}`;

// Index, reference count, flags.
const headV1 = "00000000 01000000 00";
const iommuV1 = "00000000 01000000 00  0000d9fe00000000 01000000  0000d9fe00000000 0050010000000000";
const domainV1 = `${headV1}  0060010000000000 0200000000000000 0000000000000000`;
const deviceV1 = `${headV1}  8877665544332211 10030000 01000000
  05000000 1020010000000000 1010010000000000  00000000`;
const saysV1 = {
  iommu: {
    index: 0,
    intel: { registerBase: 0xfed90000n, rootTable: 0x15000n },
  },
  domain: { index: 0 },
  device: { index: 0, token: 0x1122334455667788n, type: 0 },
};

const zeros = (bytes: number) => "00".repeat(bytes);
const intelV3 = `00${zeros(7)} 0000d9fe00000000 0050010000000000
  4000000000000000 0000000000000000 0000000000000000 0000000000000000
  0000000000000000 0000000000000000 0000000000000000 0000000000000080`;
const contextTables = BigUint64Array.of(64n, 0n, 0n, 0n, 0n, 0n, 0n, 1n << 63n);
const c: Vector = {
  root: rootV2,
  iommus: `01000000 00000000  0000d9fe00000000 0100000000000000  ${intelV3}`,
  domains: "01000000 00000000  0060010000000000 0200000000000000 30000000 01 0000000000000000",
  devices: `01000000 00000000  10030000 01000000
    0500000000000000 1020010000000000 1010010000000000  0070010000000000 0000100000000000`,
  says: {
    iommu: { intel: { registerBase: 0xfed90000n, rootTable: 0x15000n, contextTables, restored: 0 } },
    domain: { vaBits: 48, signExtend: true },
    device: { intel: { pasidTable: 0x17000n, maxPasid: 0x100000n } },
  },
};

const vectors: Readonly<Record<string, Vector>> = {
  a0: {
    root: rootV1,
    iommus: `${headV1} ${zeros(7)}  0000d9fe00000000 01000000  0000d9fe00000000 0050010000000000  ${zeros(4)}`,
    domains: `${headV1}  0060010000000000 0200000000000000 0300000000000000 0000000000000000`,
    devices: `${headV1}  8877665544332211 10030000 01000000
      05000000 ${zeros(4)} 1020010000000000 1010010000000000  00000000`,
    says: { ...saysV1, domain: { index: 0, attachCount: 3n } },
  },
  a: { root: rootV1, iommus: iommuV1, domains: domainV1, devices: deviceV1, says: saysV1 },
  "a-intel": {
    root: rootV1,
    iommus: iommuV1,
    domains: domainV1,
    devices: `${deviceV1}  0070010000000000 0000100000000000`,
    says: {
      ...saysV1,
      device: { ...saysV1.device, intel: { pasidTable: 0x17000n, maxPasid: 0x100000n } },
    },
  },
  b: {
    root: rootV2,
    iommus: "01000000 00  0000d9fe00000000 0100000000000000",
    domains: "01000000 00  0060010000000000 0200000000000000 30000000 01 0000000000000000",
    devices: `01000000 00  10030000 01000000
      0500000000000000 1020010000000000 1010010000000000`,
    says: { iommu: {}, domain: { vaBits: 48, signExtend: true }, device: {} },
  },
  c,
  "c-prime": { ...c, root: rootV4 },
  d: {
    root: rootV4,
    iommus: c.iommus,
    domains: `01000000 00000000  0060010000000000 0200000000000000 30000000 01${zeros(3)} 0000000000000000`,
    devices: `01000000 00000000  10030000 01000000 8877665544332211
      0500000000000000 1020010000000000 1010010000000000  00${zeros(7)} 0070010000000000 0000100000000000`,
    says: {
      ...c.says,
      device: {
        dmaOwnerToken: 0x1122334455667788n,
        intel: { pasidTable: 0x17000n, maxPasid: 0x100000n, restored: 0 },
      },
    },
  },
};

const smmuv3: Vector = {
  root: rootV4,
  iommus: `01000000 00000000  0000000b00000000 0200000000000000
    0000000b00000000 1000010000000000 0080010000000000 0090010000000000 ${zeros(56)}`,
  domains: vectors.d!.domains,
  devices: `01000000 00000000  10030000 01000000 0000000000000000
    0500000000000000 1020010000000000 1010010000000000  00a0010000000000 04000000 ${zeros(4)} 00b0010000000000`,
  says: {
    iommu: {
      token: 0xb000000n,
      type: 2n,
      smmuv3: {
        registerBase: 0xb000000n,
        strtabBaseCfg: 0x10010n,
        l1StrtabState: 0x18000n,
        l2StrtabStates: 0x19000n,
      },
    },
    domain: { vaBits: 48, signExtend: true },
    device: {
      dmaOwnerToken: 0n,
      smmuv3: { l1CdtabState: 0x1a000n, numL2Cdtabs: 4, l2CdtabStates: 0x1b000n },
    },
  },
};

const oneRecord = "0000000000000000 0100000000000000";

describe.each([...Object.entries(vectors), ["d", smmuv3] as const])("series %s", (name, vector) => {
  const memory = sparseMemory();
  memory.write(physAddr(pages.root), hexBytes(vector.root));
  for (const kind of ["iommus", "domains", "devices"] as const)
    memory.write(physAddr(pages[kind]), hexBytes(oneRecord + vector[kind]));
  const series = seriesOf(name);
  const { ctx, findings } = reading(memory);
  const state = decodeIommuState(ctx, series, physAddr(pages.root));
  const { iommu, domain, device } = vector.says;

  it("reads", () => {
    expect(state).toEqual({
      places: { root: 0x10000n, iommus: [0x11000n], domains: [0x12000n], devices: [0x13000n] },
      ...(name.startsWith("a") && { counts: { iommus: 1n, domains: 1n, devices: 1n } }),
      iommus: [{ pa: 0x11010n, refCount: 1, flags: 0, token: 0xfed90000n, type: 1n, ...iommu }],
      domains: [{ pa: 0x12010n, refCount: 1, flags: 0, topTablePa: 0x16000n, topLevel: 2n, ...domain }],
      devices: [
        {
          pa: 0x13010n,
          refCount: 1,
          flags: 0,
          devid: 0x310,
          pciDomain: 1,
          attachmentId: 5n,
          domain: 0,
          domainPa: 0x12010n,
          iommu: 0,
          iommuPa: 0x11010n,
          ...device,
        },
      ],
    });
    expect(findings).toEqual([]);
  });

  it("and is written again", () => {
    const target = targetOf();
    encodeIommuState(target, series, state!.places, state!);
    expect(differences(target.memory, memory)).toEqual([]);
  });
});
