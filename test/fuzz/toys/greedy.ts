export function fuzz(data: Uint8Array): void {
  if (data.length < 8) return;
  const count = new DataView(data.buffer, data.byteOffset, data.length).getUint32(0, true);
  if (count < 2 ** 31) new Uint8Array(count);
}
