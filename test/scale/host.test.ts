import { describe, expect, it } from "vitest";
import type { FolioRuns } from "../../formats/memfd/folios.js";
import { decodeHandover, type Image } from "../../src/index.js";
import { toJson, toJsonPieces } from "../../src/interchange.js";
import { abi, flags, type Host, type HostPlan, makeHost } from "./host.js";
import { geometryOf } from "./shape.js";

const MiB = 2 ** 20;

const imageOf = ({ memory }: Host): Image => ({ kind: "elf", memory, arch: "x86_64", findings: [] });

/** The runs of one file as the plan has them. */
function expectedFolios(host: Host, vm: number): Omit<FolioRuns, "length"> {
  const { shape } = host;
  const step = 2 ** shape.order;
  const { runAt, runs } = geometryOf(shape);
  const index: number[] = [];
  const pfn: number[] = [];
  const count: number[] = [];
  for (let folio = 0; folio < shape.folios; folio += count.at(-1)!) {
    const run = runAt(folio);
    index.push(folio * step);
    pfn.push(host.firstPfn(vm) + run.place * step);
    count.push(run.count);
  }
  expect(count.length).toBe(runs);
  return {
    index: Float64Array.from(index),
    pfn: Float64Array.from(pfn),
    order: new Uint8Array(runs).fill(shape.order),
    count: Float64Array.from(count),
    flags: new Uint16Array(runs).fill(flags),
  };
}

const plans: readonly HostPlan[] = ["6.19", "7.0", "7.1", "7.3"].flatMap((release) => [
  { release, vms: 4, bytes: 16 * MiB, order: 0, mean: Number.POSITIVE_INFINITY },
  { release, vms: 4, bytes: 64 * MiB, order: 0, mean: 64 },
  { release, vms: 2, bytes: 2 * MiB, order: 0, mean: 1 },
  { release, vms: 2, bytes: 256 * MiB, order: 9, mean: 8 },
  { release, vms: 1, bytes: 4096, order: 0, mean: 64 },
]);

describe("a synthetic host", () => {
  it.each(plans)(
    "is a sound handover of $release, $vms x $bytes bytes in folios of order $order, $mean side by side",
    (plan) => {
      const host = makeHost(plan);
      const decoded = decodeHandover(imageOf(host), {
        release: plan.release,
        handoff: host.handoff.recordPa,
        pageSize: abi.pageSize,
      });
      const { handover, findings } = decoded;
      expect(findings).toEqual([]);
      expect(handover.handoff).toEqual(host.handoff);
      expect(handover.scratch).toEqual(host.scratch);
      expect(handover.preserved?.runs).toEqual(host.preserved);
      const files = handover.luo!.sessions.map(({ name, files: [file, ...others] }, vm) => {
        expect(others).toEqual([]);
        expect(name).toBe(`vm${vm}`);
        return file!.memfd!;
      });
      expect(files.length).toBe(plan.vms);
      for (const [vm, { size, nrFolios, folios }] of files.entries()) {
        expect(size).toBe(BigInt(plan.bytes));
        expect(nrFolios).toBe(BigInt(host.shape.folios));
        expect(folios).toEqual({ length: folios.length, ...expectedFolios(host, vm) });
      }
      expect([...toJsonPieces(decoded)].join("")).toBe(toJson(decoded));
    },
  );
});
