import { describe, expect, it } from "vitest";
import { decodeWritten, faultsOf } from "./compare.js";
import {
  attempt,
  broken,
  expectFault,
  type Fault,
  live,
  misread,
  notCanonical,
  nowhere,
  retrieveFails,
  retrieveOops,
} from "./fault.js";
import { folios, scratch } from "./plans.js";
import { formOf } from "./releases.js";
import { type MemfdPlan, type Plan, type Written, write } from "./writer.js";

const v2 = ["7.1", "7.2", "7.3"] as const;
const memfd = "luo.sessions[0].files[0].memfd";
const page = 4096n;

/** A session with this file, and one behind it that is as it should be. */
const file = (plan: MemfdPlan): Partial<Plan> => ({
  sessions: [
    {
      name: "vm",
      files: [
        { token: 1n, memfd: plan },
        { token: 2n, memfd: { size: page, folios: folios([0]) } },
      ],
    },
  ],
});
const four = file({ size: 4n * page, folios: folios([0, 0, 0, 0]) });

/** The header's `nr_folios`, and the descriptor behind it. */
const countAt = ({ plan, at }: Written): bigint =>
  at("memfd[0][0]") + (plan.form.memfd === "memfd-v2" ? 24n : 16n);
const descriptorAt = (written: Written): bigint => countAt(written) + 8n;
const entryAt = ({ at }: Written, i: number): bigint => at("memfd[0][0].array[0]") + BigInt(16 * i);
const early =
  (does: Fault["does"]): Fault["does"] =>
  (form) =>
    form.memfd === "memfd-v1" ? misread("retrieve") : typeof does === "function" ? does(form) : does;

