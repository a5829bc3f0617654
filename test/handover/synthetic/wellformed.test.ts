import { describe, expect, it } from "vitest";
import { memfdContent } from "../../../src/handover/index.js";
import { openImage } from "../../../src/image/node.js";
import { decodeWritten, expectAll, faultsOf } from "./compare.js";
import { earlySystemdMapping, everything, folios, scratch, systemdMapping, systemdSession } from "./plans.js";
import { developmentForms, formOf, releases } from "./releases.js";
import { type Plan, write } from "./writer.js";

const pageSizes = [4096, 16384, 65536];

/** Rows that write the same bytes, so that a guess may name either. */
const alike: Record<string, string[]> = {
  "6.16": ["6.16", "6.17"],
  "6.17": ["6.16", "6.17"],
  "7.2": ["7.2", "7.3"],
  "7.3": ["7.2", "7.3"],
};

describe.each(releases)("a handover of $label comes out as it was written", (form) => {
  it.each(pageSizes)("with pages of %i bytes, in strict mode, the release guessed", (pageSize) => {
    const written = write(everything(form, pageSize));
    const decoded = decodeWritten(written);
    expect(faultsOf(decoded)).toEqual([]);
    expectAll(written, decoded);
    expect(decoded.handover.releaseGuessed).toBe(true);
    if (form.release === "6.17.9") expect(decoded.handover.release).toBe("6.18");
    else expect(alike[form.release] ?? [form.release]).toContain(decoded.handover.release);
  });

  it.each(pageSizes)("with pages of %i bytes, the release named", (pageSize) => {
    const written = write(everything(form, pageSize));
    const decoded = decodeWritten(written, { release: form.release });
    expect(faultsOf(decoded)).toEqual([]);
    expectAll(written, decoded);
    expect(decoded.handover.release).toBe(form.release);
    expect(decoded.handover.releaseGuessed).toBe(false);
  });

  it.each(pageSizes)("with pages of %i bytes, found by a bare scan, the page size worked out", (pageSize) => {
    const written = write({ ...everything(form, pageSize), handoff: "nothing" });
    const decoded = decodeWritten(written, { release: form.release });
    expect(faultsOf(decoded)).toEqual([]);
    expectAll(written, decoded);
    expect(decoded.handover.handoff.foundBy).toBe("scan");
  });

  it("with nothing but the root in it", () => {
    const written = write({ form, pageSize: 4096, handoff: "setup_data", scratch });
    const decoded = decodeWritten(written, { release: form.release });
    expect(faultsOf(decoded)).toEqual([]);
    expectAll(written, decoded);
  });

  it("with preserved blocks far apart: over a chunk of bitmaps and tables full of empty slots", () => {
    const stray = Array.from({ length: 300 }, (_, i) => ({ pfn: 2 ** 21 + i * 2 ** 15 + i, order: 0 }));
    const written = write({ form, pageSize: 4096, handoff: "setup_data", scratch, stray });
    const decoded = decodeWritten(written, { release: form.release });
    expect(faultsOf(decoded)).toEqual([]);
    expectAll(written, decoded);
  });
});

describe.each(developmentForms)("a handover of a development kernel, $label", (form) => {
  it.each(pageSizes.filter((size) => size !== 16384 || form.map !== "radix-early"))(
    "with pages of %i bytes",
    (pageSize) => {
      const written = write(everything(form, pageSize));
      const decoded = decodeWritten(written, { mode: "forensic", release: form.release });
      const others = decoded.findings.filter(
        ({ severity, code }) => severity !== "info" && code !== "compatible-mismatch",
      );
      // A development kernel's memfd handler is not the one that the nearest release has.
      expect(others.filter(({ code }) => code !== "file-unknown-handler")).toEqual([]);
      expectAll(written, decoded);
      const mismatched = decoded.findings
        .filter(({ code }) => code === "compatible-mismatch")
        .map(({ path }) => path);
      const expected = [
        ...(form.kho === "kho-v2" ? ["compatible"] : []),
        ...(/luo-v[234]/.test(form.label) ? ["luo.compatible"] : []),
      ];
      expect(mismatched).toEqual(expected);
      expect(
        decoded.findings.every(
          ({ code, consequence }) => code !== "compatible-mismatch" || consequence?.errno === "EINVAL",
        ),
      ).toBe(true);
      if (expected.length > 0)
        expect(() => decodeWritten(written, { release: form.release })).toThrow(
          expect.objectContaining({ code: "compatible-mismatch" }),
        );
    },
  );
});

describe.each(developmentForms)("a handover of a development kernel that nobody names, $label", (form) => {
  it("is read in strict mode: its own reader takes it, and a warning says that no release does", () => {
    const { metadata: _, ...plan } = everything(form, 4096);
    const written = write(plan);
    const decoded = decodeWritten(written);
    const unreleased = form.kho === "kho-v2" || /luo-v[234]/.test(form.label);
    expect(decoded.findings.some(({ code }) => code === "compatible-mismatch")).toBe(unreleased);
    expect(decoded.findings.filter(({ severity }) => severity === "error")).toEqual([]);
    expectAll(written, decoded);
  });
});

