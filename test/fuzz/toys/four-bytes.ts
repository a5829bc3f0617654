export function fuzz(data: Uint8Array): void {
  if (data.length < 8) return;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (view.getUint32(2, false) === 0xd00dfeed) throw new Error("four bytes");
}
