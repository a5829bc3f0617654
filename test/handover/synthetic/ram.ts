/** Sparse physical memory for tests, with numbers written by plain DataView calls, and its form as an ELF64 core. */

const frameSize = 4096;

export class Ram {
  readonly #frames = new Map<number, Uint8Array>();

  /** The 4 KiB frame at `pa`, there from now on. */
  #frame(pa: bigint): Uint8Array {
    const number = Number(pa / BigInt(frameSize));
    let frame = this.#frames.get(number);
    if (!frame) this.#frames.set(number, (frame = new Uint8Array(frameSize)));
    return frame;
  }

  /** Makes memory be there, as zeros where nothing was. */
  have(pa: bigint, length: number): void {
    for (let at = pa - (pa % BigInt(frameSize)); at < pa + BigInt(length); at += BigInt(frameSize))
      this.#frame(at);
  }

  /** Takes memory out of the capture. */
  drop(pa: bigint, length: number): void {
    for (let at = pa; at < pa + BigInt(length); at += BigInt(frameSize))
      this.#frames.delete(Number(at / BigInt(frameSize)));
  }

  write(pa: bigint, bytes: ArrayLike<number>): void {
    for (let done = 0; done < bytes.length; ) {
      const at = pa + BigInt(done);
      const into = Number(at % BigInt(frameSize));
      const count = Math.min(frameSize - into, bytes.length - done);
      const frame = this.#frame(at);
      for (let i = 0; i < count; i++) frame[into + i] = bytes[done + i]!;
      done += count;
    }
  }

  read(pa: bigint, length: number): Uint8Array {
    return Uint8Array.from({ length }, (_, i) => {
      const at = pa + BigInt(i);
      return this.#frame(at)[Number(at % BigInt(frameSize))]!;
    });
  }

  /** Numbers do not cross frames: every structure is aligned, or is written as bytes. */
  #view(pa: bigint): DataView {
    const frame = this.#frame(pa);
    return new DataView(frame.buffer, Number(pa % BigInt(frameSize)));
  }

  u8(pa: bigint, value: number): void {
    this.#view(pa).setUint8(0, value);
  }
  u16(pa: bigint, value: number): void {
    this.#view(pa).setUint16(0, value, true);
  }
  u32(pa: bigint, value: number): void {
    this.#view(pa).setUint32(0, value, true);
  }
  u64(pa: bigint, value: bigint): void {
    this.#view(pa).setBigUint64(0, BigInt.asUintN(64, value), true);
  }
  getU64(pa: bigint): bigint {
    return this.#view(pa).getBigUint64(0, true);
  }

  /** An ELF64 core with a PT_LOAD for each stretch. `machine` is e_machine: 62 x86-64, 183 AArch64, 0 none. */
  core(machine: number): Uint8Array {
    const numbers = [...this.#frames.keys()].sort((a, b) => a - b);
    const stretches: { first: number; frames: Uint8Array[] }[] = [];
    for (const number of numbers) {
      const last = stretches.at(-1);
      if (last && last.first + last.frames.length === number) last.frames.push(this.#frames.get(number)!);
      else stretches.push({ first: number, frames: [this.#frames.get(number)!] });
    }
    const headers = 64 + 56 * stretches.length;
    const core = new Uint8Array(headers + numbers.length * frameSize);
    const view = new DataView(core.buffer);
    core.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
    view.setUint16(16, 4, true); // ET_CORE
    view.setUint16(18, machine, true);
    view.setUint32(20, 1, true);
    view.setBigUint64(32, 64n, true); // e_phoff
    view.setUint16(52, 64, true);
    view.setUint16(54, 56, true);
    view.setUint16(56, stretches.length, true);
    let offset = headers;
    for (const [i, { first, frames }] of stretches.entries()) {
      const at = 64 + 56 * i;
      const size = BigInt(frames.length * frameSize);
      view.setUint32(at, 1, true); // PT_LOAD
      view.setUint32(at + 4, 6, true);
      view.setBigUint64(at + 8, BigInt(offset), true);
      view.setBigUint64(at + 24, BigInt(first) * BigInt(frameSize), true); // p_paddr
      view.setBigUint64(at + 32, size, true);
      view.setBigUint64(at + 40, size, true);
      for (const frame of frames) {
        core.set(frame, offset);
        offset += frameSize;
      }
    }
    return core;
  }
}

/** Bytes of a hex dump: `0010  00 41 0a ...  comment`. Offsets and what follows two blanks are left out. */
export function dump(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*([0-9a-f]{4})\s+((?:[0-9a-f]{2}(?:\s+|$)){1,16})/.exec(line);
    if (!match) continue;
    const at = Number.parseInt(match[1]!, 16);
    while (bytes.length < at) bytes.push(0);
    bytes.push(
      ...match[2]!
        .trim()
        .split(/\s+/)
        .map((byte) => Number.parseInt(byte, 16)),
    );
  }
  return Uint8Array.from(bytes);
}
