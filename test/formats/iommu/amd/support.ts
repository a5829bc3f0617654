import { defaultLimits, type Limits } from "../../../../formats/context.js";
import { openAmd } from "../../../../formats/iommu/amd/devices.js";
import type { DeviceEntry, IommuRoot, Unit } from "../../../../formats/iommu/device.js";
import type { IommuContext } from "../../../../formats/iommu/walk.js";
import { type Memory, physAddr, type SparseMemory, sparseMemory } from "../../../../src/memory/index.js";
import type { Finding } from "../../../../src/report/finding.js";

/** A context over memory, with the findings that it collects. */
export function contextOf(
  memory: Memory,
  limits: Partial<Limits> = {},
): { ctx: IommuContext; findings: Finding[] } {
  const findings: Finding[] = [];
  const ctx: IommuContext = {
    memory,
    limits: { ...defaultLimits, ...limits },
    report: (severity, code, message, { path, pa = 0n, length = 0, expected, actual }) => {
      const detail = { ...(expected !== undefined && { expected }), ...(actual !== undefined && { actual }) };
      findings.push({ severity, code, message, path, pa, length, ...detail });
    },
  };
  return { ctx, findings };
}

/** An opened IOMMU with what it has found and said so far. */
export function opened(memory: Memory, root: bigint | IommuRoot, limits?: Partial<Limits>) {
  const { ctx, findings } = contextOf(memory, limits);
  const unit: Unit = openAmd(ctx, typeof root === "bigint" ? { root } : root);
  return { unit, findings, ctx };
}

/** Memory with 64-bit words at addresses; the pages around them are zero. */
export function memoryOf(...places: readonly (readonly [pa: bigint, ...words: bigint[]])[]): SparseMemory {
  const memory = sparseMemory();
  for (const [pa, ...words] of places) put(memory, pa, ...words);
  return memory;
}

export function put(memory: Pick<SparseMemory, "write">, pa: bigint, ...words: bigint[]): void {
  const bytes = new Uint8Array(words.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setBigUint64(i * 8, word, true);
  memory.write(physAddr(pa), bytes);
}

/** 64-bit words from an address on. */
export function wordsAt(memory: Memory, pa: bigint, count: number): bigint[] {
  const bytes = memory.read(physAddr(pa), count * 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, i) => view.getBigUint64(i * 8, true));
}

/** What an entry says, short enough for tables: its page tables as format, root and levels. */
export function gist({ device, pasid, kind, domain, table, parent }: DeviceEntry) {
  const short = (of: DeviceEntry["table"]) =>
    of && `${of.format.name} ${of.levels} 0x${of.root.toString(16)}`;
  return {
    device,
    ...(pasid !== undefined && { pasid }),
    kind,
    ...(domain && { domain: domain.id }),
    ...(table && { table: short(table) }),
    ...(parent && { parent: short(parent) }),
  };
}
