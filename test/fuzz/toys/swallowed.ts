/** Takes what the instrumentation throws for an error of its own. */
export function fuzz(data: Uint8Array): void {
  try {
    while (data.length > 3 && data[1]! > 250);
  } catch {}
}

export const limits = () => ({ steps: 100_000, bytes: 2 ** 20 });