const faults: Record<string, Fault> = {
  // The structure.
  "data 0": {
    forms: live,
    damage: ({ ram, at }) => ram.u64(at("file[0][0]") + 48n, 0n),
    code: "memfd-bad-header",
    path: memfd,
    does: ({ memfd: version }) => retrieveFails(version === "memfd-v1" ? "EINVAL" : "EOPNOTSUPP"),
    strict: "reads",
  },
  "data outside RAM": {
    forms: live,
    damage: ({ ram, at }) => ram.u64(at("file[0][0]") + 48n, nowhere),
    code: "memory-absent",
    path: memfd,
    pa: () => nowhere,
    does: retrieveOops,
    strict: "reads",
  },
  "data not canonical": {
    forms: live,
    damage: ({ ram, at }) => ram.u64(at("file[0][0]") + 48n, notCanonical),
    code: "memory-absent",
    path: memfd,
    pa: () => notCanonical,
    does: retrieveOops,
    strict: "reads",
  },
  "unknown seals": {
    forms: v2,
    damage: ({ ram, at }) => ram.u32(at("memfd[0][0]") + 16n, 0x40),
    code: "memfd-bad-seals",
    path: `${memfd}.seals`,
    does: retrieveFails("EOPNOTSUPP"),
    strict: "reads",
  },
  flags: {
    forms: v2,
    damage: ({ ram, at }) => ram.u32(at("memfd[0][0]") + 20n, 1),
    code: "memfd-bad-header",
    severity: "info",
    path: `${memfd}.flags`,
    does: null,
    strict: "reads",
  },
  "negative position": {
    forms: live,
    damage: ({ ram, at }) => ram.u64(at("memfd[0][0]"), 2n ** 63n),
    code: "memfd-bad-position",
    severity: "warning",
    path: `${memfd}.pos`,
    does: misread("retrieve"),
    strict: "reads",
  },
  "negative size": {
    forms: live,
    damage: ({ ram, at }) => ram.u64(at("memfd[0][0]") + 8n, 2n ** 63n),
    code: "memfd-bad-size",
    path: `${memfd}.size`,
    does: misread("retrieve"),
    strict: "reads",
  },
  "no folios": {
    forms: live,
    plan: file({ size: page, folios: [] }),
    code: "memfd-bad-size",
    severity: "warning",
    path: `${memfd}.nr_folios`,
    does: misread("retrieve"),
    strict: "reads",
  },
  "two files with one structure": {
    forms: live,
    damage: ({ ram, at }) => ram.u64(at("file[0][1]") + 48n, at("memfd[0][0]")),
    code: "structure-reused",
    path: "luo.sessions[0].files[1].memfd",
    pa: ({ at }) => at("memfd[0][0]"),
    does: misread("retrieve"),
    strict: "reads",
  },

  // The area of the folio list.
  "first 0": {
    forms: live,
    plan: four,
    damage: (w) => w.ram.u64(descriptorAt(w), 0n),
    code: "vmalloc-bad-count",
    path: `${memfd}.folios`,
    does: retrieveFails("EINVAL"),
    strict: "reads",
  },
  "chunk outside RAM": {
    forms: live,
    plan: four,
    damage: (w) => w.ram.u64(descriptorAt(w), nowhere),
    code: "memory-absent",
    path: `${memfd}.folios.chunks[0]`,
    pa: () => nowhere,
    does: retrieveOops,
    strict: "reads",
  },
  "chunk not canonical": {
    forms: live,
    plan: four,
    damage: (w) => w.ram.u64(descriptorAt(w), notCanonical),
    code: "memory-absent",
    path: `${memfd}.folios.chunks[0]`,
    does: retrieveOops,
    strict: "reads",
  },
  "next chunk outside RAM": {
    forms: live,
    plan: four,
    damage: ({ ram, at }) => ram.u64(at("memfd[0][0].chunk[0]"), nowhere),
    code: "memory-absent",
    path: `${memfd}.folios.chunks[1]`,
    does: retrieveOops,
    strict: "reads",
  },
  "chunks in a circle": {
    forms: live,
    plan: four,
    damage: ({ ram, at }) => ram.u64(at("memfd[0][0].chunk[0]"), at("memfd[0][0].chunk[0]")),
    code: "vmalloc-bad-chunk",
    path: `${memfd}.folios.chunks[1]`,
    does: retrieveFails("EINVAL"),
    strict: "reads",
  },
  "fewer pages than listed": {
    forms: live,
    plan: file({ size: 300n * page, folios: folios(new Array(300).fill(0)) }),
    damage: (w) => w.ram.u32(descriptorAt(w) + 8n, 1),
    code: "vmalloc-bad-count",
    path: `${memfd}.folios.chunks[0]`,
    does: retrieveFails("EINVAL"),
    strict: "reads",
  },
  "more pages than listed": {
    forms: live,
    plan: four,
    damage: (w) => w.ram.u32(descriptorAt(w) + 8n, 2),
    code: "vmalloc-bad-count",
    path: `${memfd}.folios`,
    does: retrieveFails("EINVAL"),
    strict: "reads",
  },
  "order of the list too large": {
    forms: live,
    plan: four,
    damage: (w) => w.ram.u16(descriptorAt(w) + 14n, 40),
    code: "vmalloc-bad-count",
    path: `${memfd}.folios`,
    does: retrieveFails("EINVAL"),
    strict: "reads",
  },
  "order of the list wrong": {
    forms: live,
    plan: four,
    damage: (w) => w.ram.u16(descriptorAt(w) + 14n, 1),
    code: "vmalloc-bad-count",
    path: /folios/,
    does: retrieveFails("EINVAL"),
    strict: "reads",
  },
  "unknown flags of the list": {
    forms: live,
    plan: four,
    damage: (w) => {
      w.ram.u16(descriptorAt(w) + 12n, 0xfff1);
      w.ram.u64(w.at("memfd[0][0].chunk[0]") + 8n, w.at("memfd[0][0].array[0]") + 0x123n);
    },
    code: "vmalloc-bad-chunk",
    severity: "warning",
    path: `${memfd}.folios.chunks[0]`,
    does: null,
    strict: "reads",
  },
  "page of the list not RAM": {
    forms: live,
    plan: four,
    damage: ({ ram, at }) => ram.u64(at("memfd[0][0].chunk[0]") + 8n, nowhere),
    code: "memory-absent",
    path: `${memfd}.folios`,
    pa: () => nowhere,
    does: retrieveFails("EINVAL"),
    strict: "reads",
  },
  "page of the list not preserved": {
    forms: live,
    plan: four,
    hooks: {
      preserved: (blocks, at) =>
        blocks.filter(({ pfn }) => pfn !== Number(at("memfd[0][0].array[0]") >> 12n)),
    },
    code: "page-not-preserved",
    path: `${memfd}.folios`,
    does: retrieveFails("EINVAL"),
    strict: "reads",
  },
  "chunk not preserved": {
    forms: live,
    plan: four,
    hooks: {
      preserved: (blocks, at) =>
        blocks.filter(({ pfn }) => pfn !== Number(at("memfd[0][0].chunk[0]") >> 12n)),
    },
    code: "page-not-preserved",
    path: `${memfd}.folios.chunks[0]`,
    does: retrieveFails("EINVAL"),
    strict: "reads",
  },
  "page of the list in a block of another order": {
    forms: live,
    plan: file({ size: 4n * page, folios: folios([0, 0, 0, 0]), listOrder: 1 }),
    hooks: {
      preserved: (blocks, at) =>
        blocks.flatMap((block) =>
          block.pfn === Number(at("memfd[0][0].array[0]") >> 12n)
            ? [0, 1].map((i) => ({ pfn: block.pfn + i, order: 0 }))
            : [block],
        ),
    },
    code: "order-mismatch",
    path: `${memfd}.folios`,
    does: retrieveFails("EINVAL"),
    strict: "reads",
  },
  "structure not preserved": {
    forms: live,
    plan: four,
    hooks: {
      preserved: (blocks, at) => blocks.filter(({ pfn }) => pfn !== Number(at("memfd[0][0]") >> 12n)),
    },
    code: "page-not-preserved",
    path: memfd,
    does: misread("retrieve"),
    strict: "reads",
  },
  "more folios than the list has room for": {
    forms: live,
    plan: four,
    damage: (w) => w.ram.u64(countAt(w), 257n),
    code: "folio-count",
    path: `${memfd}.nr_folios`,
    does: retrieveOops,
    strict: "reads",
  },

  // Folios.
  "first folio not preserved": {
    forms: live,
    plan: four,
    damage: (w) => w.ram.u32(entryAt(w, 0), 0x12345),
    code: "folio-not-preserved",
    path: `${memfd}.folios[0]`,
    pa: () => 0x12345000n,
    does: retrieveFails("EIO"),
    strict: "reads",
  },
  "third folio not preserved": {
    forms: live,
    plan: four,
    damage: (w) => w.ram.u32(entryAt(w, 2), 0x12345),
    code: "folio-not-preserved",
    path: `${memfd}.folios[2]`,
    pa: () => 0x12345000n,
    does: early(retrieveFails("EIO")),
    strict: "reads",
  },
  "folio inside of a block": {
    forms: live,
    plan: file({ size: 4n * page, folios: folios([0, 1, 0]) }),
    damage: (w) => w.ram.u32(entryAt(w, 1), w.folios[0]![0]![1]! + 1),
    code: "folio-not-preserved",
    path: `${memfd}.folios[1]`,
    does: early(retrieveFails("EIO")),
    strict: "reads",
  },
  "folio of an earlier entry": {
    forms: live,
    plan: four,
    damage: (w) => w.ram.u32(entryAt(w, 2), w.folios[0]![0]![0]!),
    code: "folio-shared",
    path: `${memfd}.folios`,
    pa: (w) => BigInt(w.folios[0]![0]![0]!) << 12n,
    does: early(retrieveFails("EIO")),
    strict: "reads",
  },
  "folio of another file": {
    forms: v2,
    plan: four,
    damage: (w) => w.ram.u32(w.at("memfd[0][1].array[0]"), w.folios[0]![0]![3]!),
    code: "folio-shared",
    path: "luo.sessions[0].files[1].memfd.folios",
    does: retrieveFails("EIO"),
    strict: "reads",
  },
  "folio that is a structure": {
    forms: v2,
    plan: four,
    damage: (w) => w.ram.u32(entryAt(w, 3), Number(w.at("root") >> 12n)),
    code: "folio-shared",
    path: /root|folios/,
    does: retrieveFails("EIO"),
    strict: "reads",
  },
  "index twice": {
    forms: live,
    plan: four,
    damage: (w) => w.ram.u64(entryAt(w, 2) + 8n, 1n),
    code: "folio-bad-index",
    path: `${memfd}.folios`,
    does: retrieveFails("EEXIST"),
    strict: "reads",
  },
  "index inside of an earlier folio": {
    forms: live,
    plan: file({ size: 8n * page, folios: folios([2, 0, 0]) }),
    damage: (w) => w.ram.u64(entryAt(w, 1) + 8n, 2n),
    code: "folio-bad-index",
    path: `${memfd}.folios`,
    does: retrieveFails("EEXIST"),
    strict: "reads",
  },
  "entries in another order": {
    forms: live,
    plan: four,
    damage: (w) => {
      w.ram.u64(entryAt(w, 1) + 8n, 3n);
      w.ram.u64(entryAt(w, 3) + 8n, 1n);
    },
    code: "folio-bad-index",
    severity: "warning",
    path: /folios\[\d\]$/,
    does: null,
    strict: "reads",
  },
  "index beyond the size": {
    forms: live,
    plan: four,
    damage: (w) => w.ram.u64(entryAt(w, 3) + 8n, 9n),
    code: "folio-bad-index",
    severity: "info",
    path: `${memfd}.folios[3]`,
    does: null,
    strict: "reads",
  },
  "index that the folio is not aligned to": {
    forms: live,
    plan: file({ size: 9n * page, folios: folios([2, 0, 0]) }),
    damage: (w) => {
      w.ram.u64(entryAt(w, 0) + 8n, 1n);
      for (const i of [1, 2]) w.ram.u64(entryAt(w, i) + 8n, BigInt(i + 5));
    },
    code: "folio-bad-index",
    path: `${memfd}.folios[0]`,
    does: misread("retrieve"),
    strict: "reads",
  },
};

