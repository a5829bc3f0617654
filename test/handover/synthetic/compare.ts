/** Says whether what was decoded is what was described. */

import { expect } from "vitest";
import { type Decoded, type DecodeOptions, decodeHandover } from "../../../src/handover/index.js";
import { openImage } from "../../../src/image/node.js";
import type { Written } from "./writer.js";

export const decodeWritten = (written: Written, options: DecodeOptions = {}, machine?: number): Decoded =>
  decodeHandover(openImage(written.core(machine)), options);

/** Findings that are more than worth knowing, in short. */
export const faultsOf = ({ findings }: Pick<Decoded, "findings">): string[] =>
  findings
    .filter(({ severity }) => severity !== "info")
    .map(({ severity, code, path, message }) => `${severity} ${code} ${path}: ${message}`);

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The text of a name: bytes that are no UTF-8 become U+DC00 and up, one by one. Names here are all or nothing. */
function textOf(name: string | Uint8Array): string {
  if (typeof name === "string") return name;
  try {
    return utf8.decode(name);
  } catch {
    return [...name].map((byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join("");
  }
}

const blockName = (order: number, pfn: number): string => `${order}:${pfn}`;

/** Compares everything that was described. */
export function expectAll(written: Written, { handover }: Decoded): void {
  const { plan, at } = written;
  const { form, pageSize } = plan;
  expect(handover.compatible).toBe(form.kho);
  expect(handover.pageSize).toBe(pageSize);
  expect(handover.handoff.fdtPa).toBe(at("root"));
  if (plan.handoff !== "nothing") {
    expect(handover.handoff.fdtSize).toBe(BigInt(pageSize));
    expect(handover.handoff.scratchPa).toBe(at("scratch"));
    expect(handover.handoff.scratchSize).toBe(BigInt(16 * plan.scratch.length));
    expect(handover.scratch).toEqual(plan.scratch);
    expect(handover.arch).toBe(plan.handoff === "setup_data" ? "x86_64" : "aarch64");
  }

  const { runs, rootPa, kind } = handover.preserved!;
  expect(rootPa).toBe(written.map.root);
  expect(kind).toBe(form.map === 512 ? "bitmap-512" : form.map === "page" ? "bitmap-page" : "radix");
  const found: string[] = [];
  for (let i = 0; i < runs.length; i++)
    for (let k = 0; k < runs.count[i]!; k++)
      found.push(blockName(runs.order[i]!, runs.pfn[i]! + k * 2 ** runs.order[i]!));
  const wanted = new Set(written.preserved.map(({ order, pfn }) => blockName(order, pfn)));
  expect(found.length).toBe(wanted.size);
  expect(found.filter((name) => !wanted.has(name))).toEqual([]);

  const names = new Map<string, string>();
  if (form.metadata && plan.metadata) names.set("kexec-metadata", "kho_kexec_metadata");
  if (plan.reserveMem?.length) names.set("memblock", "fdt");
  if (plan.khoTest) names.set("kho_test", "fdt");
  const sized = form.kho === "kho-v3" || form.kho === "kho-v4";
  for (const { name } of plan.unknown ?? []) names.set(name, sized ? "unknown" : "fdt");
  if (form.luo) names.set("LUO", form.luo.root === "structure" ? "luo_ser" : "fdt");
  expect(new Map(handover.subtrees.map(({ name, kind: blob }) => [name, blob]))).toEqual(names);
  for (const { name, blob } of plan.unknown ?? []) {
    const subtree = handover.subtrees.find((candidate) => candidate.name === name)!;
    expect(subtree.pa).toBe(at(`unknown:${name}`));
    expect(subtree.size).toBe(BigInt(blob.length));
    expect(subtree.blob).toEqual(blob);
  }

  expect(handover.reserveMem).toEqual(plan.reserveMem ?? []);
  if (form.metadata && plan.metadata)
    expect(handover.kexecMetadata).toEqual({
      version: 1,
      previousRelease: plan.metadata.release,
      kexecCount: plan.metadata.count,
    });
  else expect(handover.kexecMetadata).toBeUndefined();

  if (plan.khoTest) {
    expect(handover.khoTest?.nrFolios).toBe(plan.khoTest.length);
    expect([...handover.khoTest!.folios.order]).toEqual(plan.khoTest);
    expect([...handover.khoTest!.folios.pfn]).toEqual(written.testFolios.map(({ pfn }) => pfn));
    expect(handover.khoTest?.checksum).toBe("right");
  } else expect(handover.khoTest).toBeUndefined();

  if (form.luo) expectLuo(written, handover);
  else expect(handover.luo).toBeUndefined();
}

function expectLuo(written: Written, { luo }: Decoded["handover"]): void {
  const { plan, at } = written;
  const { form } = plan;
  expect(luo?.compatible).toBe(form.luo?.compatible);
  expect(luo?.liveupdateNumber).toBe(plan.liveupdateNumber ?? 1n);
  expect(luo?.flbs.map(({ name, data, count }) => ({ name, data, count }))).toEqual(
    form.luo?.flb ? (plan.flbs ?? []) : [],
  );
  const sessions = plan.sessions ?? [];
  expect(luo?.sessions.map(({ name }) => name)).toEqual(sessions.map(({ name }) => textOf(name)));
  for (const [s, session] of sessions.entries()) {
    const files = luo!.sessions[s]!.files;
    expect(luo!.sessions[s]!.pa).toBe(at(`session[${s}]`));
    expect(files.map(({ token }) => token)).toEqual(session.files.map(({ token }) => token));
    for (const [f, file] of session.files.entries()) {
      const decoded = files[f]!;
      expect(decoded.pa).toBe(at(`file[${s}][${f}]`));
      expect(decoded.compatible).toBe(textOf(file.compatible ?? form.memfd!));
      if (!file.memfd) {
        expect(decoded.data).toBe(file.data);
        expect(decoded.memfd).toBeUndefined();
        continue;
      }
      expect(decoded.data).toBe(at(`memfd[${s}][${f}]`));
      const memfd = decoded.memfd!;
      expect(memfd.size).toBe(file.memfd.size);
      expect(memfd.pos).toBe(file.memfd.pos ?? 0n);
      // Files without recorded seals get F_SEAL_SEAL.
      expect(memfd.seals).toBe(form.memfd === "memfd-v1" ? 1 : (file.memfd.seals ?? 0));
      expect(memfd.nrFolios).toBe(BigInt(file.memfd.folios.length));
      const folios: number[][] = [];
      const { index, pfn, order, count, flags, length } = memfd.folios;
      for (let i = 0; i < length; i++)
        for (let k = 0; k < count[i]!; k++)
          folios.push([index[i]! + k * 2 ** order[i]!, pfn[i]! + k * 2 ** order[i]!, order[i]!, flags[i]!]);
      const described = file.memfd.folios.flatMap((folio, i) =>
        folio.hole ? [] : [[folio.index, written.folios[s]![f]![i]!, folio.order, folio.flags ?? 3]],
      );
      expect(folios).toEqual(described);
    }
  }
}
