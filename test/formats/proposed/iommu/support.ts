import { newClaims } from "../../../../formats/claims.js";
import { type Context, defaultLimits, type Limits, reporter } from "../../../../formats/context.js";
import { kernelOf } from "../../../../formats/kernels.js";
import type { IommuStateSource } from "../../../../formats/proposed/iommu/encode.js";
import type { IommuPlaces } from "../../../../formats/proposed/iommu/state.js";
import { type Memory, physAddr, type SparseMemory, sparseMemory } from "../../../../src/memory/index.js";
import type { Finding } from "../../../../src/report/finding.js";
import { hex } from "../../../../src/report/hex.js";
import { arrayHead, type Kind, kinds, put, type SeriesSpec } from "./spec.js";

export interface Reading {
  readonly ctx: Context;
  readonly findings: Finding[];
}

/** A context over memory, with the findings that it collects. */
export function reading(
  memory: Memory,
  {
    pageSize = 4096,
    limits = {},
    strict = false,
  }: { pageSize?: number; limits?: Partial<Limits>; strict?: boolean } = {},
): Reading {
  const findings: Finding[] = [];
  const ctx: Context = {
    memory,
    abi: { byteOrder: "little", pageSize },
    kernel: kernelOf("7.3"),
    limits: { ...defaultLimits, ...limits },
    claims: newClaims(pageSize),
    report: reporter(findings, strict, 1000),
  };
  return { ctx, findings };
}

export const codesOf = (findings: readonly Finding[]): string[] => findings.map(({ code }) => code);

/** Places for a state: pages out of order and apart, as an allocator gives them. */
export function placesFor(
  spec: SeriesSpec,
  counts: Readonly<Record<Kind, number>>,
  pageSize = 4096,
): IommuPlaces {
  let next = 0x1_0000_0000;
  const page = () => physAddr((next += 3 * pageSize));
  const pages = (kind: Kind) =>
    Array.from(
      { length: Math.max(1, Math.ceil(counts[kind] / perPage(spec, kind, pageSize))) },
      page,
    ).reverse();
  return { root: page(), iommus: pages("iommus"), domains: pages("domains"), devices: pages("devices") };
}

export const perPage = (spec: SeriesSpec, kind: Kind, pageSize: number): number =>
  Math.floor((pageSize - arrayHead.size) / spec[kind].size);

/** Where the record `i` of a kind is. */
export function placeOf(
  spec: SeriesSpec,
  places: IommuPlaces,
  kind: Kind,
  i: number,
  pageSize = 4096,
): bigint {
  const most = perPage(spec, kind, pageSize);
  return places[kind][Math.floor(i / most)]! + BigInt(arrayHead.size + (i % most) * spec[kind].size);
}

/** The memory that a kernel of the series leaves, written by the offsets of the specification. */
export function specMemory(
  spec: SeriesSpec,
  places: IommuPlaces,
  state: IommuStateSource,
  pageSize = 4096,
): SparseMemory {
  const memory = sparseMemory();
  const root = new Uint8Array(pageSize);
  if (spec.root.version) put(root, 0, spec.root.version, 1n);
  for (const kind of kinds) {
    put(root, 0, spec.root[kind], places[kind][0]!);
    if (spec.root.counts) put(root, 0, spec.root.counts[kind], state.counts?.[kind] ?? state[kind].length);
    const most = perPage(spec, kind, pageSize);
    for (const [p, pa] of places[kind].entries()) {
      const page = new Uint8Array(pageSize);
      const part = state[kind].slice(p * most, (p + 1) * most);
      put(page, 0, arrayHead.next, places[kind][p + 1] ?? 0n);
      put(page, 0, arrayHead.count, part.length);
      part.forEach((record, i) => {
        const at = arrayHead.size + i * spec[kind].size;
        putRecord(spec, places, kind, record, p * most + i, page, at, pageSize);
      });
      memory.write(pa, page);
    }
  }
  memory.write(places.root, root);
  return memory;
}

type AnyRecord = Readonly<Record<string, unknown>>;

function putRecord(
  spec: SeriesSpec,
  places: IommuPlaces,
  kind: Kind,
  given: object,
  position: number,
  page: Uint8Array,
  at: number,
  pageSize: number,
): void {
  const record = given as AnyRecord;
  const linked = (target: Kind, link: unknown, pa: unknown) =>
    link === undefined ? (pa ?? 0n) : placeOf(spec, places, target, link as number, pageSize);
  const values: AnyRecord = {
    index: position,
    ...record,
    restoredDomain: 0n,
    domainPa: linked("domains", record.domain, record.domainPa),
    iommuPa: linked("iommus", record.iommu, record.iommuPa),
  };
  for (const [name, place] of Object.entries(spec[kind].members)) put(page, at, place, values[name] ?? 0);
  const { union } = spec[kind];
  if (!union) return;
  const inUnion = at + union[0];
  if (record.union) page.set(record.union as Uint8Array, inUnion);
  for (const [driver, layouts] of Object.entries(spec.drivers))
    if (record[driver] && kind !== "domains")
      for (const [name, place] of Object.entries(layouts[kind] ?? {}))
        put(page, inUnion, place, (record[driver] as AnyRecord)[name] ?? 0);
}

/** Where two memories differ: pages that one lacks, and the first byte in others. Empty if they are the same. */
export function differences(got: Memory, wanted: Memory): string[] {
  const found: string[] = [];
  const pages = new Set([...pagesIn(got), ...pagesIn(wanted)]);
  for (const pa of pages) {
    if (!got.has(physAddr(pa), 4096) || !wanted.has(physAddr(pa), 4096)) {
      found.push(`${hex(pa)}: in one of them only`);
      continue;
    }
    const [a, b] = [got.read(physAddr(pa), 4096), wanted.read(physAddr(pa), 4096)];
    const at = a.findIndex((byte, i) => byte !== b[i]);
    if (at >= 0) found.push(`${hex(pa)} + ${at}: ${a[at]}, not ${b[at]}`);
  }
  return found;
}

const pagesIn = ({ ranges }: Memory): bigint[] =>
  ranges.flatMap(({ pa, size }) =>
    Array.from({ length: Number(size / 4096n) }, (_, i) => pa + 4096n * BigInt(i)),
  );
