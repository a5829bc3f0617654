/** BTF: types read, sized, written again, reduced. */
import { encodeBtf } from "../src/btf/encode.js";
import { type BtfKindForm, btfHeader, btfKinds, btfType } from "../src/btf/layout.js";
import { btfAbi, readBtf } from "../src/btf/read.js";
import { reduceBtf } from "../src/btf/reduce.js";
import { behind, sizeOfType } from "../src/btf/sizes.js";
import type { Btf, BtfType } from "../src/btf/types.js";
import { fail } from "../src/fuzz/finding.js";
import type { Random } from "../src/fuzz/random.js";
import { type Layout, sizeOf } from "../src/layout/index.js";
import { mutateBytes } from "./mutate/bytes.js";
import { mutateField } from "./mutate/fields.js";
import { differenceOf, firstDifference } from "./oracles/equal.js";
import { guarded, reading } from "./oracles/errors.js";
import type { Seed } from "./seeds/seed.js";

export const about = "BTF: types read, sized, written again, reduced";

const int = {
  kind: "INT",
  name: "long unsigned int",
  size: 8,
  signed: false,
  char: false,
  bool: false,
  bits: 64,
  offset: 0,
} as const;
const member = (name: string, type: number, bitOffset: number, bitSize?: number) => ({
  name,
  type,
  bitOffset,
  ...(bitSize !== undefined && { bitSize }),
});

export function* seeds(): Generator<Seed> {
  const plain: BtfType[] = [
    int,
    { kind: "ARRAY", type: 1, indexType: 1, length: 6 },
    { kind: "TYPEDEF", name: "u64", type: 1, flag: false },
    {
      kind: "STRUCT",
      name: "luo_file_ser",
      size: 64,
      flag: false,
      members: [member("compatible", 2, 0), member("data", 3, 384)],
    },
    { kind: "PTR", type: 4 },
    { kind: "CONST", name: "", type: 5, flag: false },
    {
      kind: "STRUCT",
      name: "list",
      size: 16,
      flag: false,
      members: [member("next", 5, 0), member("file", 6, 64)],
    },
  ];
  const kinds: BtfType[] = [
    int,
    {
      kind: "STRUCT",
      name: "bits",
      size: 8,
      flag: true,
      members: [member("pfn", 1, 0, 52), member("flags", 1, 52, 12)],
    },
    { kind: "UNION", name: "", size: 8, flag: false, members: [member("a", 1, 0), member("b", 2, 0)] },
    { kind: "ENUM", name: "e", size: 4, signed: true, values: [{ name: "A", value: -1n }] },
    { kind: "ENUM64", name: "e64", size: 8, signed: false, values: [{ name: "B", value: 1n << 40n }] },
    { kind: "FWD", name: "later", union: false },
    { kind: "FUNC_PROTO", type: 1, params: [{ name: "x", type: 1 }] },
    { kind: "FUNC", name: "f", type: 7, linkage: 1 },
    { kind: "VAR", name: "v", type: 1, linkage: 0 },
    { kind: "DATASEC", name: ".data", size: 8, variables: [{ type: 9, offset: 0, size: 8 }] },
    { kind: "FLOAT", name: "double", size: 8 },
    { kind: "DECL_TAG", name: "tag", type: 2, component: -1, flag: false },
    {
      kind: "STRUCT",
      name: "nested",
      size: 16,
      flag: false,
      members: [member("", 3, 0), member("e", 4, 64)],
    },
    { kind: "PTR", type: 6 },
  ];
  yield { name: "plain", data: encodeBtf(plain, "little") };
  yield { name: "plain-big", data: encodeBtf(plain, "big") };
  yield { name: "kinds", data: encodeBtf(kinds, "little") };
}

const forms: readonly BtfKindForm[] = btfKinds;
const parts: readonly Layout[] = forms.flatMap(({ one, each }) =>
  [one, each].filter((layout) => layout !== undefined),
);

/** Records begin where the header ends; the parts behind a head are where chance finds them. */
export function mutate(data: Uint8Array, random: Random): Uint8Array {
  const abi = btfAbi(data[0] === 0xeb ? "big" : "little");
  const from = sizeOf(btfHeader, abi);
  if (random.chance(4) || data.length < from + 16) return mutateBytes(data, random);
  const changed = data.slice();
  const hints = { abi, addresses: [], texts: [] };
  const layout = random.chance(8) ? btfHeader : random.chance(2) ? btfType : random.pick(parts);
  const at = layout === btfHeader ? 0 : from + 4 * random.below(Math.floor((data.length - from) / 4));
  if (at + sizeOf(layout, abi) <= changed.length) mutateField(layout, changed, at, hints, random);
  return changed;
}

/** Types of one input that are looked at. */
const mostTypes = 200;

export function fuzz(data: Uint8Array): void {
  const btf = reading("open", () => readBtf(data)).value;
  if (!btf) return;
  const types: BtfType[] = [];
  for (let id = 1; id <= Math.min(btf.count, mostTypes); id++) {
    const type = reading("type", () => btf.type(id)).value;
    reading("size", () => sizeOfType(btf, id));
    reading("behind", () => behind(btf, id));
    if (type) types.push(type);
  }
  if (types.length === btf.count) checkWritten(btf, types);
  const names = reading("names", () => btf.structNames()).value ?? [];
  checkReduced(btf, names);
}

function checkWritten(btf: Btf, types: readonly BtfType[]): void {
  const written = guarded("encode", () => encodeBtf(types, btf.byteOrder));
  if (written.error) {
    if (written.error.code !== "value-range")
      fail("roundtrip", `types cannot be written: ${written.error.message}`);
    return;
  }
  const again = reading("read again", () => readBtf(written.value));
  if (again.error) fail("roundtrip", `what was written cannot be read: ${again.error.message}`);
  for (const [i, type] of types.entries()) {
    const difference = differenceOf(type, again.value.type(i + 1));
    if (difference !== undefined) fail("roundtrip", `type ${i + 1}, written and read: ${difference}`);
  }
}

/** Reducing what was reduced changes nothing, and no structure has another size. */
function checkReduced(btf: Btf, names: readonly string[]): void {
  const some = names.slice(0, 8);
  const reduced = guarded("reduce", () => reduceBtf(btf, some)).value;
  if (!reduced) return;
  const { value: small, error } = reading("read what was reduced", () => readBtf(reduced));
  if (!small) fail("roundtrip", `what was reduced cannot be read: ${error.message}`);
  const twice = guarded("reduce again", () => reduceBtf(small, some)).value;
  if (!twice || firstDifference(reduced, twice) >= 0)
    fail("roundtrip", "reducing what was reduced changes it");
  for (const name of some) {
    const sizes = [btf, small].map((each) =>
      each.find("STRUCT", name).map((id) => reading("size", () => sizeOfType(each, id)).value),
    );
    const difference = differenceOf(sizes[0], sizes[1]);
    if (difference !== undefined) fail("roundtrip", `the size of ${name}: ${difference}`);
  }
}