describe("trees of 16K pages with one level too few", () => {
  // Blocks of order 0 lose their marker bit in such a tree; the others come out.
  it.each(developmentForms.filter(({ map }) => map === "radix-early"))("are noticed: $label", (form) => {
    const stray = [
      { pfn: 2 ** 20, order: 3 },
      { pfn: 2 ** 21, order: 9 },
      { pfn: 2 ** 21 + 512, order: 9 },
    ];
    const written = write({
      form,
      pageSize: 16384,
      handoff: { cells: [2, 2] },
      scratch,
      stray,
      base: 0x2_4680_4000n,
    });
    const { handover, findings } = decodeWritten(written, { mode: "forensic" });
    const { runs } = handover.preserved!;
    const rows = Array.from({ length: runs.length }, (_, i) => [runs.order[i], runs.pfn[i], runs.count[i]]);
    expect(rows).toContainEqual([3, 2 ** 20, 1]);
    expect(rows).toContainEqual([9, 2 ** 21, 2]);
    expect(findings.map(({ code }) => code)).not.toContain("map-bad-node");
  });
});

describe("how the next kernel is told", () => {
  const base = { ...everything(formOf("7.3"), 65536), stray: [], cleared: [] };

  it.each([
    [[2, 2], 0x1_0000_0000n],
    [[2, 1], 0x1_0000_0000n],
    [[1, 1], 0x1000_0000n],
  ] as const)("by a device tree with cells %j", (cells, from) => {
    const reserveMem = [{ name: "trace", start: 0x700_0000n, size: 0x10000n }];
    const plan: Plan = {
      ...base,
      handoff: { cells: [...cells] },
      base: from,
      reserveMem,
      scratch: [{ pa: 0xf000_0000n, size: 0x100_0000n }],
      sessions: [{ name: "vm", files: [{ token: 1n, memfd: { size: 9n, folios: folios([1]) } }] }],
    };
    const written = write(plan);
    for (const options of [{}, { handoff: written.at("device-tree") }]) {
      const decoded = decodeWritten(written, options);
      expect(faultsOf(decoded)).toEqual([]);
      expectAll(written, decoded);
      if ("handoff" in options) expect(decoded.handover.handoff.foundBy).toBe("chosen");
    }
  });

  it("by a setup_data list, from any of its ends", () => {
    const written = write(everything(formOf("7.3"), 4096));
    for (const name of ["boot_params", "setup_data", "record"]) {
      const decoded = decodeWritten(written, { handoff: written.at(name) });
      expect(faultsOf(decoded)).toEqual([]);
      expectAll(written, decoded);
      expect(decoded.handover.handoff).toMatchObject({
        foundBy: "setup_data",
        recordPa: written.at("record"),
      });
    }
  });

  it("by the address of the root alone; pages of 4K, 16K and 64K are told apart by what the map keeps", () => {
    for (const pageSize of pageSizes)
      for (const form of [...releases].filter(({ label }) => label !== "6.17.9")) {
        const written = write({ ...everything(form, pageSize), handoff: "nothing" });
        const { handover } = decodeWritten(written, { fdt: written.at("root") });
        expect([form.label, handover.pageSize]).toEqual([form.label, pageSize]);
      }
  });

  it("with as many scratch areas as there are nodes, some of them empty", () => {
    const areas = Array.from({ length: 18 }, (_, i) => ({
      pa: BigInt(i) << 26n,
      size: i % 5 === 4 ? 0n : 0x200000n,
    }));
    const written = write({ ...base, scratch: areas, sessions: [], reserveMem: [], khoTest: [0] });
    const decoded = decodeWritten(written);
    expect(faultsOf(decoded)).toEqual([]);
    expect(decoded.handover.scratch).toEqual(areas);
  });
});

describe("a folio list of more than one chunk", () => {
  const perPage = 256;
  const perChunk = 511;

  it.each([
    ["exactly full, followed by an empty one", perChunk, 2],
    ["full, and one page in the next", perChunk + 1, 2],
    ["one page short of full", perChunk - 1, 1],
  ])("%s", (_, pages, chunks) => {
    const file = {
      token: 1n,
      memfd: { size: BigInt(pages * perPage) * 4096n, folios: folios(new Array(pages * perPage).fill(0)) },
    };
    const written = write({
      form: formOf("7.3"),
      pageSize: 4096,
      handoff: "setup_data",
      scratch,
      sessions: [{ name: "big", files: [file] }],
    });
    const decoded = decodeWritten(written);
    expect(faultsOf(decoded)).toEqual([]);
    expect(written.names().filter((name) => name.includes(".chunk[")).length).toBe(chunks);
    const { folios: runs, nrFolios } = decoded.handover.luo!.sessions[0]!.files[0]!.memfd!;
    expect(nrFolios).toBe(BigInt(pages * perPage));
    expect(runs.count.reduce((sum, count) => sum + count, 0)).toBe(pages * perPage);
    expect([runs.index[0], runs.pfn[0]]).toEqual([0, written.folios[0]![0]![0]]);
  });
});

