/** Preserved vmalloc areas: what is written reads the same, and damaged lists are survived. */
import { kernelOf } from "../formats/kernels.js";
import { khoVmalloc, khoVmallocChunk, vmallocPerChunk } from "../formats/kho/layout.js";
import { decodeVmalloc, vmallocBytes, vmallocPages } from "../formats/kho/vmalloc.js";
import { encodeVmalloc, encodeVmallocContent, vmallocChunks } from "../formats/kho/vmalloc-encode.js";
import { fail } from "../src/fuzz/finding.js";
import type { Random } from "../src/fuzz/random.js";
import { type Abi, decode, encode, pageSizes } from "../src/layout/index.js";
import { addressOf, pfnOf, physAddr } from "../src/memory/index.js";
import { mutateBytes } from "./mutate/bytes.js";
import { cursorOf } from "./mutate/cursor.js";
import { newBench } from "./oracles/bench.js";
import { differenceOf } from "./oracles/equal.js";
import { reading } from "./oracles/errors.js";
import type { Seed } from "./seeds/seed.js";

export const about = "preserved vmalloc areas: written, read, damaged";

export function* seeds(): Generator<Seed> {
  for (const [p, size] of pageSizes.entries())
    for (const [name, blocks, order] of [
      ["none", [0, 0], 0],
      ["few", [3, 0], 0],
      ["huge", [4, 0], 3],
      // The last chunk full to the end, and one more.
      ["full", [vmallocPerChunk({ byteOrder: "little", pageSize: 4096 }) & 0xff, 1], 0],
      ["two", [0, 2], 0],
    ] as const)
      yield { name: `${name}-${size / 1024}k`, data: Uint8Array.of(p, order, ...blocks, 9, 3, 1) };
}

export const mutate = (data: Uint8Array, random: Random): Uint8Array => mutateBytes(data, random);

/** Blocks of a recipe at most: two chunks of 4K pages and a half. */
const mostBlocks = 1300;

export function fuzz(data: Uint8Array): void {
  const recipe = cursorOf(data);
  const abi: Abi = { byteOrder: "little", pageSize: recipe.pick(pageSizes) };
  const order = recipe.u8() % 12;
  const bench = newBench(abi, kernelOf("7.3"));
  const count = recipe.u16() % mostBlocks;
  const length = recipe.u8();
  const gap = 1 + recipe.below(4);
  // Nobody reads the blocks themselves but the first. They are far from all else.
  const first = pfnOf(physAddr(1n << 40n), abi.pageSize);
  const pfns = Array.from({ length: count }, (_, i) => first + i * gap * 2 ** order);
  const chunks = Array.from({ length: vmallocChunks(count, abi) }, () => bench.place());
  const at = bench.place();
  const descriptor = encodeVmalloc(bench.target, chunks, pfns, order);
  bench.target.write(at, encode(khoVmalloc, descriptor, abi));
  const content = Uint8Array.from({ length: count > 0 && order <= 4 ? length : 0 }, (_, i) => i + 1);
  if (content.length > 0)
    encodeVmallocContent(bench.target, { pfns: pfns.slice(0, 1), order }, content.length, (bytes, from) =>
      bytes.set(content.subarray(from, from + bytes.length)),
    );

  const read = () =>
    bench.read((ctx) =>
      reading("area", () => {
        const area = decodeVmalloc(
          ctx,
          decode(khoVmalloc, ctx.memory.read(at, 16), 0, abi),
          "kho_test.folios_info",
        );
        const bytes: number[] = [];
        for (const page of vmallocPages(ctx, area, content.length, "kho_test.folios_info"))
          bytes.push(...page.bytes);
        return { area, bytes };
      }),
    );
  const { value: whole, findings } = read();
  if (findings.length > 0 && order <= 2 * (Math.log2(abi.pageSize) - 3))
    fail("roundtrip", `what was written is found to be damaged: ${findings[0]!.message}`);
  const { area, bytes } = whole.value!;
  if (area.complete) {
    const difference = differenceOf(pfns, area.pfns);
    if (difference !== undefined) fail("roundtrip", `addresses: ${difference}`);
    if (bytes.length !== content.length || bytes.some((byte, i) => byte !== content[i]))
      fail("roundtrip", "contents differ");
    if (vmallocBytes(area, abi) !== count * 2 ** order * abi.pageSize) fail("roundtrip", "the size differs");
  }
  bench.damage(
    [{ layout: khoVmalloc, pa: at }, ...chunks.map((pa) => ({ layout: khoVmallocChunk, pa }))],
    recipe,
  );
  const damaged = read().value.value?.area;
  // Blocks do not overlap, and none lies in a chunk, so that the capture bounds them.
  if (damaged?.complete) {
    const taken = new Set(damaged.pfns);
    if (taken.size !== damaged.pfns.length) fail("invariant", "a block is listed twice");
    for (const pfn of taken)
      if (addressOf(pfn, abi.pageSize) % (BigInt(abi.pageSize) << BigInt(damaged.order)) !== 0n)
        fail("invariant", "a block is not aligned");
  }
}
