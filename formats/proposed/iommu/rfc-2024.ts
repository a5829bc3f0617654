import {
  type Abi,
  array,
  decode,
  pa,
  type Scalar,
  s32,
  sizeOf,
  struct,
  u8,
  u64,
  type ValueOf,
} from "../../../src/layout/index.js";
import { type PhysAddr, physAddr } from "../../../src/memory/index.js";
import type { Consequence } from "../../../src/report/finding.js";
import { bootStops, misread, retrieveOops } from "../../consequence.js";
import type { Context } from "../../context.js";
import { child, type Fdt, type FdtNode, property, stringValue } from "../../fdt/index.js";

/**
 * The RFC of September 2024: nodes of the one tree that KHO of that time hands over. Numbers are in the byte order of the
 * CPU. Readers find nodes by name and use properties without a look at their lengths.
 */
export const IOMMUFD_V0 = "iommufd-v0";
export const INTEL_IOMMU_V0 = "intel-iommu-v0";

/** Memory that is handed over. Bit 0 of `addr` asks to leave its struct pages alone. */
export const khoMem = struct(
  "kho_mem",
  { addr: pa, len: u64 },
  { header: "include/linux/kexec.h", since: "proposed 2024-01", until: "proposed 2024-09" },
);

/** Addresses that a device can reach through an I/O address space, in bytes. */
export interface RfcArea {
  readonly iovaStart: bigint;
  readonly iovaLen: bigint;
  /** `IOMMU_READ` 1, `IOMMU_WRITE` 2, and more; s32. */
  readonly iommuProt: number;
}
export interface RfcIoas {
  /** Name of the node: the object's number in decimal. */
  readonly name: string;
  /** Inode number of a guestmemfs file; added by the last patch. */
  readonly pinnedFileHandle?: bigint;
  readonly areas: readonly RfcArea[];
}
export interface RfcIommufd {
  /** Name of the node: the number that user space gave it, in decimal. */
  readonly name: string;
  readonly ioases: readonly RfcIoas[];
}

export interface RfcDomain {
  /** Name of the node: `persistentId` in decimal. */
  readonly name: string;
  readonly persistentId: bigint;
  /** The top page table. */
  readonly pgd: PhysAddr;
  /** Adjusted guest address width as VT-d counts it: 0 is 30 bits, each one more 9 bits; s32. */
  readonly agaw: number;
  /** Some of the pages of its tables and what they map: the writer stops looking too early, and after one page of these. */
  readonly mem: readonly ValueOf<typeof khoMem>[];
  readonly devices: readonly { readonly bus: number; readonly devfn: number }[];
}

/** The iommufds of a tree at `treePa`; undefined without their node. What lacks a property is left out. */
export function decodeRfcIommufds(ctx: Context, fdt: Fdt, treePa: PhysAddr): RfcIommufd[] | undefined {
  const root = child(fdt.root, "iommufd");
  if (!root) return undefined;
  const reader: Reader = { ctx, treePa, lost: retrieveOops };
  checkCompatible(reader, root, IOMMUFD_V0, "iommufd");
  return nodesIn(root, "iommufds").map((iommufd) => ({
    name: iommufd.name,
    ioases: nodesIn(iommufd, "ioases").map((ioas) => {
      const path = `iommufd.${iommufd.name}.${ioas.name}`;
      const handle =
        property(ioas, "pinned-file-handle") && number(reader, ioas, "pinned-file-handle", u64, path);
      return {
        name: ioas.name,
        ...(handle !== undefined && { pinnedFileHandle: handle }),
        areas: ioas.children.flatMap((area) => areaOf(reader, area, `${path}.${area.name}`)),
      };
    }),
  }));
}

function areaOf(reader: Reader, node: FdtNode, path: string): RfcArea[] {
  const iovaStart = number(reader, node, "iova-start", u64, path);
  const iovaLen = number(reader, node, "iova-len", u64, path);
  const iommuProt = number(reader, node, "iommu-prot", s32, path);
  if (iovaStart === undefined || iovaLen === undefined || iommuProt === undefined) return [];
  return [{ iovaStart, iovaLen, iommuProt }];
}

/** The VT-d domains of a tree at `treePa`; undefined without their node. What lacks a property is left out. */
export function decodeRfcDomains(ctx: Context, fdt: Fdt, treePa: PhysAddr): RfcDomain[] | undefined {
  const root = child(fdt.root, "intel-iommu");
  if (!root) return undefined;
  const reader: Reader = { ctx, treePa, lost: bootStops("a property that is not there is read") };
  checkCompatible(reader, root, INTEL_IOMMU_V0, "intel-iommu");
  return nodesIn(root, "domains").flatMap((node) => domainOf(reader, node));
}

function domainOf(reader: Reader, node: FdtNode): RfcDomain[] {
  const { abi } = reader.ctx;
  const path = `intel-iommu.${node.name}`;
  const persistentId = number(reader, node, "persistent_id", u64, path);
  const pgd = number(reader, node, "pgd", u64, path);
  const agaw = number(reader, node, "agaw", s32, path);
  if (persistentId === undefined || pgd === undefined || agaw === undefined) return [];
  const devices = nodesIn(node, "devices").flatMap((device) => {
    const bus = number(reader, device, "bus", u8, `${path}.${device.name}`);
    const devfn = number(reader, device, "devfn", u8, `${path}.${device.name}`);
    return bus === undefined || devfn === undefined ? [] : [{ bus, devfn }];
  });
  const mem = memOf(property(node, "mem")?.value ?? new Uint8Array(0), abi);
  return [{ name: node.name, persistentId, pgd: physAddr(pgd), agaw, mem, devices }];
}

/** As many records as there are whole. */
const memOf = (value: Uint8Array, abi: Abi): ValueOf<typeof khoMem>[] =>
  decode(array(khoMem, Math.floor(value.length / sizeOf(khoMem, abi))), value, 0, abi);

/** What belongs to the reading of one tree; `lost` is what its reader does without a property. */
interface Reader {
  readonly ctx: Context;
  readonly treePa: PhysAddr;
  readonly lost: Consequence;
}

const nodesIn = (node: FdtNode, name: string): readonly FdtNode[] => child(node, name)?.children ?? [];

function number<S extends Scalar>(
  { ctx, treePa, lost }: Reader,
  node: FdtNode,
  name: string,
  layout: S,
  path: string,
): ValueOf<S> | undefined {
  const found = property(node, name);
  const size = sizeOf(layout, ctx.abi);
  if (found?.length === size) return decode(layout, found.value, 0, ctx.abi);
  ctx.report(
    "error",
    found ? "property-bad-length" : "property-missing",
    `${path} has no usable "${name}" property`,
    {
      path: `${path}.${name}`,
      pa: physAddr(treePa + BigInt((found ?? node).offset)),
      length: found?.length ?? 0,
      expected: `${size} bytes`,
      actual: found ? `${found.length} bytes` : "absent",
      consequence: lost,
    },
  );
  return undefined;
}

function checkCompatible({ ctx, treePa }: Reader, node: FdtNode, expected: string, path: string): void {
  const found = property(node, "compatible");
  const actual = (found && stringValue(found.value)) ?? "none";
  if (actual === expected) return;
  ctx.report("warning", "compatible-unknown", `the node ${path} is of another version`, {
    path: `${path}.compatible`,
    pa: physAddr(treePa + BigInt(node.offset)),
    expected,
    actual,
    consequence: misread("boot", "the reader does not look at the version"),
  });
}
