/** `0x103e44000`: how addresses and sizes in bytes are written everywhere. */
export function hex(value: bigint | number): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}
