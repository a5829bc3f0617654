/** True if this CPU stores the low byte of a word first. */
export const hostIsLittle = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * The bytes as little-endian 32-bit words, as many as are whole: a view where alignment and this CPU allow it, else a
 * copy. Many times faster to go through than a DataView.
 */
export function littleWords(bytes: Uint8Array): Int32Array {
  const count = bytes.length >>> 2;
  if (hostIsLittle && bytes.byteOffset % 4 === 0)
    return new Int32Array(bytes.buffer, bytes.byteOffset, count);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Int32Array.from({ length: count }, (_, i) => view.getInt32(i * 4, true));
}

/**
 * Bytes of a buffer as u32 in this CPU's order, several times faster than a DataView; undefined if they are not aligned.
 * `length` is a multiple of 4. Their places are 32-bit integers.
 */
export function wordsAt(buffer: ArrayBufferLike, start: number, length: number): Uint32Array | undefined {
  return start % 4 === 0 && length < 2 ** 33 ? new Uint32Array(buffer, start, length / 4) : undefined;
}
