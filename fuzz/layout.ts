/** Layouts: every one that is known, and any that can be described. Decoding and encoding are inverse. */
import { kernels } from "../formats/kernels.js";
import { layoutsOf } from "../formats/registry.js";
import { fail } from "../src/fuzz/finding.js";
import type { Random } from "../src/fuzz/random.js";
import {
  type Abi,
  array,
  be,
  bits,
  bytes,
  chars,
  columns,
  decode,
  encode,
  encodeColumns,
  type Field,
  type Fields,
  type Layout,
  le,
  padding,
  pageSizes,
  resolve,
  type Struct,
  s8,
  s16,
  s32,
  s64,
  sizeOf,
  struct,
  u8,
  u16,
  u32,
  u64,
  type ValueOf,
  view,
  walk,
} from "../src/layout/index.js";
import { mutateBytes } from "./mutate/bytes.js";
import { type Cursor, cursorOf } from "./mutate/cursor.js";
import { mutateField } from "./mutate/fields.js";
import { differenceOf, firstDifference } from "./oracles/equal.js";
import { reading } from "./oracles/errors.js";
import type { Seed } from "./seeds/seed.js";

export const about = "every layout, and layouts made up: decode, encode, view, walk, columns";

const registered: readonly Struct[] = [...new Set(kernels.flatMap(layoutsOf))];
/** First byte of an input that describes a layout of its own. */
const madeUp = 0xff;

export function* seeds(): Generator<Seed> {
  for (const [i, layout] of registered.entries()) {
    const size = Math.min(sizeOf(layout, { byteOrder: "little", pageSize: 4096 }), 512);
    yield {
      name: `${layout.name}-${i}`,
      data: Uint8Array.from({ length: 2 + size }, (_, at) => [i, 0][at] ?? at * 37),
    };
  }
  yield { name: "bits", data: Uint8Array.of(madeUp, 1, 3, 6, 12, 6, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9) };
  yield {
    name: "texts",
    data: Uint8Array.of(madeUp, 0, 3, 7, 8, 0, 8, 3, 0x41, 0xff, 0xc3, 0xa4, 0, 1, 2, 3),
  };
  yield { name: "nested", data: Uint8Array.of(madeUp, 4, 3, 10, 2, 11, 1, 9, 2, 1, 2, 3, 4, 5, 6, 7, 8) };
}

export function mutate(data: Uint8Array, random: Random): Uint8Array {
  const layout = registered[data[0] ?? madeUp];
  const abi = abiOf(data[1] ?? 0);
  if (!layout || random.chance(3) || data.length < 2 + sizeOf(layout, abi)) return mutateBytes(data, random);
  const changed = data.slice();
  mutateField(layout, changed, 2, { abi, addresses: [], texts: [] }, random);
  return changed;
}

const abiOf = (choice: number): Abi => ({
  byteOrder: choice & 4 ? "big" : "little",
  pageSize: pageSizes[(choice & 3) % pageSizes.length]!,
});

const scalars = [
  u8,
  u16,
  u32,
  u64,
  s8,
  s16,
  s32,
  s64,
  le.u32,
  le.u64,
  be.u16,
  be.u32,
  be.u64,
  be.s64,
  le.s16,
];

/** A layout as a recipe describes it. Depth is bounded, so that its size is. */
function described(recipe: Cursor, depth: number): Struct {
  const fields: { [name: string]: Field } = {};
  const count = 1 + recipe.below(5);
  for (let i = 0; i < count; i++) {
    const name = `f${i}`;
    const kind = recipe.below(depth > 2 ? 10 : 12);
    if (kind < 5) fields[name] = recipe.pick(scalars);
    else if (kind < 7) {
      const of = recipe.pick(scalars);
      const width = of.bytes * 8;
      const low = 1 + recipe.below(width - 1 || 1);
      fields[`${name}a`] = bits(of, low);
      if (low < width) fields[`${name}b`] = bits(of, width - low);
    } else if (kind === 7) fields[name] = chars(1 + recipe.below(20));
    else if (kind === 8)
      fields[name] = recipe.below(2) === 0 ? bytes(recipe.below(20)) : padding(recipe.below(9));
    else if (kind === 9) fields[name] = array(recipe.pick(scalars), recipe.below(9));
    else if (kind === 10) fields[name] = described(recipe, depth + 1);
    else fields[name] = array(described(recipe, depth + 1), recipe.below(4));
  }
  return struct("made_up", fields as Fields, { header: "fuzz/layout.ts", since: "6.16" });
}

