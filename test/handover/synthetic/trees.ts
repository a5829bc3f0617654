/** The two byte layouts of flattened trees that kernels write, from what libfdt does in its two modes. */

export interface Node {
  name: string;
  properties: [name: string, value: Uint8Array][];
  children: Node[];
}

export const node = (name: string, properties: Node["properties"] = [], children: Node[] = []): Node => ({
  name,
  properties,
  children,
});

const utf8 = new TextEncoder();
/** An ASCII string with its NUL. */
export const text = (value: string): Uint8Array => Uint8Array.from([...utf8.encode(value), 0]);
/** A number as the CPU stores it. */
export function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}
export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
/** A number of `count` cells of a device tree. */
export function cells(value: bigint, count: number): Uint8Array {
  const bytes = new Uint8Array(count * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i++)
    view.setUint32(i * 4, Number((value >> BigInt(32 * (count - 1 - i))) & 0xffffffffn));
  return bytes;
}
export const join = (...parts: ArrayLike<number>[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...Array.from(part)]));

const be = (value: number): number[] => [
  value >>> 24,
  (value >>> 16) & 255,
  (value >>> 8) & 255,
  value & 255,
];
const padded = (bytes: Uint8Array): number[] => [
  ...bytes,
  ...new Array((4 - (bytes.length % 4)) % 4).fill(0),
];

/** The structure block; `offsetOf` says where in the strings block a name is. */
function structure(root: Node, offsetOf: (name: string) => number): number[] {
  const words: number[] = [];
  const emit = (current: Node): void => {
    words.push(...be(1), ...padded(text(current.name)));
    for (const [name, value] of current.properties)
      words.push(...be(3), ...be(value.length), ...be(offsetOf(name)), ...padded(value));
    current.children.forEach(emit);
    words.push(...be(2));
  };
  emit(root);
  words.push(...be(9));
  return words;
}

const namesOf = (current: Node): string[] => [
  ...current.properties.map(([name]) => name),
  ...current.children.flatMap(namesOf),
];

function blob(reserveAt: number, words: number[], strings: Uint8Array): Uint8Array {
  const structureAt = reserveAt + 16;
  const stringsAt = structureAt + words.length;
  const header = [
    0xd00dfeed,
    stringsAt + strings.length,
    structureAt,
    stringsAt,
    reserveAt,
    17,
    16,
    0,
    strings.length,
    words.length,
  ].flatMap(be);
  const bytes = new Uint8Array(stringsAt + strings.length);
  bytes.set(header);
  bytes.set(words, structureAt);
  bytes.set(strings, stringsAt);
  return bytes;
}

/** Where `name` with its NUL is in `strings`, also as the tail of another one. */
function find(strings: readonly number[], name: string): number {
  const wanted = text(name);
  for (let at = 0; at + wanted.length <= strings.length; at++)
    if (wanted.every((byte, i) => strings[at + i] === byte)) return at;
  return -1;
}

/** Written in one go: reserve map at 0x30, each new string in front of the strings so far. */
export function sequentialTree(root: Node): Uint8Array {
  let strings: number[] = [];
  for (const name of namesOf(root)) if (find(strings, name) < 0) strings = [...text(name), ...strings];
  return blob(
    0x30,
    structure(root, (name) => find(strings, name)),
    Uint8Array.from(strings),
  );
}

/** Opened, edited and packed: reserve map at 0x28, strings in order of their first use, `first` before all others. */
export function packedTree(root: Node, first: readonly string[] = []): Uint8Array {
  const strings: number[] = [];
  for (const name of [...first, ...namesOf(root)]) if (find(strings, name) < 0) strings.push(...text(name));
  return blob(
    0x28,
    structure(root, (name) => find(strings, name)),
    Uint8Array.from(strings),
  );
}
