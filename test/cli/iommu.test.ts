import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromJsonString } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { iommuSeries } from "../../formats/proposed/iommu/series.js";
import { formatChoices, seriesChoices, vendorChoices } from "../../src/cli/iommu/verbs.js";
import {
  IommuDevicesSchema,
  IommuDiffSchema,
  IommuRangesSchema,
  IommuTranslationSchema,
} from "../../src/interchange.js";
import { tableNames } from "../../src/iommu/formats.js";
import { vendorNames } from "../../src/iommu/open.js";
import { coreBytes, each, fixture, run, temporary } from "./run.js";

const intel = fixture("7.3-iommu-intel");
const unit = ["--vendor", "vtd", "--root", "0x140226000"];
const folder = temporary();

/** The capture of VT-d with one 64-bit word changed. */
function changed(name: string, from: bigint, to: bigint): string {
  const bytes = coreBytes("7.3-iommu-intel");
  const word = Buffer.alloc(8);
  word.writeBigUInt64LE(from);
  const at = bytes.indexOf(word);
  if (at < 0) throw new Error("the capture does not have this word");
  bytes.writeBigUInt64LE(to, at);
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

it("help offers what there is", () => {
  expect(vendorChoices).toEqual(vendorNames);
  expect(formatChoices).toEqual(tableNames);
  expect(seriesChoices).toEqual(iommuSeries.map(({ name }) => name));
});

describe("kho iommu ranges", () => {
  it("prints the contract as JSON: ascending, merged, u64 as decimal strings", async () => {
    const { stdout, stderr, code } = await run([
      "iommu",
      "ranges",
      intel,
      ...unit,
      "--device",
      "0000:00:06.0",
      "--json",
    ]);
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    const { ranges } = JSON.parse(stdout);
    const plain = ranges.map(({ pageSizes: _, ...range }: { pageSizes: unknown }) => range);
    expect(plain).toEqual([
      { iova: "2097152", pa: "6372184064", size: "12288", read: true, write: true },
      { iova: "534773760", pa: "5383389184", size: "2097152", read: true, write: true },
    ]);
    expect(fromJsonString(IommuRangesSchema, stdout).ranges[1]!.pageSizes).toEqual([2097152n]);
  });

  it("takes the root from a side file, and a table on its own", async () => {
    const meta = ["--meta", "fixtures/7.3-iommu-intel/meta.json"];
    const table = ["--table", "0x142588000", "--format", "vtdss", "--levels", "4"];
    const [named, own] = await Promise.all([
      run(["iommu", "ranges", intel, ...meta, "--device", "0x30", "--json"]),
      run(["iommu", "ranges", intel, ...table, "--json"]),
    ]);
    expect(JSON.parse(own.stdout).ranges).toEqual(JSON.parse(named.stdout).ranges);
    expect(JSON.parse(own.stdout).ranges).toHaveLength(2);
  });

  it("prints an empty list for a device that reaches nothing", async () => {
    const { stdout } = await run(["iommu", "ranges", intel, ...unit, "--device", "00:07.0", "--json"]);
    expect(fromJsonString(IommuRangesSchema, stdout)).toMatchObject({ vendor: "vtd", ranges: [] });
  });

  it("has all of memory as one range for a device that is not translated", async () => {
    // The context entry of 00:06.0, as pass-through.
    const file = changed("identity.elf", 0x142588001n, 9n);
    const [ranges, devices] = await Promise.all([
      run(["iommu", "ranges", file, ...unit, "--device", "00:06.0", "--json"]),
      run(["iommu", "devices", file, ...unit]),
    ]);
    const { device, ranges: found } = fromJsonString(IommuRangesSchema, ranges.stdout);
    expect(device!.translation).toBe("identity");
    expect(found).toMatchObject([{ iova: 0n, pa: 0n, size: 1n << 52n, read: true, write: true }]);
    expect(devices.stdout).toMatch(/^00:06\.0 +DID 4 +identity: all memory, untranslated$/m);
  });

  it("names what there is where there is no such device", async () => {
    const { stderr } = await run(["iommu", "ranges", intel, ...unit, "--device", "5"]);
    expect(stderr).toContain("the IOMMU has no entry of 00:00.5");
    expect(stderr).toContain(
      "expected  00:00.0, 00:05.0, 00:06.0, 00:07.0, 00:1f.0, 00:1f.2, 00:1f.3, 01:00.0",
    );
  });

  it("takes an SMMUv3 with both of its registers", async () => {
    const registers = ["--vendor", "smmuv3", "--root", "0x400000004803c000", "--cfg", "0x10210"];
    const file = fixture("6.12-iommu-smmuv3");
    const { stdout, code } = await run(["iommu", "ranges", file, ...registers, "--device", "00:06.0"]);
    expect(code).toBe(0);
    expect(stdout).toContain("smmuv3 00:06.0  ASID ");
    expect(stdout).toMatch(/arm_s1 at 0x[0-9a-f]+, 4 levels, 48 bits/);
  });

  it("says what is wrong with the command line", async () => {
    await each(
      [
        { args: [...unit], error: "nothing says which device is meant" },
        { args: ["--device", "00:05.0"], error: "nothing says where the IOMMU's tables are" },
        { args: [...unit, "--device", "00:05"], error: "it is no device" },
        {
          args: [...unit, "--device", "00:05.0", "--vendor", "via"],
          error: "Allowed choices are vtd, amd, smmuv3, riscv",
        },
        { args: ["--table", "0x142588000"], error: "a table alone does not say how it is to be read" },
        {
          args: ["--table", "0x142588000", "--format", "vtdss", "--levels", "4", "--va-bits", "30"],
          error: "a table of 4 levels does not translate 30 bits",
        },
        { args: [...unit, "--device", "02:00.0"], error: "the IOMMU has no entry of 02:00.0\n" },
      ],
      async ({ args, error }) => {
        const { stderr, code } = await run(["iommu", "ranges", intel, ...args]);
        expect(stderr).toContain(error);
        expect(code).toBe(2);
      },
    );
  });

  it("says so where there is no memory", async () => {
    const { stderr, code } = await run([
      "iommu",
      "ranges",
      "fixtures/7.3-memfd/fdt/second-in-fdt.dtb",
      ...unit,
      "--device",
      "0",
    ]);
    expect(stderr).toContain("there are no page tables in it");
    expect(code).toBe(2);
  });

  it("finds reserved bits, tables that can be written to, and tables that are not there", async () => {
    const cases = [
      // The PDE of 0x1fe00000, to lead to the tables of the domain.
      { name: "alias", from: 0x140e00083n, to: 0x142400083n, code: "iommu-table-writable" },
      // The PML4E of domain 4: a table outside of the capture.
      { name: "absent", from: 0x14259c403n, to: 0x9_0000_0403n, code: "memory-absent" },
      // ... and one that leads to itself.
      { name: "cycle", from: 0x14259c403n, to: 0x142588403n, code: "iommu-table-cycle" },
    ];
    await each(cases, async ({ name, from, to, code: wanted }) => {
      const file = changed(`${name}.elf`, from, to);
      const { stdout, code } = await run(["iommu", "ranges", file, ...unit, "--device", "00:06.0", "--json"]);
      expect(code).toBe(1);
      const { findings } = fromJsonString(IommuRangesSchema, stdout);
      expect(findings.map((finding) => finding.code)).toContain(wanted);
    });
  });
});

describe("kho iommu devices", () => {
  it("lists devices with what they can reach", async () => {
    const { stdout, code } = await run(["iommu", "devices", intel, ...unit]);
    expect(code).toBe(0);
    expect(stdout.split("\n")).toContain(
      "00:05.0  DID 3       12  1.01 GiB  vtdss at 0x142586000, 4 levels, 48 bits",
    );
    expect(stdout).toContain("Findings  none");
  });

  it("prints them as JSON", async () => {
    const { stdout } = await run(["iommu", "devices", intel, ...unit, "--json"]);
    const { devices, mode } = fromJsonString(IommuDevicesSchema, stdout);
    expect(mode).toBe("legacy mode");
    expect(devices.map(({ device, domain }) => `${device} ${domain}`)).toEqual([
      "00:00.0 2",
      "00:05.0 3",
      "00:06.0 4",
      "00:07.0 5",
      "00:1f.0 6",
      "00:1f.2 6",
      "00:1f.3 6",
      "01:00.0 7",
    ]);
    expect(devices[1]).toMatchObject({ ranges: 12n, bytes: 1086406656n });
  });

  it("says that there is no handover to compare with", async () => {
    const { stderr, code } = await run(["iommu", "devices", intel, ...unit, "--handover"]);
    expect(stderr).toContain("there is no handover in this capture to compare with");
    expect(code).toBe(3);
  });
});

describe("kho iommu translate", () => {
  it("shows every entry on the way", async () => {
    const { stdout, code } = await run([
      "iommu",
      "translate",
      intel,
      "0x40000123",
      ...unit,
      "--device",
      "00:05.0",
    ]);
    expect(code).toBe(0);
    expect(stdout).toBe(`${intel}: ELF core of x86_64, 116 KiB of memory in 13 ranges
vtd 00:05.0  DID 3; vtdss at 0x142586000, 4 levels, 48 bits

0x140226000  root_entry                          P CTP=0x1402f2
0x1402f2280  context_entry                       P SSPTPTR=0x142586 AW=2 DID=3
0x142586000  vtdss_table, level 3, entry 0       0x14258a403  R W FLUSHED ADDR=0x14258a
0x14258a008  vtdss_table, level 2, entry 1       0x142592403  R W FLUSHED ADDR=0x142592
0x142592000  vtdss_large_page, level 1, entry 0  0x17b400083  R W PS ADDR=0x17b400

0x40000123  leads to 0x17b400123, rw, in a page of 2 MiB
`);
  });

  it("allows no more than the entries above do", async () => {
    // A PML4E without rights above a page that has them.
    const file = changed("rights-above.elf", 0x14259c403n, 0x14259c402n);
    const args = ["--device", "00:06.0", ...unit];
    const [one, all] = await Promise.all([
      run(["iommu", "translate", changed("read-only.elf", 0x17bcfd003n, 0x17bcfd001n), "0x200000", ...args]),
      run(["iommu", "ranges", file, ...args]),
    ]);
    expect(one.stdout).toContain("leads to 0x17bcfd000, r-");
    expect(all.stdout).toMatch(/^0x200000-0x202fff +0x17bcfd000-0x17bcfffff +-w /m);
  });

  it("exits with 1 where an address leads nowhere, and says why", async () => {
    const { stdout, code } = await run([
      "iommu",
      "translate",
      intel,
      "0x1000",
      ...unit,
      "--device",
      "00:05.0",
      "--json",
    ]);
    expect(code).toBe(1);
    expect(fromJsonString(IommuTranslationSchema, stdout)).toMatchObject({
      mapped: false,
      fault: "not-present",
    });
    const outside = await run([
      "iommu",
      "translate",
      intel,
      "0x1000000000000",
      ...unit,
      "--device",
      "00:05.0",
    ]);
    expect(outside.stdout).toContain("leads nowhere: the address has more bits than the table translates");
    expect((await run(["iommu", "translate", intel, "here", ...unit, "--device", "00:05.0"])).code).toBe(2);
  });
});

describe("kho iommu diff", () => {
  it("finds no difference between a capture and itself", async () => {
    const { stdout, code } = await run(["iommu", "diff", intel, intel, ...unit]);
    expect(code).toBe(0);
    expect(stdout).toContain("8 address spaces: no difference");
  });

  it("shows what moved, what may no more be written, and what is gone", async () => {
    const moved = changed("moved.elf", 0x140e00083n, 0x141000083n);
    const rights = changed("rights.elf", 0x17bcfd003n, 0x17bcfd001n);
    const gone = changed("gone.elf", 0x17bcff003n, 0n);
    await each(
      [
        {
          file: moved,
          line: "  ~  0x1fe00000-0x1fffffff  2 MiB  to 0x141000000, rw; before to 0x140e00000, rw",
        },
        { file: rights, line: "  ~  0x200000-0x200fff  4 KiB  r-; before rw" },
        { file: gone, line: "  -  0x202000-0x202fff  4 KiB  no more to 0x17bcff000, rw" },
      ],
      async ({ file, line }) => {
        const { stdout, code } = await run(["iommu", "diff", intel, file, ...unit]);
        expect(code).toBe(1);
        expect(stdout.split("\n")).toContain(line);
      },
    );
    const { stdout } = await run(["iommu", "diff", intel, gone, ...unit, "--device", "00:06.0", "--json"]);
    expect(fromJsonString(IommuDiffSchema, stdout).devices[0]!.changes).toMatchObject([
      {
        kind: "removed",
        iova: 0x202000n,
        size: 4096n,
        before: { pa: 0x17bcff000n, read: true, write: true },
      },
    ]);
  });
});

it("kho iommu debugfs prints the driver's own text", async () => {
  const wanted = (name: string) => readFileSync(`fixtures/7.3-iommu-intel/debugfs/intel__${name}`, "utf8");
  const [all, one, arm] = await Promise.all([
    run(["iommu", "debugfs", intel, ...unit]),
    run(["iommu", "debugfs", intel, ...unit, "--device", "0000:00:06.0"]),
    run(["iommu", "debugfs", intel, "--vendor", "smmuv3", "--root", "0x140226000", "--device", "0"]),
  ]);
  expect(all.stdout).toBe(wanted("dmar_translation_struct"));
  expect(one.stdout).toBe(wanted("0000:00:06.0__domain_translation_struct"));
  expect(arm.code).not.toBe(0);
});

it("kho iommu without a verb lists its verbs", async () => {
  const { stderr, code } = await run(["iommu"]);
  for (const verb of ["devices", "ranges", "translate", "diff", "debugfs", "state"])
    expect(stderr).toContain(verb);
  expect(code).toBe(2);
  expect((await run(["help", "iommu"])).stdout).toContain("translate");
  expect((await run(["iommu", "ranges", "--help"])).stdout).toContain("kho iommu ranges");
});
