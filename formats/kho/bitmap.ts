/** Up to this many bytes, a loop beats a call. */
const short = 32;

/** Sets or clears the bits `[from, to)`, whole bytes at once. The bits are there, and `from` is below `to`. */
export function setBits(bitmap: Uint8Array, from: number, to: number, value = true): void {
  const first = from >>> 3;
  const last = (to - 1) >>> 3;
  const head = (0xff << (from & 7)) & 0xff;
  const tail = 0xff >>> (7 - ((to - 1) & 7));
  if (first === last) {
    changeByte(bitmap, first, head & tail, value);
    return;
  }
  changeByte(bitmap, first, head, value);
  const byte = value ? 0xff : 0;
  if (last - first > short) bitmap.fill(byte, first + 1, last);
  else for (let i = first + 1; i < last; i++) bitmap[i] = byte;
  changeByte(bitmap, last, tail, value);
}

function changeByte(bitmap: Uint8Array, at: number, mask: number, value: boolean): void {
  bitmap[at] = value ? bitmap[at]! | mask : bitmap[at]! & ~mask;
}
