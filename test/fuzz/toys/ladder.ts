/** Found only by way of inputs that each come one step further; no comparison sees the last byte as it is. */
export function fuzz(data: Uint8Array): void {
  if (data[0] === 0x4b) if (data[1] === 0x48) if ((data[2]! ^ 0x55) === 0x1a) throw new Error("three steps");
}
