/** The shape of a handover that was captured: read, not asked for. */
import type { Claim } from "../../formats/claims.js";
import type { OrderCount } from "../../formats/kho/preserved.js";
import { newRuns, type Runs } from "../../formats/kho/runs.js";
import { KHO_TEST_FDT } from "../../formats/kho/test-module.js";
import type { FolioRuns } from "../../formats/memfd/folios.js";
import { isMemfd } from "../../formats/memfd/memfd.js";
import { khoTestFoliosPath } from "../../formats/paths.js";
import type { Decoded, Handover } from "../handover/index.js";
import { addData, orderFor } from "../handover/placement.js";
import type { Abi } from "../layout/index.js";
import { pfnOf } from "../memory/index.js";
import { summed } from "./orders.js";
import type { FileShape, SessionShape, Shape } from "./shape.js";
import { type Stretch, singleRun } from "./stretches.js";

/**
 * Reads the shape of a decoded handover. What it had been before it was preserved no capture shows: holes are filled and
 * folios are moved out of scratch by then, so that there are none.
 */
export function shapeOf({ handover, structures }: Pick<Decoded, "handover" | "structures">): Shape {
  const { release, pageSize, arch, scratch, luo, reserveMem, khoTest, preserved } = handover;
  const abi: Abi = { byteOrder: "little", pageSize };
  const none = newRuns().finish();
  const data = newRuns();
  addData(data, preserved?.runs ?? none, structures, abi);
  const contents = data.finish();
  return {
    release,
    pageSize,
    arch: arch === "aarch64" ? "aarch64" : "x86_64",
    scratch: {
      areas: scratch.length,
      bytes: Number(scratch.reduce((sum, { size }) => sum + size, 0n)),
    },
    liveUpdate: luo !== undefined,
    sessions: (luo?.sessions ?? []).map(
      ({ files }): SessionShape => ({ count: 1, files: files.map(fileShape) }),
    ),
    flbs: luo?.flbs.length ?? 0,
    regions: reserveMem.map(({ name, size }) => ({ name, pages: Number(size / BigInt(pageSize)) })),
    ...(khoTest && { testModule: { folios: khoTest.nrFolios, blobOrder: testBlobOrder(handover) } }),
    data: stretchesOf(contents),
    structures: { stretches: stretchesOf(structureRuns(structures, handover)) },
    assumed:
      (luo?.sessions.length ?? 0) === 0
        ? []
        : [
            "a capture does not show what had been a hole or in scratch before it was preserved: nothing, here",
          ],
  };
}

function fileShape({
  compatible,
  memfd,
}: NonNullable<Handover["luo"]>["sessions"][number]["files"][number]): FileShape {
  return {
    count: 1,
    handler: isMemfd(compatible) ? "memfd" : "other",
    folios: memfd ? folioOrders(memfd.folios) : [],
    holes: 0,
    inScratch: [],
  };
}

const folioOrders = ({ length, order, count }: FolioRuns): OrderCount[] =>
  summed(Array.from({ length }, (_, i) => ({ order: order[i]!, blocks: count[i]! })));

const stretchesOf = ({ length, order, pfn, count }: Runs): Stretch[] =>
  Array.from({ length }, (_, i) => singleRun(order[i]!, pfn[i]!, count[i]!));

/** The blocks that structures lie in. */
function structureRuns(structures: readonly Claim[], { preserved, pageSize }: Handover): Runs {
  const runs = newRuns();
  for (const { pa, pages, keeping, path } of structures) {
    if (keeping === "not-preserved" || path === khoTestFoliosPath) continue;
    const order = keeping === "any-order" ? orderOf(preserved?.runs, pfnOf(pa, pageSize)) : keeping;
    runs.push(order, pfnOf(pa, pageSize), Math.max(1, pages / 2 ** order));
  }
  return runs.finish();
}

/** The order of the block that begins at a page; 0 if there is none. */
function orderOf(runs: Runs | undefined, pfn: number): number {
  if (!runs) return 0;
  for (let i = 0; i < runs.length; i++) {
    const unit = 2 ** runs.order[i]!;
    const into = pfn - runs.pfn[i]!;
    if (into >= 0 && into < runs.count[i]! * unit && into % unit === 0) return runs.order[i]!;
  }
  return 0;
}

function testBlobOrder({ subtrees, preserved, pageSize }: Handover): number {
  const subtree = subtrees.find(({ name }) => name === KHO_TEST_FDT);
  if (!subtree) return 0;
  return Math.max(
    orderOf(preserved?.runs, pfnOf(subtree.pa, pageSize)),
    orderFor(Number(subtree.size), pageSize),
  );
}
