import type { IommuRoot, VendorName } from "../../formats/iommu/device.js";
import { KhoError } from "../report/error.js";

/** A side file that says where the roots of a captured handover are, as capture tools write it next to the memory. */
export interface Meta {
  readonly fdtPhys?: bigint;
  readonly fdtSize?: bigint;
  readonly scratchPhys?: bigint;
  readonly scratchSize?: bigint;
  /** `hdr.setup_data` of the x86 zero page. */
  readonly setupDataHead?: bigint;
  /** The node of the list that is the hand-off record. */
  readonly setupDataPhys?: bigint;
  /** The kernel that wrote the handover, `7.3.4`. */
  readonly kernelRelease?: string;
  readonly arch?: "x86_64" | "aarch64";
  /** Bytes. */
  readonly pageSize?: number;
  /** The machine's memory: its first address, and its bytes. */
  readonly ramBase?: bigint;
  readonly ramSize?: bigint;
  /** An IOMMU and the registers that lead to its tables. */
  readonly iommu?: IommuMeta;
}

export interface IommuMeta extends Pick<IommuRoot, "root" | "cfg"> {
  readonly vendor: VendorName;
}

const addresses = [
  "fdtPhys",
  "fdtSize",
  "scratchPhys",
  "scratchSize",
  "setupDataHead",
  "setupDataPhys",
  "ramBase",
  "ramSize",
] as const;
const architectures: Record<string, Meta["arch"]> = {
  x86_64: "x86_64",
  amd64: "x86_64",
  arm64: "aarch64",
  aarch64: "aarch64",
};

/**
 * Reads a side file: a JSON object whose numbers are numbers or strings, `"0x4b3000"`. Members that are not known are
 * ignored.
 * @throws KhoError `meta-malformed`
 */
export function parseMeta(text: string): Meta {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new KhoError("meta-malformed", "the side file is not JSON", { cause });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new KhoError("meta-malformed", "the side file is not a JSON object");
  const members = new Map(Object.entries(json));
  const meta: { -readonly [K in keyof Meta]: Meta[K] } = {};
  for (const name of addresses) {
    const value = members.get(name);
    if (value !== undefined && value !== null) meta[name] = numberOf(name, value);
  }
  const pageSize = members.get("pageSize");
  if (pageSize !== undefined) meta.pageSize = Number(numberOf("pageSize", pageSize));
  const release = members.get("kernelRelease");
  if (typeof release === "string") meta.kernelRelease = release;
  const arch = members.get("arch");
  if (typeof arch === "string" && Object.hasOwn(architectures, arch)) meta.arch = architectures[arch]!;
  const iommu = iommuOf(members);
  if (iommu) meta.iommu = iommu;
  return meta;
}

/** The register that each maker's IOMMU has its root in, by the name that side files have it under. */
const roots: Readonly<Record<string, { readonly vendor: VendorName; readonly cfg?: string }>> = {
  rtaddr: { vendor: "vtd" },
  devTabBase: { vendor: "amd" },
  strtabBase: { vendor: "smmuv3", cfg: "strtabBaseCfg" },
  ddtp: { vendor: "riscv", cfg: "capabilities" },
};

function iommuOf(members: ReadonlyMap<string, unknown>): IommuMeta | undefined {
  for (const [name, { vendor, cfg: second }] of Object.entries(roots)) {
    const value = members.get(name);
    if (value === undefined || value === null) continue;
    const cfg = second === undefined ? undefined : members.get(second);
    return {
      vendor,
      root: numberOf(name, value),
      ...(cfg !== undefined && cfg !== null && { cfg: numberOf(second!, cfg) }),
    };
  }
  return undefined;
}

function numberOf(name: string, value: unknown): bigint {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  if (typeof value === "string" && /^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(value)) {
    const number = BigInt(value);
    if (number >> 64n === 0n) return number;
  }
  throw new KhoError("meta-malformed", `${name} of the side file is not an address`, {
    expected: 'a number or a string like "0x4b3000"',
    actual: String(JSON.stringify(value)).slice(0, 80),
  });
}
