import { describe, expect, it } from "vitest";
import { decodeWritten, expectAll, faultsOf } from "./compare.js";
import {
  attempt,
  broken,
  expectFault,
  type Fault,
  live,
  luoV1,
  luoV5,
  misread,
  notCanonical,
  nowhere,
  openFails,
  openOops,
  smallPlan,
  stops,
} from "./fault.js";
import { scratch } from "./plans.js";
import { formOf } from "./releases.js";
import { join, type Node, text, u64 } from "./trees.js";
import { type SessionPlan, type Written, write } from "./writer.js";

const withFlb = ["7.0", "7.1"] as const;
const utf8 = new TextEncoder();

function set(node: Node, name: string, value?: Uint8Array): void {
  const at = node.properties.findIndex(([known]) => known === name);
  if (value === undefined) node.properties.splice(at, 1);
  else node.properties[at] = [name, value];
}
const inRoot = (name: string, value?: Uint8Array) => ({ luo: (tree: Node) => set(tree, name, value) });
const inNode = (node: string, name: string, value?: Uint8Array) => ({
  luo: (tree: Node) => set(tree.children.find((child) => child.name === node)!, name, value),
});
const without = (node: string) => ({
  luo: (tree: Node) => {
    tree.children = tree.children.filter((child) => child.name !== node);
  },
});
const subtreeAddress =
  (pa: bigint) =>
  ({ label }: { label: string }) => ({
    root: (tree: Node) =>
      set(
        tree.children.find(({ name }) => name === "LUO")!,
        formOf(label).kho === "kho-v1" ? "fdt" : "preserved-data",
        u64(pa),
      ),
  });
const sessionFiles =
  (s: number, pa: bigint | undefined, count?: bigint) =>
  ({ ram, at }: Written) => {
    if (pa !== undefined) ram.u64(at(`session[${s}]`) + 64n, pa);
    if (count !== undefined) ram.u64(at(`session[${s}]`) + 72n, count);
  };
const twoBlocks = { perBlock: 1 };

