/** Changes of one structure that follow from its layout: no place and no size is written down here. */
import type { Random } from "../../src/fuzz/random.js";
import { type Abi, isTerminated, type Layout, type Leaf, type Scalar, walk } from "../../src/layout/index.js";
import { edges, get, put } from "./bytes.js";

/** What the fields of one structure can be made from. */
export interface Hints {
  readonly abi: Abi;
  /** Where other structures begin, and pages that are there. */
  readonly addresses: readonly bigint[];
  /** Texts that mean something: version strings, names. */
  readonly texts: readonly Uint8Array[];
}

const isLittle = ({ order }: Scalar, { byteOrder }: Abi): boolean =>
  (order === "native" ? byteOrder : order) === "little";

/** Leaves of a layout that hold something, and now and then others. */
function leavesToChange(layout: Layout, bytes: Uint8Array, at: number, hints: Hints, random: Random): Leaf[] {
  const leaves = [...walk(layout, bytes, at, hints.abi)];
  // Tables are mostly zeros; an entry that is none says more.
  const used = leaves.filter(({ offset, size }) => !isZero(bytes, offset, size));
  return leaves.length > 16 && used.length > 0 && !random.chance(8) ? used : leaves;
}

const isZero = (bytes: Uint8Array, at: number, length: number): boolean => {
  for (let i = at; i < at + length; i++) if (bytes[i] !== 0) return false;
  return true;
};

/** Changes one field of the value of `layout` at `at`, in place. */
export function mutateField(
  layout: Layout,
  bytes: Uint8Array,
  at: number,
  hints: Hints,
  random: Random,
): void {
  const leaves = leavesToChange(layout, bytes, at, hints, random);
  const leaf = leaves.length > 0 ? random.pick(leaves) : undefined;
  if (!leaf || leaf.size === 0) return;
  const { layout: field, offset, size, bit } = leaf;
  if (field.kind === "scalar") {
    const neighbour = random.pick(leaves);
    const value = mutated(get(bytes, offset, size, isLittle(field, hints.abi)), size * 8, random, {
      ...hints,
      neighbour: get(bytes, neighbour.offset, Math.min(neighbour.size, 8), isLittle(field, hints.abi)),
      isAddress: field.meaning === "address",
    });
    put(bytes, offset, value, size, isLittle(field, hints.abi));
  } else if (field.kind === "bits" && bit) {
    const little = isLittle(field.of, hints.abi);
    const unit = get(bytes, offset, size, little);
    const mask = ((1n << BigInt(bit.width)) - 1n) << BigInt(bit.shift);
    const now = (unit & mask) >> BigInt(bit.shift);
    const value = mutated(now, bit.width, random, { ...hints, neighbour: now, isAddress: false });
    put(bytes, offset, (unit & ~mask) | ((value << BigInt(bit.shift)) & mask), size, little);
  } else if (field.kind === "chars") mutateText(bytes, offset, size, hints, random);
  else bytes[offset + random.below(size)] = random.below(256);
}

interface NumberHints extends Hints {
  readonly neighbour: bigint;
  readonly isAddress: boolean;
}

/** Another number of `width` bits. */
function mutated(now: bigint, width: number, random: Random, hints: NumberHints): bigint {
  const { addresses, neighbour, isAddress, abi } = hints;
  const page = BigInt(abi.pageSize);
  const top = 1n << BigInt(width);
  const value = ((): bigint => {
    // An address is most useful where one is expected, and a word may be one without saying so.
    const kind = random.below(width === 64 && addresses.length > 0 ? 16 : 10);
    if (addresses.length > 0 && kind >= (isAddress ? 5 : 13)) {
      const other = random.pick(addresses);
      return random.pick([
        other,
        other,
        other,
        other + 8n,
        other + 1n,
        other + page,
        other - page,
        now + page,
      ]);
    }
    switch (kind) {
      case 0:
        return random.pick(edges);
      case 1:
        return random.pick([0n, 1n, top - 1n, top - 2n, top >> 1n, (top >> 1n) - 1n]);
      case 2:
        return now + 1n;
      case 3:
        return now - 1n;
      case 4:
        return now ^ (1n << BigInt(random.below(width)));
      case 5:
        return neighbour;
      case 6:
        return now + BigInt(random.below(64)) - 32n;
      case 7:
        return BigInt(random.below(1 << (1 + random.below(12))));
      case 8:
        return now << 1n;
      default:
        return random.u64();
    }
  })();
  return BigInt.asUintN(width, value);
}

/** Another text: without its NUL, empty, that of something else, or changed by a byte. */
function mutateText(bytes: Uint8Array, at: number, size: number, { texts }: Hints, random: Random): void {
  const field = bytes.subarray(at, at + size);
  const end = isTerminated(bytes, at, size) ? field.indexOf(0) : size;
  switch (random.below(6)) {
    case 0:
      field.fill(0x41 + random.below(26), end);
      break;
    case 1:
      field.fill(0);
      break;
    case 2:
      if (texts.length === 0) break;
      field.fill(0);
      field.set(random.pick(texts).subarray(0, size));
      break;
    case 3:
      field.fill(0, random.below(size));
      break;
    case 4:
      // As long as it can be, with its NUL.
      field.fill(0x61, end, size);
      field[size - 1] = 0;
      break;
    default:
      field[random.below(Math.max(1, Math.min(end + 1, size)))] = random.pick([
        0,
        0x20,
        0x2e,
        0x7f,
        0x80,
        0xc3,
        0xff,
        0x30 + random.below(10),
        random.below(256),
      ]);
  }
}

/** Sets or clears a stretch of bits, most often at one of its ends, in place. */
export function mutateBits(bytes: Uint8Array, at: number, length: number, random: Random): void {
  const bits = length * 8;
  const first = random.pick([0, bits - 1, random.below(bits), random.below(bits)]);
  const count = Math.min(bits - first, random.pick([1, 1, 2, 8, 64, bits]));
  const set = random.below(3);
  for (let bit = first; bit < first + count; bit++) {
    const mask = 1 << (bit % 8);
    const byte = at + (bit >>> 3);
    if (set === 0) bytes[byte] = bytes[byte]! & ~mask;
    else if (set === 1) bytes[byte] = bytes[byte]! | mask;
    else bytes[byte] = bytes[byte]! ^ mask;
  }
}
