export function fuzz(data: Uint8Array): void {
  if (data.length < 16) return;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (view.getBigUint64(8, true) === 0x4b48_4f4c_5546_445an) throw new Error("eight bytes");
}