const faults: Record<string, Fault> = {
  "subtree at address 0": {
    forms: live,
    hooks: subtreeAddress(0n),
    code: "bad-address",
    path: "subtrees.LUO",
    does: stops("EINVAL"),
    strict: "throws",
  },

  // The root.
  "root structure of 31 bytes": {
    forms: luoV5,
    hooks: { root: (tree) => set(tree.children.find(({ name }) => name === "LUO")!, "blob-size", u64(31n)) },
    code: "blob-size-mismatch",
    path: "luo",
    pa: ({ at }) => at("luo"),
    does: stops("EINVAL"),
    strict: "throws",
  },
  "tree of another version": {
    forms: luoV1,
    hooks: inRoot("compatible", text("luo-v9")),
    code: "compatible-unknown",
    path: "luo.compatible",
    does: stops("EINVAL"),
    strict: "throws",
  },
  "structure of another version": {
    forms: luoV5,
    damage: ({ ram, at }) => ram.write(at("luo"), utf8.encode("luo-v6")),
    code: "compatible-unknown",
    path: "luo.compatible",
    does: stops("EINVAL"),
    strict: "throws",
  },
  "structure of a development version": {
    forms: luoV5,
    damage: ({ ram, at }) => ram.write(at("luo"), utf8.encode("luo-v4")),
    code: "compatible-mismatch",
    path: "luo.compatible",
    does: stops("EINVAL"),
    strict: "throws",
  },
  "tree without a version": {
    forms: luoV1,
    hooks: inRoot("compatible"),
    code: "property-missing",
    path: "luo.compatible",
    does: stops("EINVAL"),
    strict: "throws",
  },
  "no liveupdate-number": {
    forms: luoV1,
    hooks: inRoot("liveupdate-number"),
    code: "property-missing",
    path: "luo.liveupdate-number",
    does: stops("EINVAL"),
    strict: "throws",
  },
  "liveupdate-number of 4 bytes": {
    forms: luoV1,
    hooks: inRoot("liveupdate-number", new Uint8Array(4)),
    code: "property-bad-length",
    path: "luo.liveupdate-number",
    does: stops("EINVAL"),
    strict: "throws",
  },
  "no luo-session": {
    forms: luoV1,
    hooks: without("luo-session"),
    code: "property-missing",
    path: "luo.luo-session",
    does: stops("EINVAL"),
    strict: "throws",
  },
  "luo-session of another version": {
    forms: luoV1,
    hooks: inNode("luo-session", "compatible", text("luo-session-v1")),
    code: "compatible-mismatch",
    path: "luo.luo-session",
    does: stops("EINVAL"),
    strict: "throws",
  },
  "luo-session without its address": {
    forms: luoV1,
    hooks: inNode("luo-session", "luo-session-header"),
    code: "property-missing",
    path: "luo.luo-session.luo-session-header",
    does: stops("EINVAL"),
    strict: "throws",
  },
  "luo-session with an address of 4 bytes": {
    forms: luoV1,
    hooks: inNode("luo-session", "luo-session-header", new Uint8Array(4)),
    code: "property-bad-length",
    path: "luo.luo-session.luo-session-header",
    does: stops("EINVAL"),
    strict: "throws",
  },
  "no luo-flb": {
    forms: withFlb,
    hooks: without("luo-flb"),
    code: "flb-missing",
    path: "luo.luo-flb",
    does: stops("ENOENT"),
    strict: "throws",
  },
  "6.19's tree read by 7.0": {
    forms: ["6.19"],
    reader: "7.0",
    code: "flb-missing",
    path: "luo.luo-flb",
    does: stops("ENOENT"),
    strict: "throws",
  },
  "luo-flb of another version": {
    forms: withFlb,
    hooks: inNode("luo-flb", "compatible", text("luo-flb-v2")),
    code: "compatible-mismatch",
    path: "luo.luo-flb",
    does: stops("EINVAL"),
    strict: "throws",
  },
  "luo-flb without its address": {
    forms: withFlb,
    hooks: inNode("luo-flb", "luo-flb-header"),
    code: "property-missing",
    path: "luo.luo-flb.luo-flb-header",
    does: stops("EINVAL"),
    strict: "throws",
  },
  "luo-flb with an address of 4 bytes": {
    forms: withFlb,
    hooks: inNode("luo-flb", "luo-flb-header", new Uint8Array(4)),
    code: "property-bad-length",
    path: "luo.luo-flb.luo-flb-header",
    does: stops("EINVAL"),
    strict: "throws",
  },

  // Where sessions are.
  "session area at 0": {
    forms: luoV1,
    hooks: inNode("luo-session", "luo-session-header", u64(0n)),
    code: "bad-address",
    path: "luo.sessions",
    does: openOops,
    strict: "throws",
  },
  "session area outside RAM": {
    forms: luoV1,
    hooks: inNode("luo-session", "luo-session-header", u64(nowhere)),
    code: "memory-absent",
    path: "luo.sessions",
    pa: () => nowhere,
    does: openOops,
    strict: "throws",
  },
  "session list outside RAM": {
    forms: luoV5,
    damage: ({ ram, at }) => ram.u64(at("luo") + 16n, nowhere),
    code: "memory-absent",
    path: "luo.sessions.blocks[0]",
    pa: () => nowhere,
    does: stops(),
    strict: "throws",
  },
  "next session block outside RAM": {
    forms: luoV5,
    damage: ({ ram, at }) => ram.u64(at("sessions.block[0]"), nowhere),
    code: "memory-absent",
    path: "luo.sessions.blocks[1]",
    pa: () => nowhere,
    does: stops(),
    strict: "throws",
  },
  "next session block not canonical": {
    forms: luoV5,
    damage: ({ ram, at }) => ram.u64(at("sessions.block[0]"), notCanonical),
    code: "memory-absent",
    path: "luo.sessions.blocks[1]",
    pa: () => notCanonical,
    does: stops(),
    strict: "throws",
  },
  "next session block is none": {
    forms: luoV5,
    damage: ({ ram, at }) => ram.u64(at("sessions.block[0]"), at("files[0].block[0]")),
    code: "structure-reused",
    path: "luo.sessions.blocks[1]",
    // Records of files are taken for sessions, and the address of their files is text.
    does: misread("boot"),
    strict: "throws",
  },
  "session list in a circle": {
    forms: luoV5,
    plan: twoBlocks,
    damage: ({ ram, at }) => ram.u64(at("sessions.block[1]"), at("sessions.block[0]")),
    code: "block-list-cycle",
    path: "luo.sessions.blocks[2]",
    pa: ({ at }) => at("sessions.block[0]"),
    does: stops("EINVAL"),
    strict: "throws",
  },
  "empty session block": {
    forms: luoV5,
    damage: ({ ram, at }) => ram.u64(at("sessions.block[0]") + 8n, 0n),
    code: "block-bad-count",
    path: "luo.sessions.blocks[0]",
    pa: ({ at }) => at("sessions.block[0]") + 8n,
    does: stops("EINVAL"),
    strict: "throws",
  },
  "session block with more than fit": {
    forms: luoV5,
    damage: ({ ram, at }) => ram.u64(at("sessions.block[0]") + 8n, 52n),
    code: "block-bad-count",
    path: "luo.sessions.blocks[0]",
    does: stops("EINVAL"),
    strict: "throws",
  },
  "more sessions than fit into the area": {
    forms: luoV1,
    damage: ({ ram, at }) => ram.u64(at("sessions"), 820n),
    code: "session-count",
    path: "luo.sessions.count",
    pa: ({ at }) => at("sessions"),
    does: openFails("EEXIST"),
    strict: "throws",
  },

  // Names.
  "two sessions of one name": {
    forms: live,
    damage: ({ ram, at }) => ram.write(at("session[1]"), utf8.encode("vm-0")),
    code: "session-duplicate",
    path: "luo.sessions[1].name",
    pa: ({ at }) => at("session[1]"),
    does: openFails("EEXIST"),
    strict: "throws",
  },
  "two sessions without a name": {
    forms: live,
    damage: ({ ram, at }) => {
      for (const s of [0, 1]) ram.write(at(`session[${s}]`), [0]);
    },
    code: "session-duplicate",
    path: "luo.sessions[1].name",
    does: openFails("EEXIST"),
    strict: "throws",
  },
  "names that are the same once cut": {
    forms: live,
    damage: ({ ram, at }) => {
      ram.write(at("session[0]"), new Uint8Array(63).fill(0x61));
      ram.write(at("session[1]"), new Uint8Array(64).fill(0x61));
    },
    code: "session-duplicate",
    path: "luo.sessions[1].name",
    does: openFails("EEXIST"),
    strict: "throws",
  },
  "session without a name": {
    forms: live,
    damage: ({ ram, at }) => ram.write(at("session[1]"), new Uint8Array(64)),
    code: "string-empty",
    severity: "info",
    path: "luo.sessions[1].name",
    pa: ({ at }) => at("session[1]"),
    does: null,
    strict: "reads",
  },
  "session name without NUL": {
    forms: live,
    damage: ({ ram, at }) => ram.write(at("session[1]"), new Uint8Array(64).fill(0x61)),
    code: "string-unterminated",
    severity: "warning",
    path: "luo.sessions[1].name",
    pa: ({ at }) => at("session[1]"),
    does: null,
    strict: "reads",
  },

  // Files of a session.
  "files nowhere, but counted": {
    forms: live,
    damage: sessionFiles(1, 0n),
    code: "file-count",
    severity: "warning",
    path: "luo.sessions[1].files.count",
    does: { outcome: "ignored", phase: "open" },
    strict: "reads",
  },
  "files somewhere, but not counted": {
    forms: luoV5,
    damage: sessionFiles(1, undefined, 0n),
    code: "file-count",
    path: "luo.sessions[1].files.count",
    does: openFails("EINVAL"),
    strict: "throws",
  },
  "files outside RAM": {
    forms: live,
    damage: sessionFiles(1, nowhere),
    code: "memory-absent",
    path: /^luo\.sessions\[1\]\.files/,
    pa: () => nowhere,
    does: openOops,
    strict: "throws",
  },
  "files at an address that is not canonical": {
    forms: live,
    damage: sessionFiles(1, notCanonical),
    code: "memory-absent",
    path: /^luo\.sessions\[1\]\.files/,
    pa: () => notCanonical,
    does: openOops,
    strict: "throws",
  },
  "file list in a circle": {
    forms: luoV5,
    damage: ({ ram, at }) => ram.u64(at("files[0].block[0]"), at("files[0].block[0]")),
    code: "block-list-cycle",
    path: "luo.sessions[0].files.blocks[1]",
    does: openFails("EINVAL"),
    strict: "throws",
  },
  "next file block outside RAM": {
    forms: luoV5,
    damage: ({ ram, at }) => ram.u64(at("files[0].block[0]"), nowhere),
    code: "memory-absent",
    path: "luo.sessions[0].files.blocks[1]",
    does: openOops,
    strict: "throws",
  },
  "file block of another session": {
    forms: luoV5,
    damage: ({ ram, at }) => ram.u64(at("session[1]") + 64n, at("files[0].block[0]")),
    code: "structure-reused",
    path: "luo.sessions[1].files.blocks[0]",
    does: misread("open"),
    strict: "throws",
  },
  "empty file block": {
    forms: luoV5,
    damage: ({ ram, at }) => ram.u64(at("files[0].block[0]") + 8n, 0n),
    code: "block-bad-count",
    path: "luo.sessions[0].files.blocks[0]",
    does: openFails("EINVAL"),
    strict: "throws",
  },
  "file block with more than fit": {
    forms: luoV5,
    damage: ({ ram, at }) => ram.u64(at("files[0].block[0]") + 8n, 64n),
    code: "block-bad-count",
    path: "luo.sessions[0].files.blocks[0]",
    does: openFails("EINVAL"),
    strict: "throws",
  },
  "fewer files than counted": {
    forms: luoV5,
    damage: sessionFiles(0, undefined, 3n),
    code: "file-count",
    path: "luo.sessions[0].files.count",
    does: openFails("EINVAL"),
    strict: "throws",
  },
  "a record of zeros too many": {
    forms: luoV5,
    damage: ({ ram, at }) => ram.u64(at("files[0].block[0]") + 8n, 3n),
    code: "string-empty",
    path: "luo.sessions[0].files[2].compatible",
    does: openFails("ENOENT"),
    strict: "throws",
  },
  "more files than fit into the area, 6.19": {
    forms: ["6.19"],
    damage: sessionFiles(0, undefined, 129n),
    code: "file-count",
    path: "luo.sessions[0].files.count",
    does: { outcome: "ignored", phase: "open" },
    strict: "reads",
  },
  "more files than fit into the area, 7.1": {
    forms: ["7.1"],
    damage: sessionFiles(0, undefined, 129n),
    code: "file-count",
    path: "luo.sessions[0].files.count",
    does: openFails("ENOENT"),
    strict: "throws",
  },

  // Handlers and tokens.
  ...Object.fromEntries(
    (["6.19", "7.1", "7.2", "7.3"] as const).flatMap((label) => {
      const does = label === "6.19" ? ({ outcome: "ignored", phase: "open" } as const) : openFails("ENOENT");
      const strict = label === "6.19" ? "reads" : "throws";
      const named =
        (name: Uint8Array) =>
        ({ ram, at }: Written) =>
          ram.write(at("file[0][1]"), name);
      const path = "luo.sessions[0].files[1].compatible";
      const foreign = label === "6.19" ? "memfd-v2" : "memfd-v1";
      return Object.entries({
        [`handler without a name, ${label}`]: {
          forms: [label],
          damage: named(new Uint8Array(48)),
          code: "string-empty",
          path,
          pa: ({ at }) => at("file[0][1]"),
          does,
          strict,
        },
        [`handler name without NUL, ${label}`]: {
          forms: [label],
          damage: named(new Uint8Array(48).fill(0x61)),
          code: "string-unterminated",
          path,
          pa: ({ at }) => at("file[0][1]"),
          does,
          strict,
        },
        [`another release's memfd handler, ${label}`]: {
          forms: [label],
          damage: named(utf8.encode(foreign)),
          code: "file-unknown-handler",
          path,
          pa: ({ at }) => at("file[0][1]"),
          does,
          strict,
        },
        [`handler of a module, ${label}`]: {
          forms: [label],
          damage: named(utf8.encode("vfio-v1\0")),
          code: "file-unknown-handler",
          severity: "info",
          path,
          does: null,
          strict: "reads",
        },
      } satisfies Record<string, Fault>);
    }),
  ),
  "token twice": {
    forms: live,
    damage: ({ ram, at }) => ram.u64(at("file[0][1]") + 56n, 1n),
    code: "file-duplicate-token",
    path: "luo.sessions[0].files[1].token",
    does: misread("retrieve"),
    strict: "reads",
  },

  // FLBs.
  "FLB page with 64 entries": {
    forms: ["7.0", "7.1", "7.2", "7.3"],
    damage: ({ ram, at }) => ram.u64(at("flbs") + 8n, 64n),
    code: "flb-count",
    path: "luo.flbs.count",
    pa: ({ at }) => at("flbs"),
    does: misread("boot"),
    strict: "reads",
  },
  "FLB page with more entries than there is memory": {
    forms: ["7.0", "7.1", "7.2", "7.3"],
    damage: ({ ram, at }) => ram.u64(at("flbs") + 8n, 1n << 40n),
    code: "flb-count",
    path: "luo.flbs.count",
    pa: ({ at }) => at("flbs"),
    does: { outcome: "panic", phase: "boot" },
    strict: "reads",
  },
  "FLB page of two pages": {
    forms: ["7.0", "7.1", "7.2", "7.3"],
    damage: ({ ram, at }) => ram.u64(at("flbs"), 2n),
    code: "flb-count",
    severity: "warning",
    path: "luo.flbs.pgcnt",
    does: null,
    strict: "reads",
  },
  "FLB page outside RAM": {
    forms: ["7.0", "7.1", "7.2", "7.3"],
    hooks: ({ luo }) => (luo?.root === "properties" ? inNode("luo-flb", "luo-flb-header", u64(nowhere)) : {}),
    damage: ({ ram, at, plan }) => {
      if (plan.form.luo?.root === "structure") ram.u64(at("luo") + 24n, nowhere);
    },
    code: "memory-absent",
    path: "luo.flbs",
    pa: () => nowhere,
    does: { outcome: "panic", phase: "boot" },
    strict: "reads",
  },
  "FLB with no references": {
    forms: ["7.0", "7.1", "7.2", "7.3"],
    damage: ({ ram, at }) => ram.u64(at("flbs") + 16n + 56n, 0n),
    code: "flb-count",
    severity: "warning",
    path: "luo.flbs[0].count",
    does: misread("boot"),
    strict: "reads",
  },
  "FLB name without NUL": {
    forms: ["7.0", "7.1", "7.2", "7.3"],
    damage: ({ ram, at }) => ram.write(at("flbs") + 16n, new Uint8Array(48).fill(0x61)),
    code: "string-unterminated",
    path: "luo.flbs[0].name",
    does: misread("boot"),
    strict: "reads",
  },

  // The page of a structure is not kept, or as part of something larger.
  "session list not preserved": {
    forms: live,
    hooks: ({ luo }) => ({
      preserved: (blocks, at) =>
        blocks.filter(
          ({ pfn }) => pfn !== Number(at(luo?.sessions === "area" ? "sessions" : "sessions.block[0]") >> 12n),
        ),
    }),
    code: "page-not-preserved",
    path: /^luo\.sessions/,
    does: misread("boot"),
    strict: "reads",
  },
  "file area in blocks of another order": {
    forms: luoV1,
    hooks: {
      preserved: (blocks, at) =>
        blocks.flatMap((block) =>
          block.pfn === Number(at("files[0]") >> 12n)
            ? [0, 1].map((i) => ({ pfn: block.pfn + i, order: 0 }))
            : [block],
        ),
    },
    code: "order-mismatch",
    severity: "warning",
    path: "luo.sessions[0].files",
    does: misread("boot"),
    strict: "reads",
  },
};

