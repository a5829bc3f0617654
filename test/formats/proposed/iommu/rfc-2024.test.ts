import fc from "fast-check";
import { expect, it } from "vitest";
import { decodeRfcDomains, decodeRfcIommufds } from "../../../../formats/proposed/iommu/rfc-2024.js";
import { parseTree } from "../../../../formats/tree.js";
import { physAddr, sparseMemory } from "../../../../src/memory/index.js";
import { join, type Node, node, sequentialTree, text, u32, u64 } from "../../../handover/synthetic/trees.js";
import { codesOf, reading } from "./support.js";

const treePa = physAddr(0x40000);

const area = (start: bigint, length: bigint, prot: number): Node["properties"] => [
  ["iova-start", u64(start)],
  ["iova-len", u64(length)],
  ["iommu-prot", u32(prot)],
];
const iommufds = (compatible = "iommufd-v0") =>
  node(
    "iommufd",
    [["compatible", text(compatible)]],
    [
      node(
        "iommufds",
        [],
        [
          node(
            "1",
            [],
            [
              node(
                "ioases",
                [],
                [
                  node(
                    "2",
                    [["pinned-file-handle", u64(7n)]],
                    [node("0", area(0x1000n, 0x200000n, 3)), node("1", area(0xfffff000n, 0x1000n, -1 >>> 0))],
                  ),
                  node("5"),
                ],
              ),
            ],
          ),
        ],
      ),
    ],
  );

const domain = (properties: Node["properties"]) =>
  node(
    "intel-iommu",
    [["compatible", text("intel-iommu-v0")]],
    [
      node(
        "domains",
        [],
        [
          node("42", properties, [
            node(
              "devices",
              [],
              [
                node("0", [
                  ["bus", Uint8Array.of(3)],
                  ["devfn", Uint8Array.of(0x10)],
                ]),
              ],
            ),
          ]),
        ],
      ),
    ],
  );
const whole: Node["properties"] = [
  ["mem", join(u64(0x16001n), u64(0x1000n), u64(0x17000n), u64(0x1000n))],
  ["persistent_id", u64(42n)],
  ["pgd", u64(0x16000n)],
  ["agaw", u32(2)],
];

function read(...children: Node[]) {
  const { fdt } = parseTree(sequentialTree(node("", [["compatible", text("kho-v1")]], children)));
  const { ctx, findings } = reading(sparseMemory());
  return {
    iommufds: decodeRfcIommufds(ctx, fdt!, treePa),
    domains: decodeRfcDomains(ctx, fdt!, treePa),
    findings,
  };
}

it("iommufds and domains of one tree", () => {
  expect(read(iommufds(), domain(whole))).toEqual({
    iommufds: [
      {
        name: "1",
        ioases: [
          {
            name: "2",
            pinnedFileHandle: 7n,
            areas: [
              { iovaStart: 0x1000n, iovaLen: 0x200000n, iommuProt: 3 },
              { iovaStart: 0xfffff000n, iovaLen: 0x1000n, iommuProt: -1 },
            ],
          },
          { name: "5", areas: [] },
        ],
      },
    ],
    domains: [
      {
        name: "42",
        persistentId: 42n,
        pgd: 0x16000n,
        agaw: 2,
        mem: [
          { addr: 0x16001n, len: 0x1000n },
          { addr: 0x17000n, len: 0x1000n },
        ],
        devices: [{ bus: 3, devfn: 0x10 }],
      },
    ],
    findings: [],
  });
});

it("a tree without them, or with nothing in them", () => {
  expect(read()).toEqual({ iommufds: undefined, domains: undefined, findings: [] });
  const empty = read(
    node("iommufd", [["compatible", text("iommufd-v0")]]),
    node("intel-iommu", [["compatible", text("intel-iommu-v0")]]),
  );
  expect(empty).toEqual({ iommufds: [], domains: [], findings: [] });
});

it("another version, which no reader looks at", () => {
  const { iommufds: read_, findings } = read(iommufds("iommufd-v1"));
  expect(read_!.length).toBe(1);
  expect(findings).toMatchObject([
    { severity: "warning", code: "compatible-unknown", expected: "iommufd-v0", actual: "iommufd-v1" },
  ]);
});

it.each(["persistent_id", "pgd", "agaw"])(
  "a domain without %s is left out, and its reader faults",
  (name) => {
    const { domains, findings } = read(domain(whole.filter(([property]) => property !== name)));
    expect(domains).toEqual([]);
    expect(findings).toMatchObject([
      {
        code: "property-missing",
        path: `intel-iommu.42.${name}`,
        consequence: { outcome: "panic", phase: "boot" },
      },
    ]);
  },
);

it("a number of another length, and an area without one", () => {
  const { domains, findings } = read(
    domain(whole.map(([name, value]) => [name, name === "agaw" ? u64(2n) : value])),
  );
  expect(domains).toEqual([]);
  expect(codesOf(findings)).toEqual(["property-bad-length"]);
  const lost = read(
    node(
      "iommufd",
      [["compatible", text("iommufd-v0")]],
      [node("iommufds", [], [node("1", [], [node("ioases", [], [node("2", [], [node("0")])])])])],
    ),
  );
  expect(lost.iommufds).toEqual([{ name: "1", ioases: [{ name: "2", areas: [] }] }]);
  expect(lost.findings.map(({ path }) => path)).toEqual([
    "iommufd.1.2.0.iova-start",
    "iommufd.1.2.0.iova-len",
    "iommufd.1.2.0.iommu-prot",
  ]);
});

it("memory that ends within a range has the whole ones", () => {
  const { domains } = read(
    domain(whole.map(([name, value]) => [name, name === "mem" ? value.subarray(0, 31) : value])),
  );
  expect(domains![0]!.mem).toEqual([{ addr: 0x16001n, len: 0x1000n }]);
});

it("whatever is in the tree", () => {
  const tree = sequentialTree(node("", [], [iommufds(), domain(whole)]));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(tree.length - 1), fc.nat(255)), { maxLength: 12 }), (changes) => {
      const blob = tree.slice();
      for (const [at, byte] of changes) blob[at] = byte;
      const { fdt } = parseTree(blob);
      if (!fdt) return;
      const { ctx } = reading(sparseMemory());
      decodeRfcIommufds(ctx, fdt, treePa);
      decodeRfcDomains(ctx, fdt, treePa);
    }),
  );
});
