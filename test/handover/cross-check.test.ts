import { expect, it } from "vitest";
import { newClaims } from "../../formats/claims.js";
import { defaultLimits, reporter } from "../../formats/context.js";
import { kernelOf } from "../../formats/kernels.js";
import { newRuns } from "../../formats/kho/runs.js";
import { crossCheck } from "../../src/handover/cross-check.js";
import type { Handover } from "../../src/handover/model.js";
import { physAddr } from "../../src/memory/index.js";
import type { Finding } from "../../src/report/finding.js";

const pageSize = 4096;
const at = (pfn: number) => physAddr(BigInt(pfn * pageSize));

it("what a map says of a page is the same for whoever asks, also where its runs overlap", () => {
  const runs = newRuns();
  runs.push(0, 1, 1);
  runs.push(0, 10, 10);
  runs.push(0, 12, 1);
  const claims = newClaims(pageSize);
  claims.claim(at(11), 1, 0, "x");
  claims.claim(at(15), 1, "any-order", "y");
  const findings: Finding[] = [];
  const handover = { preserved: { runs: runs.finish() }, scratch: [], reserveMem: [], pageSize };
  const handoff = { recordPa: 0n, scratchPa: 0n, scratchSize: 0n };
  crossCheck(
    {
      memory: { ranges: [], has: () => false, read: () => new Uint8Array(0) },
      abi: { byteOrder: "little", pageSize },
      kernel: kernelOf("7.0"),
      limits: defaultLimits,
      claims,
      report: reporter(findings, false, 100),
    },
    { ...handover, handoff } as unknown as Handover,
  );
  expect(findings.map(({ code, path }) => [code, path])).toEqual([["block-overlap", "preserved.runs"]]);
});
