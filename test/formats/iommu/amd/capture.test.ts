/** The device table of a real kernel: what is read from it, written again, is the same. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { newAmdUnit } from "../../../../formats/iommu/amd/encode.js";
import { deviceTableBytes, v1Options } from "../../../../formats/iommu/amd/geometry.js";
import { domainOf } from "../../../../formats/iommu/domain.js";
import { openImage } from "../../../../src/image/node.js";
import { physAddr } from "../../../../src/memory/index.js";
import { newStore } from "../store.js";
import { opened } from "./support.js";

const fixture = new URL("../../../../fixtures/7.3-iommu-amd/", import.meta.url);
const { memory } = openImage(gunzipSync(readFileSync(new URL("core.elf.gz", fixture))));
const meta = JSON.parse(readFileSync(new URL("meta.json", fixture), "utf8")) as { devTabBase: string };
const root = BigInt(meta.devTabBase);
const table = root & ~0xfffn;

/** The register's size field says two pages, and the firmware's last requester id is that of 00:1f.3. */
const lastBdf = 0xfb;

describe("7.3", () => {
  it("the device table comes back byte for byte", () => {
    const { unit } = opened(memory, root);
    const store = newStore(table);
    const writer = newAmdUnit({ lastBdf }, store)!;
    expect(writer.root).toBe(root);
    for (const { device, domain, table } of unit.devices()) {
      const copy = domainOf(v1Options({ efr: 0n })!, table!, store);
      writer.attach(device, { kind: "table", domain: copy, domainId: domain!.id });
    }
    const bytes = deviceTableBytes(lastBdf);
    expect(store.memory.read(physAddr(table), bytes)).toEqual(memory.read(physAddr(table), bytes));
  });
});