export function fuzz(data: Uint8Array): void {
  const abi = abiOf(data[1] ?? 0);
  const known = registered[data[0] ?? madeUp];
  const recipe = cursorOf(data.subarray(2));
  const layout = known ?? described(recipe, 0);
  const rest = data.subarray(data.length - recipe.left);
  const size = sizeOf(layout, abi);
  // An odd offset: nothing has to be aligned.
  const all = new Uint8Array(size + 2).fill(0xa5);
  all.fill(0, 1, 1 + size);
  all.set(rest.subarray(0, size), 1);
  checkLayout(layout, all, abi);
}

function checkLayout(layout: Struct, all: Uint8Array, abi: Abi): void {
  const size = sizeOf(layout, abi);
  const value = reading("decode", () => decode(layout, all, 1, abi)).value;
  if (!value) fail("roundtrip", "a value cannot be decoded");
  const written = reading("encode", () => encode(layout, value as ValueOf<Struct>, abi)).value;
  if (!written) fail("roundtrip", "what was decoded cannot be encoded");
  const wanted = all.slice(1, 1 + size);
  let covered = 0;
  for (const { offset, size: length, layout: field, bit } of walk(layout as Layout, all, 1, abi)) {
    const at = offset - 1;
    if (at > covered || (at < covered && !bit))
      fail("invariant", `leaves do not tile: ${at} follows ${covered}`);
    covered = Math.max(covered, at + length);
    // What is behind the NUL of a text, and in no member, is not kept.
    if (field.kind === "padding") wanted.fill(0, at, at + length);
    const nul = field.kind === "chars" ? wanted.subarray(at, at + length).indexOf(0) : -1;
    if (nul >= 0) wanted.fill(0, at + nul, at + length);
  }
  if (covered !== size) fail("invariant", `leaves cover ${covered} of ${size} bytes`);
  const at = firstDifference(wanted, written);
  if (at >= 0) fail("roundtrip", `byte ${at} of struct ${layout.name}: ${wanted[at]} became ${written[at]}`);

  const row = view(layout, all, 1, abi) as Record<string, unknown>;
  for (const [name, member] of Object.entries(value)) {
    const difference = differenceOf(member, row[name], name);
    if (difference !== undefined) fail("invariant", `a view says otherwise: ${difference}`);
  }
  checkColumns(layout, all, abi, value as Record<string, unknown>, wanted);
}

/** Integers by column are the same, as far as doubles go, and come back. */
function checkColumns(
  layout: Struct,
  all: Uint8Array,
  abi: Abi,
  value: Record<string, unknown>,
  wanted: Uint8Array,
): void {
  const members = resolve(layout, abi).members;
  const names = members
    .filter(({ layout: { kind } }) => kind === "scalar" || kind === "bits")
    .map(({ name }) => name);
  if (names.length === 0) return;
  const read = reading("columns", () => columns(layout, all, 1, 1, names, abi)).value;
  if (!read) fail("invariant", "columns cannot be read");
  for (const name of names)
    if (Number(value[name]) !== read[name]![0])
      fail("invariant", `column ${name}: ${read[name]![0]} for ${value[name]}`);
  const whole = members.every(({ layout: { kind } }) => kind === "scalar" || kind === "bits");
  if (!whole || names.some((name) => Math.abs(read[name]![0]!) >= 2 ** 53)) return;
  const bytesOut = new Uint8Array(wanted.length);
  if (reading("write columns", () => encodeColumns(layout, read, bytesOut, 0, 1, abi)).error)
    fail("roundtrip", "columns that were read cannot be written");
  const at = firstDifference(wanted, bytesOut);
  if (at >= 0) fail("roundtrip", `byte ${at} of columns: ${wanted[at]} became ${bytesOut[at]}`);
}