describe.each(Object.entries(faults))("%s", (_, fault) => {
  it.each(fault.forms.map((label) => [label]))("written by %s", (label) => expectFault(fault, label));
});

describe("lists of more than 10000 blocks", () => {
  const build = (blocks: number, what: "sessions" | "files"): Written => {
    const records = Array.from({ length: blocks }, (_, i) => i);
    const sessions: SessionPlan[] =
      what === "sessions"
        ? records.map((i) => ({ name: `s${i}`, files: [] }))
        : [
            {
              name: "vm",
              files: records.map((i) => ({ token: BigInt(i), compatible: "vfio-v1", data: 0n })),
            },
          ];
    return write({
      form: formOf("7.3"),
      pageSize: 4096,
      handoff: "setup_data",
      scratch,
      perBlock: 1,
      sessions,
    });
  };
  it("10000 are read", () => {
    const decoded = decodeWritten(build(10000, "sessions"));
    expect(faultsOf(decoded)).toEqual([]);
    expect(decoded.handover.luo?.sessions.length).toBe(10000);
  });
  it.each([
    ["sessions", stops("ENOSPC")],
    ["files", openFails("ENOSPC")],
  ] as const)("one more is not: %s", (what, does) => {
    const written = build(10001, what);
    const { findings } = attempt(written, { mode: "forensic" });
    expect(findings.find(({ code }) => code === "block-list-too-long")).toMatchObject({
      severity: "error",
      consequence: does,
    });
    expect(attempt(written, {}).error).toMatchObject({ code: "block-list-too-long" });
  });
});

