/** Nothing is wrong here; inputs differ in what they reach. */
export function fuzz(data: Uint8Array): void {
  let sum = 0;
  for (const byte of data) {
    if (byte > 128) sum += byte & 7;
    else if (byte === 5) sum ^= 3;
    switch (sum & 15) {
      case 3:
      case 9:
        sum += 2;
        break;
      case 12:
        sum *= 3;
    }
  }
  if (sum > 1000) sum = 0;
}
