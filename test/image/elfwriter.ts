/** A program header to write; everything is as given, right or wrong. */
export interface TestSegment {
  readonly type?: number;
  readonly paddr?: bigint;
  readonly vaddr?: bigint;
  /** What is in the file. */
  readonly data?: Uint8Array;
  /** The fields where they are not to follow from `data`. */
  readonly offset?: bigint;
  readonly filesz?: bigint;
  readonly memsz?: bigint;
}

export interface TestCore {
  readonly segments: readonly TestSegment[];
  readonly big?: boolean;
  readonly machine?: number;
  readonly type?: number;
  /** Bytes from one program header to the next. */
  readonly stride?: number;
  /** Writes 0xffff into e_phnum and the count into section header 0. */
  readonly extended?: boolean;
  /** Where section header 0 is said to be. */
  readonly shoff?: bigint;
}

/**
 * Writes an ELF64 core with offsets typed from the ELF specification, on purpose independent of the layouts that are
 * tested: header, section header 0 if extended, program headers, data.
 */
export function elfCore(core: TestCore): Uint8Array {
  const little = !core.big;
  const stride = core.stride ?? 56;
  const table = core.extended ? 128 : 64;
  const count = core.segments.length;
  let end = table + stride * count;
  const places = core.segments.map(({ data }) => {
    const at = end;
    end += data?.length ?? 0;
    return at;
  });
  const bytes = new Uint8Array(end);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, little ? 1 : 2, 1]);
  view.setUint16(16, core.type ?? 4, little);
  view.setUint16(18, core.machine ?? 62, little);
  view.setUint32(20, 1, little);
  view.setBigUint64(32, BigInt(table), little);
  view.setBigUint64(40, core.shoff ?? (core.extended ? 64n : 0n), little);
  view.setUint16(52, 64, little);
  view.setUint16(54, stride, little);
  view.setUint16(56, core.extended ? 0xffff : count, little);
  view.setUint16(58, 64, little);
  if (core.extended) view.setUint32(64 + 44, count, little);
  for (const [i, segment] of core.segments.entries()) {
    const at = table + i * stride;
    const size = BigInt(segment.data?.length ?? 0);
    view.setUint32(at, segment.type ?? 1, little);
    view.setBigUint64(at + 8, segment.offset ?? BigInt(places[i]!), little);
    view.setBigUint64(at + 16, segment.vaddr ?? 0n, little);
    view.setBigUint64(at + 24, segment.paddr ?? 0n, little);
    view.setBigUint64(at + 32, segment.filesz ?? size, little);
    view.setBigUint64(at + 40, segment.memsz ?? segment.filesz ?? size, little);
    if (segment.data) bytes.set(segment.data, places[i]!);
  }
  return bytes;
}

/** Notes one behind the other, as the data of a PT_NOTE segment. */
export function notes(
  list: readonly { name: string; type?: number; desc: Uint8Array }[],
  big = false,
): Uint8Array {
  const pad = (length: number): number => (length + 3) & ~3;
  const size = list.reduce((sum, { name, desc }) => sum + 12 + pad(name.length + 1) + pad(desc.length), 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { name, type = 0, desc } of list) {
    view.setUint32(at, name.length + 1, !big);
    view.setUint32(at + 4, desc.length, !big);
    view.setUint32(at + 8, type, !big);
    bytes.set(new TextEncoder().encode(name), at + 12);
    bytes.set(desc, at + 12 + pad(name.length + 1));
    at += 12 + pad(name.length + 1) + pad(desc.length);
  }
  return bytes;
}

export const text = (content: string): Uint8Array => new TextEncoder().encode(content);

/** Bytes that differ from place to place. */
export const pattern = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 7 + seed * 101) & 0xff);
