import { describe, expect, it } from "vitest";
import { decodeHandover } from "../../src/index.js";
import { toBinary, toJson } from "../../src/interchange.js";
import { bytesFromText, textFromBytes } from "../../src/layout/index.js";
import { Builder, fileBlock, flatten, luoRoot, sessionBlock, string, u64s } from "./build.js";
import { load } from "./captures.js";
import { checkFinding, checkInterchange, endure } from "./endure.js";

const names = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "systemd",
  "\u001b[31mred\u0007",
  "a\nb\r\tc",
  "\u202egnp.exe",
  "../../etc/passwd",
  "'; DROP TABLE sessions; --",
  "\\x00\\u0000",
  "luo.sessions[0].files",
  '"}]',
  "☃ü",
  " ",
  "memfd-v2",
  "LUO",
];
/** Bytes that are no text. */
const raw = [Uint8Array.of(0xff, 0xfe, 0x80), Uint8Array.of(0xed, 0xa0, 0x80), new Uint8Array(64).fill(0xc3)];

describe("names are data", () => {
  it("of sessions, handlers, FLBs, subtrees and regions", () => {
    for (const name of names) {
      const builder = new Builder();
      const files = builder.page(fileBlock([0x1000n], name));
      const flbs = new Uint8Array(4096);
      flbs.set(u64s(1n, 1n));
      flbs.set(new TextEncoder().encode(name), 16);
      flbs.set(u64s(5n, 6n), 16 + 48);
      const luo = builder.page(luoRoot(builder.page(sessionBlock([[name, files, 1n]])), builder.page(flbs)));
      const regions = flatten({
        name: "",
        properties: [["compatible", string("memblock-v1")]],
        children: [
          {
            name,
            properties: [
              ["compatible", string("reserve-mem-v1")],
              ["start", u64s(0x4000n)],
              ["size", u64s(0x1000n)],
            ],
          },
        ],
      });
      const subtrees = [
        ["LUO", luo, 32n],
        ["memblock", builder.page(regions), BigInt(regions.length)],
        ["kexec-metadata", builder.page(new Uint8Array(73)), 73n],
      ] as const;
      const fdt = builder.root([...subtrees, [name, builder.page(), 8n]]);
      const capture = builder.capture({ fdt });
      const { forensic } = endure(capture, name);
      const { handover } = forensic!;
      expect(handover.luo!.sessions[0]!.name).toBe(name);
      expect(handover.luo!.sessions[0]!.files[0]!.compatible).toBe(name);
      expect(handover.luo!.flbs[0]!.name).toBe(name);
      expect(handover.reserveMem[0]!.name).toBe(name);
      expect(handover.subtrees.at(-1)!.name).toBe(name);
      const json = JSON.parse(toJson(forensic!));
      expect(json.luo.sessions[0].name).toBe(name);
      expect(json.luo.flbs[0].name).toBe(name);
      expect(json.reserveMem[0].name).toBe(name);
      expect(json.subtrees.at(-1).name).toBe(name);
      expect(Object.getPrototypeOf(json)).toBe(Object.prototype);
    }
  });

  it("that are no text come back as the same bytes, and leave as escapes", () => {
    for (const bytes of raw) {
      const builder = new Builder();
      const files = builder.page(fileBlock([0n], bytes.subarray(0, 48)));
      const luo = builder.page(luoRoot(builder.page(sessionBlock([[bytes, files, 1n]]))));
      const fdt = builder.root([["LUO", luo, 32n]]);
      const { forensic } = endure(builder.capture({ fdt }), textFromBytes(bytes));
      const { name, files: found } = forensic!.handover.luo!.sessions[0]!;
      expect(bytesFromText(name)).toEqual(bytes.subarray(0, 63));
      expect(bytesFromText(found[0]!.compatible)).toEqual(bytes.subarray(0, 48));
      expect(JSON.parse(toJson(forensic!)).luo.sessions[0].name).toMatch(/^(\\x[0-9a-f]{2})+$/);
    }
  });

  it("as long as a blob are cut where findings repeat them", () => {
    const builder = new Builder();
    const long = "n".repeat(100_000);
    const child = (name: string) => ({ name, properties: [["compatible", string(`${long}v9`)] as const] });
    const regions = flatten({
      name: "",
      properties: [["compatible", string(long)]],
      children: [child(long), child("b")],
    });
    const fdt = builder.root([
      ["memblock", builder.page(regions), BigInt(regions.length)],
      [long, 0n, 1n],
      [`${long}2`, 1n << 63n, 1n << 62n],
    ]);
    const { findings } = decodeHandover(builder.image, { fdt, mode: "forensic" });
    findings.forEach(checkFinding);
    expect(findings.length).toBeGreaterThan(5);
    expect(findings.every(({ message, path }) => message.length <= 1003 && path.length <= 1003)).toBe(true);
  });

  it("versions of the root and of live update: unknown, empty, long, inherited", () => {
    for (const version of [
      "",
      "kho-v5",
      "kho-v",
      "__proto__",
      "constructor",
      "kho-v4\0x",
      "k".repeat(5000),
      "\u001b",
    ]) {
      const builder = new Builder();
      const luo = luoRoot(0n);
      luo.set(new TextEncoder().encode(version).subarray(0, 8));
      const fdt = builder.root([["LUO", builder.page(luo), 32n]], builder.page(), version);
      endure(builder.capture({ fdt }), JSON.stringify(version));
      endure(builder.capture({ fdt, release: "6.18" }), JSON.stringify(version));
    }
  });

  it("numbers beyond what the interchange form holds are capped", () => {
    const capture = load("7.3-memfd");
    const { memory, decoded } = capture;
    for (const { pa, path } of decoded.structures.filter((claim) => /\.folios$/.test(claim.path))) {
      memory.put(pa + 8n, (1n << 64n) - 1n);
      memory.put(pa, (1n << 64n) - 1n);
      checkInterchange(endure(capture, path).forensic!);
      memory.restore();
    }
    expect(toBinary(decoded).length).toBeGreaterThan(100);
  });
});
