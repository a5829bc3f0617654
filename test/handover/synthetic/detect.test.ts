import { describe, expect, it } from "vitest";
import { decodeWritten, expectAll, faultsOf } from "./compare.js";
import { attempt, smallPlan } from "./fault.js";
import { scratch } from "./plans.js";
import { formOf, releases } from "./releases.js";
import { u64 } from "./trees.js";
import { type Plan, write } from "./writer.js";

const bare = (label: string, more: Partial<Plan> = {}): Plan => ({
  form: formOf(label),
  pageSize: 4096,
  handoff: "setup_data",
  scratch,
  ...more,
});

describe("which of the kernels with kho-v1", () => {
  it("bitmaps on no page start: 512 bytes", () => {
    // A single page with a bitmap that is the third object of its slab.
    const written = write(
      bare("6.17.8", { stray: [0, 1, 2].map((i) => ({ pfn: 2 ** 22 + i * 4096, order: 0 })) }),
    );
    const { handover, findings } = decodeWritten(written);
    expect(handover.preserved?.kind).toBe("bitmap-512");
    expect(handover.release).toBe("6.17");
    expect(faultsOf({ findings })).toEqual([]);
  });

  it("nothing decides: read as pages, which is said; the caller can choose", () => {
    // One bitmap, on a page start, for memory from 0 on.
    const plan = bare("6.17.8", { base: 0x100_0000n, scratch: [{ pa: 0x4000_0000n, size: 0x100_0000n }] });
    const written = write(plan, { preserved: () => [{ pfn: 5, order: 0 }] });
    const page = decodeWritten(written);
    expect(page.handover.preserved?.kind).toBe("bitmap-page");
    expect(page.findings).toContainEqual(
      expect.objectContaining({ severity: "info", code: "bitmap-size-guessed" }),
    );
    const chosen = decodeWritten(written, { release: "6.17.8" });
    expect(chosen.handover.preserved?.kind).toBe("bitmap-512");
    expect([...chosen.handover.preserved!.runs.pfn]).toEqual([5]);
    expect(chosen.findings.map(({ code }) => code)).not.toContain("bitmap-size-guessed");
  });

  it("a vmalloc area of the test module: 6.18", () => {
    const { handover, findings } = decodeWritten(write(bare("6.18", { khoTest: [0, 1, 2] })));
    expect(handover.release).toBe("6.18");
    expect(findings.map(({ code }) => code)).not.toContain("bitmap-size-guessed");
  });

  it.each(["6.17.9", "6.18"])("a list of two folios, which is as long as a descriptor: %s", (label) => {
    const written = write(bare(label, { khoTest: [1, 0] }));
    for (const options of [{}, { release: formOf(label).release }]) {
      const decoded = decodeWritten(written, options);
      expect(faultsOf(decoded)).toEqual([]);
      expectAll(written, decoded);
    }
  });

  it("a list of one folio in a vmalloc area", () => {
    const written = write(bare("6.18", { khoTest: [3] }));
    expectAll(written, decodeWritten(written));
  });

  it("a root that was edited, without live update: 6.19", () => {
    const form = { ...formOf("6.19") };
    delete form.luo;
    const { handover, findings } = decodeWritten(
      write(bare("6.19", { form, reserveMem: [{ name: "trace", start: 0x12000000n, size: 0x1000n }] })),
    );
    expect(handover.release).toBe("6.19");
    expect(faultsOf({ findings })).toEqual([]);
  });
});

describe("the release that the metadata names", () => {
  it.each([
    ["7.2.13", "7.2"],
    ["7.3.4-200.fc45.x86_64", "7.3"],
    // Of no row, or of a row with another version of the root: the version decides.
    ["8.0.0", "7.3"],
    ["6.18.1", "7.3"],
    ["", "7.3"],
  ])("%s", (name, row) => {
    const { handover, findings } = decodeWritten(
      write(bare("7.3", { metadata: { release: name, count: 1 } })),
    );
    expect(handover.release).toBe(row);
    expect(handover.releaseGuessed).toBe(true);
    expect(faultsOf({ findings })).toEqual([]);
  });
});

it("the metadata names the release whatever size is recorded of it: readers take a page at most", () => {
  const written = write(bare("7.2", { metadata: { release: "7.2.13", count: 1 } }), {
    root: (tree) => {
      const node = tree.children.find(({ name }) => name === "kexec-metadata")!;
      const size = node.properties.find(([name]) => name === "blob-size")!;
      size[1] = u64(1n << 40n);
    },
  });
  const { handover } = decodeWritten(written);
  expect(handover.release).toBe("7.2");
  expect(handover.releaseEvidence).toContain("kexec-metadata");
});

/** [writer, reader, takes it]: what happens when a kernel of another release boots. */
describe("a kernel of another release", () => {
  const labels = releases.map(({ label }) => label);
  /** With live update in it, as far as the writer has it. */
  const outcome = (from: string, to: string): string => {
    const [a, b] = [formOf(from), formOf(to)];
    if (a.kho !== b.kho) return "ignored";
    if (a.map !== b.map) return "misread";
    if (from === "6.19" && to === "7.0") return "panic";
    return a.luo && !b.luo ? "dropped" : "works";
  };
  it.each(labels.flatMap((from) => labels.map((to) => [from, to] as const)))("%s to %s", (from, to) => {
    const written = write({ ...smallPlan(formOf(from)), khoTest: [] });
    const { findings, error } = attempt(written, { mode: "forensic", release: formOf(to).release });
    expect(error).toBeUndefined();
    const errors = findings.filter(({ severity }) => severity === "error");
    const wanted = outcome(from, to);
    if (wanted === "works") expect(errors).toEqual([]);
    else if (wanted === "ignored")
      expect(errors[0]?.consequence).toMatchObject({ outcome: "ignored", all: true, errno: "EINVAL" });
    else if (wanted === "panic")
      expect(errors[0]?.consequence).toMatchObject({ outcome: "panic", all: true, errno: "ENOENT" });
    else if (wanted === "dropped")
      expect(errors[0]).toMatchObject({ path: "luo.compatible", consequence: { outcome: "ignored" } });
    // A bitmap that is too small to tell is misread and nobody can see it.
    else if (formOf(to).map === "page")
      expect(errors.map(({ consequence }) => consequence?.outcome)).toContain("misread");
    const strict = attempt(written, { release: formOf(to).release });
    expect(strict.error !== undefined).toBe(wanted === "ignored" || wanted === "panic");
  });
});
