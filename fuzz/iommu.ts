/** Structures of IOMMUs, captured or built: every device and its tables, walked and looked up, damaged. */
import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { DeviceEntry, IommuRoot, VendorName } from "../formats/iommu/device.js";
import { newDomain } from "../formats/iommu/domain.js";
import { iommuAbi } from "../formats/iommu/entry.js";
import { mapTable } from "../formats/iommu/map.js";
import { newRiscvUnit } from "../formats/iommu/riscv/encode.js";
import { riscvDomain } from "../formats/iommu/riscv/geometry.js";
import { translate } from "../formats/iommu/translate.js";
import type { Random } from "../src/fuzz/random.js";
import { openSource } from "../src/image/open.js";
import { newReading, openIommu } from "../src/iommu/open.js";
import { reachOf } from "../src/iommu/reach.js";
import { type Layout, sizeOf } from "../src/layout/index.js";
import { bytesSource, type PhysAddr } from "../src/memory/index.js";
import { capability } from "../test/formats/iommu/riscv/support.js";
import { newStore } from "../test/formats/iommu/store.js";
import { mutateBytes } from "./mutate/bytes.js";
import { type Core, frameSize, framesOf, readCore, readingOf, writeCore } from "./mutate/core.js";
import { mutateField } from "./mutate/fields.js";
import { guarded, reading } from "./oracles/errors.js";
import { checkLookups } from "./oracles/lookups.js";
import { watched } from "./oracles/watched.js";
import type { Seed } from "./seeds/seed.js";

export const about = "device structures of every maker's IOMMU, and the tables that they lead to";

/** Capabilities of a unit that reads every scheme of tables. */
const everything = Object.values(capability).reduce((all, bit) => all | bit, 0n);

/** What `e_flags` of a core picks: the maker, and the register beside the root. */
const units: readonly { readonly vendor: VendorName; readonly cfg?: bigint }[] = [
  { vendor: "vtd" },
  { vendor: "amd" },
  { vendor: "smmuv3", cfg: 0x10210n },
  { vendor: "smmuv3" },
  { vendor: "riscv", cfg: everything },
];

const fixtures = new URL("../fixtures/", import.meta.url).pathname;

export function* seeds(): Generator<Seed> {
  for (const folder of readdirSync(fixtures).sort()) {
    if (!folder.includes("-iommu-")) continue;
    const meta = JSON.parse(readFileSync(`${fixtures}${folder}/meta.json`, "utf8")) as Record<string, string>;
    const root = meta.rtaddr ?? meta.devTabBase ?? meta.strtabBase;
    const unit = meta.rtaddr ? 0 : meta.devTabBase ? 1 : 2;
    const core = new Uint8Array(gunzipSync(readFileSync(`${fixtures}${folder}/core.elf.gz`)));
    const frames = framesOf(openSource(bytesSource(core)))!;
    yield { name: folder, data: writeCore({ machine: 0, handoff: BigInt(root!), row: unit, frames }) };
  }
  yield { name: "riscv", data: riscvCore() };
}

function riscvCore(): Uint8Array {
  const store = newStore();
  const unit = newRiscvUnit({ capabilities: everything, levels: 2 }, store)!;
  const domain = newDomain(riscvDomain({ capabilities: everything })!, store)!;
  for (const [iova, pa, size] of [
    [0x1000n, 0x80000000n, 0x3000n],
    [0x200000n, 0x90000000n, 0x400000n],
  ] as const)
    mapTable(domain, iova, pa, size, 3);
  unit.attach(0x10, { kind: "table", domain, domainId: 5 });
  unit.attach(0x18, { kind: "identity" });
  return writeCore({ machine: 0, handoff: unit.root, row: units.length - 1, frames: framesOf(store)! });
}

/** Devices of one input that are followed. */
const mostDevices = 24;

