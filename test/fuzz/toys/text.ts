export function fuzz(data: Uint8Array): void {
  const end = data.indexOf(0);
  switch (new TextDecoder().decode(data.subarray(0, end < 0 ? data.length : end))) {
    case "luo-v9":
      throw new Error("a name");
  }
}
