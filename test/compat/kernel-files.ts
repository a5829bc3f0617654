/** Kernel images written from the ELF specification and the x86 boot protocol, on purpose without our layouts. */

export interface TestElf {
  readonly bits?: 32 | 64;
  readonly big?: boolean;
  readonly machine?: number;
  readonly sections: Readonly<Record<string, Uint8Array>>;
  /** Count and index of names in section header 0, as files with very many sections have them. */
  readonly extended?: boolean;
  /** By name: a header to change, as it is in the file. */
  readonly patch?: (view: DataView, headerAt: (name: string) => number) => void;
}

/** An ELF program with sections: header, contents, names, section headers. */
export function elfFile({
  bits = 64,
  big = false,
  machine = 62,
  sections,
  extended = false,
  patch,
}: TestElf): Uint8Array {
  const wide = bits === 64;
  const little = !big;
  const [ehsize, shsize] = wide ? [64, 64] : [52, 40];
  const names = ["", ...Object.keys(sections), ".shstrtab"];
  const nameBytes = new TextEncoder().encode(names.map((name) => `${name}\0`).join(""));
  const contents = [...Object.values(sections), nameBytes];
  let at = ehsize;
  const places = contents.map((content) => {
    const place = at;
    at = (at + content.length + 7) & ~7;
    return place;
  });
  const table = at;
  const bytes = new Uint8Array(table + shsize * names.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, big ? 2 : 1, 1]);
  view.setUint16(16, 2, little);
  view.setUint16(18, machine, little);
  view.setUint32(20, 1, little);
  const word = (offset: number, value: number): void => {
    if (wide) view.setBigUint64(offset, BigInt(value), little);
    else view.setUint32(offset, value, little);
  };
  word(wide ? 40 : 32, table);
  const tail = wide ? 52 : 40;
  view.setUint16(tail, ehsize, little);
  view.setUint16(tail + 6, shsize, little);
  view.setUint16(tail + 8, extended ? 0 : names.length, little);
  view.setUint16(tail + 10, extended ? 0xffff : names.length - 1, little);
  const headerAt = (name: string): number => table + shsize * names.indexOf(name);
  if (extended) {
    word(table + (wide ? 32 : 20), names.length);
    view.setUint32(table + (wide ? 40 : 24), names.length - 1, little);
  }
  let nameAt = 1;
  for (const [i, content] of contents.entries()) {
    const name = names[i + 1]!;
    const header = headerAt(name);
    view.setUint32(header, nameAt, little);
    view.setUint32(header + 4, 1, little);
    word(header + (wide ? 24 : 16), places[i]!);
    word(header + (wide ? 32 : 20), content.length);
    bytes.set(content, places[i]!);
    nameAt += name.length + 1;
  }
  patch?.(view, headerAt);
  return bytes;
}

/** A bzImage of protocol 2.15 with one sector of setup and the payload right behind. */
export function bzImage(version: string | undefined, payload: Uint8Array): Uint8Array {
  const kernel = 2 * 512 + 512;
  const bytes = new Uint8Array(kernel + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0x1f1, 2);
  view.setUint16(0x1fe, 0xaa55, true);
  bytes.set(new TextEncoder().encode("HdrS"), 0x202);
  view.setUint16(0x206, 0x020f, true);
  if (version !== undefined) {
    view.setUint16(0x20e, 0x300 - 0x200, true);
    bytes.set(new TextEncoder().encode(`${version}\0`), 0x300);
  }
  view.setUint32(0x248, 0, true);
  view.setUint32(0x24c, payload.length, true);
  bytes.set(payload, kernel);
  return bytes;
}

/** What .rodata of a kernel holds: other text, then `linux_banner`. */
export const rodata = (release: string, before = 4096): Uint8Array =>
  new TextEncoder().encode(
    `${"Linux version %s\0".padEnd(before, ".")}Linux version ${release} (user@host) (gcc) #1 SMP\n\0`,
  );

/** A zstd frame of blocks that are stored as they are. RFC 8878, sections 3.1.1 and 3.1.1.2. */
export function zstdStored(content: Uint8Array): Uint8Array {
  const blockMax = 128 * 1024;
  const blocks = Math.max(1, Math.ceil(content.length / blockMax));
  const bytes = new Uint8Array(9 + 3 * blocks + content.length);
  const view = new DataView(bytes.buffer);
  // One segment, whose size follows in four bytes.
  bytes.set([0x28, 0xb5, 0x2f, 0xfd, 0xa0]);
  view.setUint32(5, content.length, true);
  let at = 9;
  for (let block = 0; block < blocks; block++) {
    const part = content.subarray(block * blockMax, (block + 1) * blockMax);
    const head = (part.length << 3) | (block === blocks - 1 ? 1 : 0);
    bytes.set([head & 0xff, (head >> 8) & 0xff, head >> 16], at);
    bytes.set(part, at + 3);
    at += 3 + part.length;
  }
  return bytes;
}

/** What the kernel's build puts behind a payload whose format does not end in the size of its content. */
export function withSize(payload: Uint8Array, size: number): Uint8Array {
  const bytes = new Uint8Array(payload.length + 4);
  bytes.set(payload);
  new DataView(bytes.buffer).setUint32(payload.length, size, true);
  return bytes;
}