describe("folios of 1 GiB and more", () => {
  it("order 18 survives every release from 7.1 on; up to 7.0 the page allocator has none", () => {
    for (const form of releases.filter(({ memfd }) => memfd)) {
      const restored = !["6.19", "7.0"].includes(form.release);
      const files = [{ token: 1n, memfd: { size: 2n << 30n, folios: folios([18, 18]) } }];
      const written = write({
        form,
        pageSize: 4096,
        handoff: "setup_data",
        scratch,
        sessions: [{ name: "huge", files }],
      });
      const decoded = decodeWritten(written);
      expect(decoded.findings.map(({ code }) => code)).toEqual(restored ? [] : ["order-too-large"]);
      expectAll(written, decoded);
    }
  });
  it("order 20 survives from 7.2 on, and is an error before", () => {
    const written = (label: string) =>
      write({
        form: formOf(label),
        pageSize: 4096,
        handoff: "setup_data",
        scratch,
        stray: [{ pfn: 2 ** 22, order: 20 }],
      });
    expect(faultsOf(decodeWritten(written("7.2"), { release: "7.2" }))).toEqual([]);
    for (const label of ["6.18", "7.1"])
      expect(
        decodeWritten(written(label)).findings.find(({ code }) => code === "order-too-large"),
      ).toMatchObject({
        severity: "error",
        consequence: { outcome: "misread", phase: "boot" },
      });
  });
});

describe("systemd's session", () => {
  const decoded = (mapping: unknown) =>
    decodeWritten(
      write({
        form: formOf("7.3"),
        pageSize: 4096,
        handoff: "setup_data",
        scratch,
        sessions: [systemdSession(mapping)],
      }),
    );

  it("released form", () => {
    const { handover, findings } = decoded(systemdMapping);
    expect(faultsOf({ findings })).toEqual([]);
    expect(handover.luo?.sessions[0]?.systemd).toEqual({
      version: 1,
      kexecsCount: 3,
      units: [
        {
          name: "vm@1.service",
          fdstore: [
            { type: "fd", name: "guest-memory", token: 1n },
            { type: "luo_session", name: "state", sessionName: "vm-1" },
          ],
        },
        { name: "empty.service", fdstore: [] },
      ],
    });
  });
  it("form before the release", () => {
    expect(decoded(earlySystemdMapping).handover.luo?.sessions[0]?.systemd).toEqual({
      version: 0,
      units: [
        {
          name: "/system.slice/vm@1.service",
          fdstore: [
            { type: "fd", name: "guest-memory", token: 2n },
            { type: "luo_session", name: "state", sessionName: "vm-1" },
          ],
        },
      ],
    });
  });
  it("is said to be unreadable where it is no mapping, which is no fault", () => {
    for (const mapping of [[1, 2], "text", 7, null, { version: "1" }]) {
      const { handover, findings } = decoded(mapping);
      expect(handover.luo?.sessions[0]?.systemd).toBeUndefined();
      expect(findings).toContainEqual(expect.objectContaining({ severity: "info", code: "systemd-mapping" }));
      expect(faultsOf({ findings })).toEqual([]);
    }
  });
  it("tokens beyond 2^53 are exact", () => {
    const text =
      '{"version":1,"units":{"a.service":{"fdstore":[{"type":"fd","name":"x","token":18446744073709551615}]}}}';
    const session = systemdSession({});
    session.files[0]!.memfd = {
      size: BigInt(text.length),
      folios: [{ index: 0, order: 0, content: new TextEncoder().encode(text) }],
    };
    const { handover } = decodeWritten(
      write({ form: formOf("7.3"), pageSize: 4096, handoff: "setup_data", scratch, sessions: [session] }),
    );
    expect(handover.luo?.sessions[0]?.systemd?.units[0]?.fdstore[0]?.token).toBe(2n ** 64n - 1n);
  });
});

describe("the content of a file", () => {
  it("is its folios' bytes up to its size, and zeros where there is no folio or one that was never filled", () => {
    const bytes = Uint8Array.from({ length: 8192 }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
    const plan = [
      { index: 0, order: 1, content: bytes },
      { index: 2, order: 0, content: bytes.subarray(0, 4096), flags: 1 },
      { index: 3, order: 0, hole: true },
      { index: 6, order: 0, content: bytes.subarray(0, 4096) },
    ];
    const size = 6n * 4096n + 100n;
    const written = write({
      form: formOf("7.3"),
      pageSize: 4096,
      handoff: "setup_data",
      scratch,
      sessions: [{ name: "vm", files: [{ token: 1n, memfd: { size, folios: plan } }] }],
    });
    const image = openImage(written.core());
    const memfd = decodeWritten(written).handover.luo!.sessions[0]!.files[0]!.memfd!;
    const whole = new Uint8Array(Number(size)).fill(0xee);
    for (const piece of memfdContent(image.memory, memfd, 4096))
      if (piece.kind === "data") whole.set(piece.bytes, piece.offset);
      else whole.fill(0, piece.offset, piece.offset + piece.length);
    const wanted = new Uint8Array(Number(size));
    wanted.set(bytes);
    wanted.set(bytes.subarray(0, 100), 6 * 4096);
    expect(whole).toEqual(wanted);
  });
});
