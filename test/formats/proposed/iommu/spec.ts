/**
 * Where everything is in the records of each series: offset and width in bytes, typed from the tables of the specification.
 * The tests write and expect bytes by this, and by nothing that the code under test derives.
 */
export type Place = readonly [offset: number, width: number];
export type Places = Readonly<Record<string, Place>>;

export interface SeriesSpec {
  readonly compatible: string;
  readonly root: {
    readonly size: number;
    readonly version?: Place;
    readonly iommus: Place;
    readonly domains: Place;
    readonly devices: Place;
    readonly counts?: { readonly iommus: Place; readonly domains: Place; readonly devices: Place };
  };
  readonly domains: RecordSpec;
  readonly devices: RecordSpec;
  readonly iommus: RecordSpec;
  /** Members of the unions by driver, relative to the union. */
  readonly drivers: Readonly<
    Record<string, { readonly type: bigint; readonly iommus: Places; readonly devices?: Places }>
  >;
}

export interface RecordSpec {
  readonly size: number;
  /** In one page of 4 KiB. */
  readonly perPage: number;
  readonly members: Places;
  readonly union?: Place;
}

const rootV1 = {
  size: 48,
  iommus: [0, 8],
  domains: [16, 8],
  devices: [32, 8],
  counts: { iommus: [8, 8], domains: [24, 8], devices: [40, 8] },
} as const;
const rootV2 = { size: 24, iommus: [0, 8], domains: [8, 8], devices: [16, 8] } as const;
const rootV4 = { size: 32, version: [0, 8], iommus: [8, 8], domains: [16, 8], devices: [24, 8] } as const;

const headV1 = { index: [0, 4], refCount: [4, 4], flags: [8, 1] } as const;
const headV2 = { refCount: [0, 4], flags: [4, 1] } as const;
const headV3 = { refCount: [0, 4], flags: [4, 4] } as const;

const intelIommuV1 = { registerBase: [0, 8], rootTable: [8, 8] } as const;
const intelIommu = {
  restored: [0, 1],
  registerBase: [8, 8],
  rootTable: [16, 8],
  contextTables: [24, 64],
} as const;
const pasidV3 = { pasidTable: [0, 8], maxPasid: [8, 8] } as const;

const a: SeriesSpec = {
  compatible: "iommu-v1",
  root: rootV1,
  domains: {
    size: 33,
    perPage: 123,
    members: { ...headV1, topTablePa: [9, 8], topLevel: [17, 8], restoredDomain: [25, 8] },
  },
  devices: {
    size: 49,
    perPage: 83,
    members: {
      ...headV1,
      token: [9, 8],
      devid: [17, 4],
      pciDomain: [21, 4],
      attachmentId: [25, 4],
      domainPa: [29, 8],
      iommuPa: [37, 8],
      type: [45, 4],
    },
  },
  iommus: {
    size: 37,
    perPage: 110,
    members: { ...headV1, token: [9, 8], type: [17, 4] },
    union: [21, 16],
  },
  drivers: { intel: { type: 1n, iommus: intelIommuV1 } },
};

const c: SeriesSpec = {
  compatible: "iommu-liveupdate-v1",
  root: rootV2,
  domains: {
    size: 37,
    perPage: 110,
    members: {
      ...headV3,
      topTablePa: [8, 8],
      topLevel: [16, 8],
      vaBits: [24, 4],
      signExtend: [28, 1],
      restoredDomain: [29, 8],
    },
  },
  devices: {
    size: 56,
    perPage: 72,
    members: {
      ...headV3,
      devid: [8, 4],
      pciDomain: [12, 4],
      attachmentId: [16, 8],
      domainPa: [24, 8],
      iommuPa: [32, 8],
    },
    union: [40, 16],
  },
  iommus: {
    size: 112,
    perPage: 36,
    members: { ...headV3, token: [8, 8], type: [16, 8] },
    union: [24, 88],
  },
  drivers: { intel: { type: 1n, iommus: intelIommu, devices: pasidV3 } },
};