export function fuzz(data: Uint8Array): void {
  const image = reading("open", () => openSource(bytesSource(data))).value;
  const asked = image?.kind === "elf" ? readingOf(data) : undefined;
  if (!image || !asked) return;
  const { vendor, cfg } = units[asked.row % units.length]!;
  const root: IommuRoot = { root: asked.handoff, ...(cfg !== undefined && { cfg }) };
  const { image: seen, restart } = watched(image, 512 * (data.length + image.memory.ranges.length * 64));
  const found = newReading(seen.memory, {
    limits: { maxSharedTables: 64, maxRuns: 50_000, maxRecords: 4096, maxFindings: 200 },
  });
  const unit = reading("open the unit", () => openIommu(found, vendor, root)).value;
  if (!unit) return;
  reading("devices", () => {
    let left = mostDevices;
    for (const entry of unit.devices()) {
      if (left-- === 0) break;
      restart();
      const before = found.findings.length;
      const { runs } = reachOf(found.ctx, entry);
      const { table, parent } = entry;
      // What is damaged is walked as far as that goes, and looked up further.
      if (table && !parent && found.findings.length === before) checkLookups(image.memory, table, runs);
    }
    unit.device(0x10);
    unit.device(0x10, 1);
  });
}

/** A structure on the way to a device's memory. */
interface Spot {
  readonly layout: Layout;
  readonly pa: PhysAddr;
}

const known = new WeakMap<Uint8Array, { core: Core; spots: readonly Spot[] } | "damaged">();

function spotsOf(data: Uint8Array): { core: Core; spots: readonly Spot[] } | undefined {
  const before = known.get(data);
  if (before) return before === "damaged" ? undefined : before;
  const core = readCore(data);
  const spots: Spot[] = [];
  if (core)
    guarded("spots", () => {
      const { vendor, cfg } = units[core.row % units.length]!;
      const image = openSource(bytesSource(data));
      const found = newReading(image.memory, {
        limits: { maxSharedTables: 16, maxRuns: 1000, maxRecords: 256 },
      });
      const unit = openIommu(found, vendor, { root: core.handoff, ...(cfg !== undefined && { cfg }) });
      for (const entry of unit.devices()) {
        spots.push(...stepsOf(image.memory, entry, found.ctx));
        if (spots.length > 400) break;
      }
    });
  const result = core && core.frames.size > 0 ? { core, spots } : undefined;
  known.set(data, result ?? "damaged");
  return result;
}

function stepsOf(
  memory: Parameters<typeof translate>[0],
  entry: DeviceEntry,
  ctx: Parameters<typeof reachOf>[0],
): Spot[] {
  const { table, parent, words } = entry;
  const spots: Spot[] = words.map(({ layout, pa }) => ({ layout, pa }));
  if (!table || parent) return spots;
  const { runs } = reachOf(ctx, entry);
  for (let i = 0; i < Math.min(runs.length, 6); i++)
    for (const { layout, pa } of translate(memory, table, BigInt(runs.iova[i]!) << 12n).steps)
      spots.push({ layout, pa });
  return spots;
}

export function mutate(data: Uint8Array, random: Random): Uint8Array {
  const parsed = spotsOf(data);
  if (!parsed || random.chance(60)) return mutateBytes(data, random);
  const { core, spots } = parsed;
  const frames = new Map(core.frames);
  const numbers = [...frames.keys()];
  const addresses = [
    ...spots.map(({ pa }) => pa as bigint),
    ...numbers.slice(0, 32).map((n) => BigInt(n * frameSize)),
  ];
  for (let left = 1 + random.below(3); left > 0; left--) {
    const spot = spots.length > 0 && !random.chance(6) ? random.pick(spots) : undefined;
    const number = spot ? Number(spot.pa / BigInt(frameSize)) : random.pick(numbers);
    const frame = frames.get(number);
    if (!frame) continue;
    const changed = frame.slice();
    const at = spot ? Number(spot.pa % BigInt(frameSize)) : 0;
    if (!spot) changed.set(frames.get(random.pick(numbers))!.subarray(0, 512), 512 * random.below(8));
    else if (at + sizeOf(spot.layout, iommuAbi) <= frameSize)
      mutateField(spot.layout, changed, at, { abi: iommuAbi, addresses, texts: [] }, random);
    frames.set(number, changed);
  }
  return writeCore({ ...core, frames });
}
