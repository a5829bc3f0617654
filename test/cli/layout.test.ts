import { expect, it } from "vitest";
import { run } from "./run.js";

it("kho layout lists the structures of a release", async () => {
  const { stdout, code } = await run(["layout"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Linux 7\.3 {2}4 KiB pages/);
  expect(stdout).toContain("struct luo_session_ser         80  since 6.19  include/linux/kho/abi/luo.h");
  const old = (await run(["layout", "--release", "6.17.8"])).stdout;
  expect(old).toContain("Linux 6.17 ");
  expect(old).not.toContain("luo_");
});

it("kho layout prints one of them, for a release and page size", async () => {
  expect((await run(["layout", "memfd_luo_folio_ser"])).stdout).toContain(
    "u64                      flags:12;  /*     0:52      8 */",
  );
  expect((await run(["layout", "struct kho_vmalloc_chunk", "--page-size", "64K"])).stdout).toContain(
    "size: 65536",
  );
  expect((await run(["layout", "memfd_luo_ser", "--release", "6.19"])).stdout).not.toContain("seals");
});

it("kho layout --json has offsets", async () => {
  const one = JSON.parse((await run(["layout", "luo_session_ser", "--json"])).stdout);
  expect(one).toMatchObject({
    size: 80,
    members: [
      { name: "name", offset: 0 },
      { name: "file_set_ser", offset: 64 },
    ],
  });
  expect(JSON.parse((await run(["layout", "--json"])).stdout).structs.length).toBeGreaterThan(10);
});

it("kho layout suggests what may have been meant", async () => {
  expect(await run(["layout", "luo_sesion_ser"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("expected  luo_session_ser"),
  });
  expect((await run(["layout", "kho_radix_node", "--release", "6.18"])).stderr).toContain(
    "--release 7.1, 7.2, 7.3",
  );
  expect((await run(["layout", "zzzzzz"])).code).toBe(2);
  expect((await run(["layout", "--release", "5.4"])).code).toBe(2);
});

it("kho layout knows the structures of IOMMUs, in all their forms", async () => {
  const { stdout, code } = await run(["layout", "context_entry"]);
  expect(code).toBe(0);
  expect(stdout.match(/^struct context_entry \{$/gm)).toHaveLength(2);
  expect((await run(["layout"])).stdout).toMatch(
    /^struct arm_smmu_ste +64 +since 6\.\d+ +drivers\/iommu\/arm/m,
  );
});