describe.each(Object.entries(faults))("%s", (_, fault) => {
  it.each(fault.forms.map((label) => [label]))("written by %s", (label) => expectFault(fault, label));
});

describe("what kernels accept is no fault", () => {
  const accepted: Record<string, Pick<Fault, "forms" | "plan" | "damage">> = {
    "a position beyond the size": {
      forms: live,
      damage: ({ ram, at }) => ram.u64(at("memfd[0][0]"), 2n ** 63n - 1n),
    },
    "a size below its folios": {
      forms: live,
      plan: four,
      damage: ({ ram, at }) => ram.u64(at("memfd[0][0]") + 8n, page),
    },
    "a size of 0 with folios": {
      forms: live,
      plan: four,
      damage: ({ ram, at }) => ram.u64(at("memfd[0][0]") + 8n, 0n),
    },
    "a size above its folios": {
      forms: live,
      plan: four,
      damage: ({ ram, at }) => ram.u64(at("memfd[0][0]") + 8n, 100n * page),
    },
    "flags of the list that nobody knows": {
      forms: live,
      plan: four,
      damage: (w) => w.ram.u16(descriptorAt(w) + 12n, 0xfff1),
    },
    "entries that were never written": {
      forms: live,
      plan: four,
      damage: (w) => w.ram.u64(countAt(w), 256n),
    },
    "a folio in blocks of a smaller order": {
      forms: live,
      plan: file({ size: 4n * page, folios: folios([2]) }),
    },
  };
  describe.each(Object.entries(accepted))("%s", (name, rest) => {
    it.each(rest.forms.map((label) => [label]))("read by %s", (label) => {
      const split: Fault["hooks"] = {
        preserved: (blocks) =>
          blocks.flatMap((block) =>
            block.order === 2 && block.pfn >= 2 ** 20
              ? [0, 1, 2, 3].map((i) => ({ pfn: block.pfn + i, order: 0 }))
              : [block],
          ),
      };
      const hooks = name.includes("smaller order") ? split : {};
      // The test module has folios of order 2 of its own.
      const plan = { ...rest.plan, khoTest: [0, 0, 0] };
      const written = broken(
        { ...rest, plan, hooks, code: "", path: "", does: null, strict: "reads" },
        label,
      );
      const result = attempt(written, { release: label });
      expect(result.error).toBeUndefined();
      expect(faultsOf(result)).toEqual([]);
    });
  });
});

it("a damaged list of many folios gives one finding a kind, and does not hide the rest", () => {
  const list = folios(new Array(1000).fill(0));
  const written = write(
    {
      form: formOf("7.3"),
      pageSize: 4096,
      handoff: "setup_data",
      scratch,
      sessions: [{ name: "vm", files: [{ token: 1n, memfd: { size: 1000n * page, folios: list } }] }],
    },
    { preserved: (blocks) => blocks.slice(0, 8) },
  );
  const { findings } = decodeWritten(written);
  expect(findings.filter(({ code }) => code === "folio-not-preserved").length).toBe(1);
});