export const spec: Readonly<Record<string, SeriesSpec>> = {
  a0: {
    compatible: "iommu-v1",
    root: rootV1,
    domains: {
      size: 41,
      perPage: 99,
      members: {
        ...headV1,
        topTablePa: [9, 8],
        topLevel: [17, 8],
        attachCount: [25, 8],
        restoredDomain: [33, 8],
      },
    },
    devices: {
      size: 53,
      perPage: 76,
      members: {
        ...headV1,
        token: [9, 8],
        devid: [17, 4],
        pciDomain: [21, 4],
        attachmentId: [25, 4],
        domainPa: [33, 8],
        iommuPa: [41, 8],
        type: [49, 4],
      },
    },
    iommus: {
      size: 48,
      perPage: 85,
      members: { ...headV1, token: [16, 8], type: [24, 4] },
      union: [28, 16],
    },
    drivers: { intel: { type: 1n, iommus: intelIommuV1 } },
  },
  a,
  // The PASID table behind the type.
  "a-intel": {
    ...a,
    devices: { ...a.devices, size: 65, perPage: 62, union: [49, 16] },
    drivers: { intel: { type: 1n, iommus: intelIommuV1, devices: pasidV3 } },
  },
  b: {
    compatible: "iommu-liveupdate-v1",
    root: rootV2,
    domains: {
      size: 34,
      perPage: 120,
      members: {
        ...headV2,
        topTablePa: [5, 8],
        topLevel: [13, 8],
        vaBits: [21, 4],
        signExtend: [25, 1],
        restoredDomain: [26, 8],
      },
    },
    devices: {
      size: 37,
      perPage: 110,
      members: {
        ...headV2,
        devid: [5, 4],
        pciDomain: [9, 4],
        attachmentId: [13, 8],
        domainPa: [21, 8],
        iommuPa: [29, 8],
      },
    },
    iommus: { size: 21, perPage: 194, members: { ...headV2, token: [5, 8], type: [13, 8] } },
    drivers: {},
  },
  c,
  "c-prime": { ...c, compatible: "iommu-liveupdate", root: rootV4 },
  d: {
    compatible: "iommu-liveupdate",
    root: rootV4,
    domains: {
      size: 40,
      perPage: 102,
      members: {
        ...headV3,
        topTablePa: [8, 8],
        topLevel: [16, 8],
        vaBits: [24, 4],
        signExtend: [28, 1],
        restoredDomain: [32, 8],
      },
    },
    devices: {
      size: 72,
      perPage: 56,
      members: {
        ...headV3,
        devid: [8, 4],
        pciDomain: [12, 4],
        dmaOwnerToken: [16, 8],
        attachmentId: [24, 8],
        domainPa: [32, 8],
        iommuPa: [40, 8],
      },
      union: [48, 24],
    },
    iommus: {
      size: 112,
      perPage: 36,
      members: { ...headV3, token: [8, 8], type: [16, 8] },
      union: [24, 88],
    },
    drivers: {
      intel: {
        type: 1n,
        iommus: intelIommu,
        devices: { restored: [0, 1], pasidTable: [8, 8], maxPasid: [16, 8] },
      },
      smmuv3: {
        type: 2n,
        iommus: {
          registerBase: [0, 8],
          strtabBaseCfg: [8, 8],
          l1StrtabState: [16, 8],
          l2StrtabStates: [24, 8],
        },
        devices: { l1CdtabState: [0, 8], numL2Cdtabs: [8, 4], l2CdtabStates: [16, 8] },
      },
    },
  },
};

/** Sizes of the two structures behind pages of records: next page and number of records. */
export const arrayHead = { next: [0, 8], count: [8, 8], size: 16 } as const;

export type Kind = "iommus" | "domains" | "devices";
export const kinds: readonly Kind[] = ["iommus", "domains", "devices"];
export const seriesNames = Object.keys(spec);

/** Writes a number at its place, low byte first; a typed array of u64 as the words that it has. */
export function put(bytes: Uint8Array, at: number, [offset, width]: Place, value: unknown): void {
  if (value instanceof BigUint64Array) {
    value.forEach((word, i) => {
      put(bytes, at + 8 * i, [offset, 8], word);
    });
    return;
  }
  let rest = BigInt(value as number);
  for (let i = 0; i < width; i++) {
    bytes[at + offset + i] = Number(rest & 255n);
    rest >>= 8n;
  }
}
