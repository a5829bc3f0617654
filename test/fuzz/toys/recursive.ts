export function fuzz(data: Uint8Array): void {
  const descend = (at: number): number => 1 + descend(data[at]! % data.length);
  if (data.length > 3 && data[1]! > 250) descend(0);
}

export const maxLength = 8;
