/**
 * Adds up what the sequences of a compressed zstd block would write, before fzstd is given the block: it follows every
 * length it reads, and twenty bytes of input can make it copy gigabytes into a block of 128 KiB. RFC 8878, 3.1.1.3.
 */
export interface SequenceChecker {
  /**
   * Checks one compressed block. The blocks of a frame are given in their order, for a block can reuse the tables
   * of the one before it.
   * @param room bytes that the block may expand to
   * @returns what is wrong with it, nothing if it is well-formed
   */
  check(block: Uint8Array, room: number): string | undefined;
}

/** A decoding table: for each state its symbol, and the bits to read and the base of the next state. */
interface Table {
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

/** One of the three codes: the default distribution, bounds, and of each symbol its extra bits and least value. */
interface Code {
  readonly maxLog: number;
  readonly standard: Table;
  readonly extra: readonly number[];
  readonly bases: readonly number[];
}

const log2 = (value: number): number => 31 - Math.clz32(value);
const times = (count: number, value: number): number[] => Array<number>(count).fill(value);
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** The values of a code's symbols follow one another: each begins where the extra bits of the one before it end. */
function code(
  maxLog: number,
  log: number,
  counts: readonly number[],
  extra: readonly number[],
  first: number,
): Code {
  let base = first;
  const bases = extra.map((bits) => (base += 2 ** bits) - 2 ** bits);
  return { maxLog, standard: buildTable(counts, log)!, extra, bases };
}

const literalCode = code(
  9,
  6,
  [4, 3, ...times(11, 2), 1, 1, 1, ...times(9, 2), 3, 2, ...times(5, 1), ...times(4, -1)],
  [...times(16, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, ...range(6, 16)],
  0,
);
const offsetCode = code(8, 5, [...times(6, 1), 2, 2, 2, ...times(15, 1), ...times(5, -1)], range(0, 31), 1);
const matchCode = code(
  9,
  6,
  [1, 4, 3, ...times(6, 2), ...times(37, 1), ...times(7, -1)],
  [...times(32, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, ...range(7, 16)],
  3,
);

/** A table from the number of states of each symbol; -1 stands for less than one. Nothing if they do not fill it. */
function buildTable(counts: readonly number[], log: number): Table | undefined {
  const size = 1 << log;
  const symbols = new Uint8Array(size);
  const next = counts.map((count) => Math.abs(count));
  let high = size;
  for (const [symbol, count] of counts.entries()) if (count < 0) symbols[--high] = symbol;
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (const [symbol, count] of counts.entries())
    for (let i = 0; i < count; i++) {
      symbols[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
  if (at !== 0) return undefined;
  const bits = new Uint8Array(size);
  const bases = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const value = next[symbols[state]!]!++;
    bits[state] = log - log2(value);
    bases[state] = (value << bits[state]!) - size;
  }
  return { log, symbols, bits, bases };
}

/** A table whose one symbol takes no bits. */
const runTable = (symbol: number): Table => ({
  log: 0,
  symbols: Uint8Array.of(symbol),
  bits: new Uint8Array(1),
  bases: new Uint16Array(1),
});

/** Reads a table's description, RFC 8878, 4.1.1. Nothing if it is malformed. */
function readTable(bytes: Uint8Array, from: number, { maxLog, extra }: Code): [Table, number] | undefined {
  let bit = from * 8;
  const take = (count: number): number => {
    const at = bit >> 3;
    const value = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
    const taken = (value >> (bit & 7)) & ((1 << count) - 1);
    bit += count;
    return taken;
  };
  const log = take(4) + 5;
  if (log > maxLog) return undefined;
  const counts: number[] = [];
  let remaining = 1 << log;
  while (remaining > 0 && counts.length < extra.length) {
    const width = log2(remaining + 1) + 1;
    const low = (1 << (width - 1)) - 1;
    const spare = (1 << width) - 2 - remaining;
    let value = take(width);
    if ((value & low) < spare) {
      bit--;
      value &= low;
    } else if (value > low) value -= spare;
    counts.push(value - 1);
    remaining -= Math.abs(value - 1);
    if (value === 1)
      for (let repeat = 3; repeat === 3 && counts.length < extra.length; ) {
        repeat = take(2);
        counts.push(...times(repeat, 0));
      }
  }
  const end = (bit + 7) >> 3;
  if (remaining !== 0 || counts.length > extra.length || end > bytes.length) return undefined;
  const table = buildTable(counts, log);
  return table && [table, end];
}

/** A checker for one frame. */
export function sequenceChecker(): SequenceChecker {
  const codes = [literalCode, offsetCode, matchCode] as const;
  /** The tables of the last block that had sequences. */
  let kept: Table[] | undefined;
  return {
    check: (block, room) => {
      const section = literals(block);
      if (!section || section.end >= block.length) return "its literals go beyond its end";
      if (section.size > room) return "it has more literals than room";
      const counted = sequenceCount(block, section.end);
      const { count } = counted;
      if (count === 0) return undefined;
      if (count * 3 > room) return "it has more sequences than room";
      let at = counted.end;
      const modes = block[at++] ?? 3;
      if (modes & 3) return "reserved bits of the sequences are set";
      const tables: Table[] = [];
      for (const [i, one] of codes.entries()) {
        const mode = (modes >> (6 - 2 * i)) & 3;
        if (mode === 0) tables.push(one.standard);
        else if (mode === 1) {
          const symbol = block[at++];
          if (symbol === undefined || symbol >= one.extra.length) return "a table has no such symbol";
          tables.push(runTable(symbol));
        } else if (mode === 2) {
          const read = readTable(block, at, one);
          if (!read) return "a table is malformed";
          tables.push(read[0]);
          at = read[1];
        } else if (kept) tables.push(kept[i]!);
        else return "it repeats a table that was never there";
      }
      kept = tables;
      return follow(block.subarray(at), count, tables, section.size, room);
    },
  };
}

/** Reads the sequences, whose bits are stored backwards, and adds up their lengths. */
function follow(
  bytes: Uint8Array,
  count: number,
  [forLiterals, forOffsets, forMatches]: readonly Table[],
  literalSize: number,
  room: number,
): string | undefined {
  const last = bytes.at(-1);
  if (!last) return "its sequences have no end mark";
  let bit = (bytes.length - 1) * 8 + log2(last);
  /** Up to 16 bits. Before the beginning there are zeros, which the check of `bit` below refuses. */
  const take = (width: number): number => {
    bit -= width;
    if (bit < 0) return 0;
    const at = bit >> 3;
    const value = bytes[at]! | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
    return (value >> (bit & 7)) & ((1 << width) - 1);
  };
  let literal = take(forLiterals!.log);
  let offset = take(forOffsets!.log);
  let match = take(forMatches!.log);
  let copied = 0;
  let matched = 0;
  for (let i = 0; i < count; i++) {
    const matchSymbol = forMatches!.symbols[match]!;
    const literalSymbol = forLiterals!.symbols[literal]!;
    bit -= forOffsets!.symbols[offset]!;
    matched += matchCode.bases[matchSymbol]! + take(matchCode.extra[matchSymbol]!);
    copied += literalCode.bases[literalSymbol]! + take(literalCode.extra[literalSymbol]!);
    if (i + 1 < count) {
      literal = forLiterals!.bases[literal]! + take(forLiterals!.bits[literal]!);
      match = forMatches!.bases[match]! + take(forMatches!.bits[match]!);
      offset = forOffsets!.bases[offset]! + take(forOffsets!.bits[offset]!);
    }
    if (bit < 0) return "its sequences end too early";
    if (copied > literalSize) return "its sequences use more literals than it has";
    if (literalSize + matched > room) return "its sequences write more than there is room for";
  }
  return bit === 0 ? undefined : "bits are left behind its sequences";
}

/** How many sequences there are, and where the count ends. */
function sequenceCount(block: Uint8Array, at: number): { count: number; end: number } {
  const first = block[at]!;
  const second = block[at + 1] ?? 0;
  if (first < 128) return { count: first, end: at + 1 };
  if (first < 255) return { count: ((first - 128) << 8) + second, end: at + 2 };
  return { count: second + ((block[at + 2] ?? 0) << 8) + 0x7f00, end: at + 3 };
}

/** How many literals there are, and where their section ends. */
function literals(block: Uint8Array): { size: number; end: number } | undefined {
  if (block.length === 0) return undefined;
  /** The first 5 bytes as one integer of 40 bits. */
  const header = [0, 1, 2, 3, 4].reduce((sum, i) => sum + (block[i] ?? 0) * 256 ** i, 0);
  const field = (from: number, width: number): number => Math.floor(header / 2 ** from) % 2 ** width;
  const type = field(0, 2);
  const format = field(2, 2);
  if (type < 2) {
    const [length, from, width] =
      format === 1 ? ([2, 4, 12] as const) : format === 3 ? ([3, 4, 20] as const) : ([1, 3, 5] as const);
    const size = field(from, width);
    return { size, end: length + (type === 0 ? size : 1) };
  }
  const [length, width] =
    format === 3 ? ([5, 18] as const) : format === 2 ? ([4, 14] as const) : ([3, 10] as const);
  return { size: field(4, width), end: length + field(4 + width, width) };
}
