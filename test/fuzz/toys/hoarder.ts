/** Ends its worker: what it allocates is not asked for at once. */
export function fuzz(data: Uint8Array): void {
  if (data.length < 3 || data[0]! < 128) return;
  const kept: unknown[] = [];
  for (;;) kept.push({ data, more: kept.length });
}

export const limits = () => ({ steps: 2 ** 31 - 1, bytes: 2 ** 40 });
