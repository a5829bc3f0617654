import { describe, expect, it } from "vitest";
import { decodeHandover } from "../../src/index.js";
import { toBinary } from "../../src/interchange.js";
import { Builder, fileBlock, flatten, luoRoot, memfd, sessionBlock, string, u64s } from "./build.js";
import { checkFinding } from "./endure.js";

function decodeWith(builder: Builder, fdt: bigint, maxFindings?: number) {
  const limits = maxFindings === undefined ? {} : { maxFindings };
  return decodeHandover(builder.image, { fdt, mode: "forensic", limits });
}

describe("how much is said of a damaged handover", () => {
  it("a list of a hundred thousand bad folios gives one finding of a kind", () => {
    const builder = new Builder();
    // 255 pages of entries that are unaligned, backwards, beyond the file, and not preserved.
    const pages = 255;
    const lists = Array.from({ length: pages }, (_, p) =>
      builder.page(
        u64s(
          ...Array.from({ length: 512 }, (_, i) =>
            i % 2 === 0 ? BigInt(1000 + p * 512 - i) : BigInt(1e6 - p * 512 - i),
          ),
        ),
      ),
    );
    const chunk = builder.page(u64s(0n, ...lists));
    const data = builder.page(memfd({ size: 4096n, folios: BigInt(pages * 256), first: chunk, pages }));
    const luo = builder.page(
      luoRoot(builder.page(sessionBlock([["a", builder.page(fileBlock([data])), 1n]]))),
    );
    const { findings, handover } = decodeWith(builder, builder.root([["LUO", luo, 32n]]));
    findings.forEach(checkFinding);
    expect(handover.luo!.sessions[0]!.files[0]!.memfd!.folios.length).toBeGreaterThan(1000);
    const about = findings.filter(({ path }) => /memfd\.folios\[\d+\]$/.test(path));
    expect(about.length).toBeLessThanOrEqual(4);
    expect(about.some(({ message }) => message.includes("more entries"))).toBe(true);
  });

  it("ends at the limit, and says so once", () => {
    const builder = new Builder();
    // Every session has the same name, and files at an address that is not there.
    let next = 0n;
    for (let block = 0; block < 40; block++)
      next = builder.page(
        sessionBlock(
          Array.from({ length: 51 }, () => ["", 0xdead_0000n, 1n << 63n] as const),
          next,
        ),
      );
    const fdt = builder.root([["LUO", builder.page(luoRoot(next)), 32n]]);
    for (const most of [0, 1, 100, 1000]) {
      const decoded = decodeWith(builder, fdt, most);
      expect(decoded.findings.length).toBe(most + 1);
      // Room is kept for errors, so that these may follow the notice.
      const notice = decoded.findings.findIndex(({ code }) => code === "limit-exceeded");
      expect(decoded.findings.slice(notice + 1).every(({ severity }) => severity === "error")).toBe(true);
      expect(decoded.findings.filter(({ code }) => code === "limit-exceeded").length).toBe(1);
      expect(decoded.handover.luo!.sessions.length).toBe(2040);
      expect(toBinary(decoded).length).toBeGreaterThan(100);
    }
    expect(decodeWith(builder, fdt).findings.length).toBeLessThanOrEqual(10_001);
  });

  it("sessions and files end at their limit", () => {
    const builder = new Builder();
    const blocks = Array.from({ length: 10 }, () =>
      builder.page(
        fileBlock(
          Array.from({ length: 63 }, () => 0n),
          "x",
        ),
      ),
    );
    const sessions = builder.page(sessionBlock(blocks.map((pa, i) => [`s${i}`, pa, 63n] as const)));
    const fdt = builder.root([["LUO", builder.page(luoRoot(sessions)), 32n]]);
    const { handover, findings } = decodeHandover(builder.image, {
      fdt,
      mode: "forensic",
      limits: { maxRecords: 200 },
    });
    expect(handover.luo!.sessions.reduce((sum, { files }) => sum + files.length, 0)).toBe(200);
    expect(findings.some(({ code }) => code === "limit-exceeded")).toBe(true);
    const few = decodeHandover(builder.image, { fdt, mode: "forensic", limits: { maxRecords: 3 } });
    expect(few.handover.luo!.sessions.length).toBe(3);
  });

  it("a tree of a hundred thousand faults, and one of a hundred thousand regions", () => {
    const builder = new Builder();
    const children = Array.from({ length: 30_000 }, (_, i) => ({
      name: `r${i}`,
      properties: [["start", u64s(1n)] as const],
    }));
    const blob = flatten({ name: "", properties: [["compatible", string("memblock-v1")]], children });
    const fdt = builder.root([["memblock", builder.page(blob), BigInt(blob.length)]]);
    const { findings, handover } = decodeWith(builder, fdt);
    expect(findings.length).toBe(10_001);
    expect(handover.reserveMem).toEqual([]);
    findings.slice(0, 100).forEach(checkFinding);
  });
});