describe("what kernels accept is no fault", () => {
  const accepted: Record<string, Pick<Fault, "forms" | "plan" | "hooks" | "damage">> = {
    "no live update at all": {
      forms: live,
      hooks: {
        root: (tree) => {
          tree.children = tree.children.filter(({ name }) => name !== "LUO");
        },
      },
    },
    "no sessions": { forms: live, plan: { sessions: [] } },
    "a larger blob": {
      forms: luoV5,
      hooks: {
        root: (tree) => set(tree.children.find(({ name }) => name === "LUO")!, "blob-size", u64(4096n)),
      },
    },
    "any byte behind the NUL of the version": {
      forms: luoV5,
      damage: ({ ram, at }) => ram.u8(at("luo") + 7n, 0x58),
    },
    "sessions at 0": { forms: luoV5, damage: ({ ram, at }) => ram.u64(at("luo") + 16n, 0n) },
    "FLBs at 0": { forms: luoV5, damage: ({ ram, at }) => ram.u64(at("luo") + 24n, 0n) },
    "blocks that are not full": { forms: luoV5, plan: { perBlock: 1 } },
    "lists of versions with the own one": {
      forms: luoV1,
      hooks: {
        luo: (tree) => {
          set(tree, "compatible", join(text("luo-v0"), text("luo-v1")));
          set(tree.children[0]!, "compatible", join(text("luo-session-v9"), text("luo-session-v2")));
          if (tree.children[1])
            set(tree.children[1], "compatible", join(text("luo-flb-v0"), text("luo-flb-v1")));
        },
      },
    },
    "session with files somewhere, but none counted": {
      forms: luoV1,
      damage: sessionFiles(1, undefined, 0n),
    },
    "what is behind the NUL of a name": {
      forms: live,
      damage: ({ ram, at }) =>
        ram.write(at("session[0]"), [...utf8.encode("vm-0"), 0, ...new Array(59).fill(0xff)]),
    },
    "FLB entries beyond the count": {
      forms: ["7.0", "7.1", "7.2", "7.3"],
      damage: ({ ram, at }) => ram.write(at("flbs") + 80n, new Uint8Array(64).fill(0xff)),
    },
  };
  describe.each(Object.entries(accepted))("%s", (_, rest) => {
    it.each(rest.forms.map((label) => [label]))("read by %s", (label) => {
      const written = broken({ ...rest, code: "", path: "", does: null, strict: "reads" }, label);
      const result = attempt(written, { release: label });
      expect(result.error).toBeUndefined();
      expect(faultsOf(result)).toEqual([]);
    });
  });

  it.each([
    ["wrong version", inNode("luo-flb", "compatible", text("luo-flb-v9"))],
    ["no address", inNode("luo-flb", "luo-flb-header")],
    ["no node", without("luo-flb")],
  ])("6.19 does not look at 7.0's luo-flb: %s", (_, hooks) => {
    const written = write(smallPlan(formOf("7.0")), hooks);
    const result = attempt(written, { release: "6.19" });
    expect(result.error).toBeUndefined();
    expect(result.findings.filter(({ severity }) => severity === "error")).toEqual([]);
  });

  it("7.0's handover is read by 6.19", () => {
    const written = write(smallPlan(formOf("7.0")));
    const decoded = decodeWritten(written, { release: "6.19" });
    expect(decoded.findings.filter(({ severity }) => severity === "error")).toEqual([]);
    expectAll(written, decoded);
  });
});

describe("a subtree that its reader does not find", () => {
  it("is nothing to a kernel without live update", () => {
    const written = write(smallPlan(formOf("6.19")), {
      root: (tree) => {
        tree.children.find(({ name }) => name === "LUO")!.properties.length = 0;
      },
    });
    expect(attempt(written, { release: "6.18" }).error).toBeUndefined();
  });
});
