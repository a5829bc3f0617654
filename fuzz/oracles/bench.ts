/** A small memory that structures are written into by recipe, damaged by recipe, and read from. */
import { newClaims } from "../../formats/claims.js";
import { type Context, defaultLimits, reporter } from "../../formats/context.js";
import type { Kernel } from "../../formats/kernels.js";
import type { Target } from "../../formats/target.js";
import type { Image } from "../../src/image/image.js";
import { type Abi, type Layout, sizeOf, walk } from "../../src/layout/index.js";
import {
  type Memory,
  type PhysAddr,
  physAddr,
  type SparseMemory,
  sparseMemory,
} from "../../src/memory/index.js";
import type { Finding } from "../../src/report/finding.js";
import { checkFinding } from "../../test/hostile/endure.js";
import { edges, get, put } from "../mutate/bytes.js";
import type { Cursor } from "../mutate/cursor.js";
import { asserted } from "./errors.js";
import { type Watched, watched } from "./watched.js";

/** Where a layout lies. */
export interface Spot {
  readonly layout: Layout;
  readonly pa: PhysAddr;
}

export interface Bench {
  readonly abi: Abi;
  readonly kernel: Kernel;
  readonly memory: SparseMemory;
  readonly target: Target;
  /** Room for `2 ** order` pages, naturally aligned, of zeros. */
  place(order?: number): PhysAddr;
  /** Reads, watched, with what is found on the way. */
  read<T>(use: (ctx: Context) => T): { readonly value: T; readonly findings: readonly Finding[] };
  /** Damages fields of what lies in `spots`: a byte says which, one which field, one how. */
  damage(spots: readonly Spot[], recipe: Cursor): void;
}

/** Changes that one recipe makes at most. */
const mostChanges = 8;

export function newBench(abi: Abi, kernel: Kernel): Bench {
  const memory = sparseMemory();
  let next = 0x100000000n;
  let pages = 0;
  const target: Target = {
    abi,
    kernel,
    write: (pa, bytes) => memory.write(pa, bytes),
    leave: (_what, pa, length) => memory.cover(pa, length),
  };
  const place = (order = 0): PhysAddr => {
    const size = BigInt(abi.pageSize) << BigInt(order);
    const pa = physAddr(((next + size - 1n) / size) * size);
    next = pa + size;
    pages += 2 ** order;
    memory.cover(pa, Number(size));
    return pa;
  };
  const watch = (): Watched => {
    const image: Image = { kind: "raw", memory: memory as Memory, findings: [] };
    return watched(image, pages * abi.pageSize);
  };
  return {
    abi,
    kernel,
    memory,
    target,
    place,
    read(use) {
      const findings: Finding[] = [];
      const ctx: Context = {
        memory: watch().image.memory,
        abi,
        kernel,
        limits: defaultLimits,
        claims: newClaims(abi.pageSize),
        report: reporter(findings, false, 200),
      };
      const value = use(ctx);
      asserted(() => findings.forEach(checkFinding));
      return { value, findings };
    },
    damage(spots, recipe) {
      for (let left = mostChanges; left > 0 && recipe.left > 0 && spots.length > 0; left--)
        damageOne(memory, abi, spots, recipe);
    },
  };
}

function damageOne(memory: SparseMemory, abi: Abi, spots: readonly Spot[], recipe: Cursor): void {
  const { layout, pa } = spots[recipe.u16() % spots.length]!;
  const bytes = memory.read(pa, sizeOf(layout, abi)).slice();
  const leaves = [...walk(layout, bytes, 0, abi)];
  // Of long tables the head and the first entries say most.
  const leaf =
    leaves[recipe.u8() < 160 ? recipe.u8() % Math.min(8, leaves.length) : recipe.u16() % leaves.length]!;
  const { offset, size, bit } = leaf;
  if (size === 0) return;
  const width = Math.min(size, 8);
  const at = offset + (size > 8 ? recipe.u8() % (size - 7) : 0);
  const other = spots[recipe.u8() % spots.length]!.pa;
  const [shift, mask] = bit ? [BigInt(bit.shift), (1n << BigInt(bit.width)) - 1n] : [0n, (1n << 64n) - 1n];
  const unit = get(bytes, at, width, true);
  const now = (unit >> shift) & mask;
  const value = [
    () => recipe.pick(edges),
    () => other,
    () => other + BigInt(recipe.u8()) - 128n,
    () => now + 1n,
    () => now - 1n,
    () => now ^ (1n << BigInt(recipe.u8() % 64)),
    () => recipe.u64(),
    () => BigInt(recipe.u8()),
  ][recipe.u8() % 8]!();
  put(bytes, at, (unit & ~(mask << shift)) | ((BigInt.asUintN(64, value) & mask) << shift), width, true);
  memory.write(pa, bytes);
}
