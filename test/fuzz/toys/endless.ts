export function fuzz(data: Uint8Array): void {
  let at = 0;
  while (at < data.length) at += data[at] === 200 ? 0 : data[at]! + 1;
}

export const limits = () => ({ steps: 100_000, bytes: 2 ** 20 });
