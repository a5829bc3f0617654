/** A column of twice the length that begins with the values of this one. */
export function grown<A extends Float64Array | Uint32Array | Uint16Array | Uint8Array>(column: A): A {
  const larger = new (column.constructor as new (length: number) => A)(column.length * 2);
  larger.set(column);
  return larger;
}
