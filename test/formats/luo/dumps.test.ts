import { expect, it } from "vitest";
import { decodeFlbs, decodeLuo } from "../../../formats/luo/records.js";
import { decodeLuoRoot } from "../../../formats/luo/root.js";
import { physAddr } from "../../../src/memory/index.js";
import { dump, Ram } from "../../handover/synthetic/ram.js";
import { contextOf } from "../kho/support.js";

const structure = dump(`
0000  6c 75 6f 2d 76 35 00 00  01 00 00 00 00 00 00 00
0010  00 00 e5 03 01 00 00 00  00 10 e5 03 01 00 00 00`);

it("the root structure of 7.2", () => {
  const { ctx, findings } = contextOf(new Ram());
  expect(decodeLuoRoot(ctx, structure, physAddr(0x103e44000))).toEqual({
    compatible: "luo-v5",
    liveupdateNumber: 1n,
    sessions: 0x103e50000n,
    sessionStorage: "blocks",
    fileStorage: "blocks",
    flbs: 0x103e51000n,
  });
  expect(findings).toEqual([]);
});

it("a session block, a file block and an FLB page behind it", () => {
  const ram = new Ram();
  for (const pa of [0x103e50000n, 0x105b00000n, 0x103e51000n]) ram.have(pa, 4096);
  ram.write(
    0x103e50000n,
    dump(`
0000  00 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
0010  76 6d 2d 61 67 65 6e 74  00 00 00 00 00 00 00 00
0050  00 00 b0 05 01 00 00 00  01 00 00 00 00 00 00 00`),
  );
  ram.write(
    0x105b00000n,
    dump(`
0000  00 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
0010  6d 65 6d 66 64 2d 76 32  00 00 00 00 00 00 00 00
0040  00 c0 a3 05 01 00 00 00  34 12 cd ab 00 00 00 00`),
  );
  writeFlbs(ram);
  const { ctx, findings } = contextOf(ram);
  expect(decodeLuo(ctx, structure, physAddr(0x103e44000))).toEqual({
    compatible: "luo-v5",
    liveupdateNumber: 1n,
    sessions: [
      {
        name: "vm-agent",
        pa: 0x103e50010n,
        files: [{ compatible: "memfd-v2", data: 0x105a3c000n, token: 0xabcd1234n, pa: 0x105b00010n }],
      },
    ],
    flbs,
  });
  expect(findings).toEqual([]);
});

const flbs = [0n, 1n].map((i) => ({
  name: `liveupdate-test-flb-v${i}`,
  data: 0xfeedf00dcafebee0n + i,
  count: 1n,
  pa: 0x103e51010n + 64n * i,
}));

function writeFlbs(ram: Ram): void {
  ram.have(0x103e51000n, 4096);
  ram.write(0x103e51000n, dump("0000  01 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00"));
  ram.write(0x103e51010n, new TextEncoder().encode("liveupdate-test-flb-v0"));
  ram.write(0x103e51040n, dump("0000  e0 be fe ca 0d f0 ed fe  01 00 00 00 00 00 00 00"));
  ram.write(0x103e51050n, new TextEncoder().encode("liveupdate-test-flb-v1"));
  ram.write(0x103e51080n, dump("0000  e1 be fe ca 0d f0 ed fe  01 00 00 00 00 00 00 00"));
  // What is behind the last entry is left over from before.
  ram.write(0x103e51090n, new Uint8Array(64).fill(0x78));
}

it("an FLB page", () => {
  const ram = new Ram();
  writeFlbs(ram);
  const { ctx, findings } = contextOf(ram, "7.0");
  expect(decodeFlbs(ctx, physAddr(0x103e51000))).toEqual(flbs);
  expect(findings).toEqual([]);
});
