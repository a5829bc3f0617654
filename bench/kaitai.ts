import KaitaiStream from "kaitai-struct/KaitaiStream.js";

/**
 * Parsers on the run-time library of Kaitai Struct, in the form that its compiler gives them: a class for each type,
 * whose constructor reads the members one by one. Written by hand, because the compiler is under the GPL.
 */

const streamOf = (bytes: Uint8Array): KaitaiStream =>
  new KaitaiStream(bytes.buffer as ArrayBuffer, bytes.byteOffset);

/** A record in halves; u64 is a number. */
export class KaitaiRecord {
  readonly low: number;
  readonly high: number;
  readonly index: number;

  constructor(io: KaitaiStream) {
    this.low = io.readU4le();
    this.high = io.readU4le();
    this.index = io.readU8le();
  }
}

/** Records up to the end of the buffer that `bytes` are in. */
export function kaitaiRecords(bytes: Uint8Array): KaitaiRecord[] {
  const io = streamOf(bytes);
  const records: KaitaiRecord[] = [];
  while (!io.isEof()) records.push(new KaitaiRecord(io));
  return records;
}

const asText = (io: KaitaiStream): string =>
  KaitaiStream.bytesToStr(io.readBytesTerm(0, false, true, true), "ASCII");
const padding = (io: KaitaiStream): Uint8Array => io.readBytes((4 - (io.pos % 4)) % 4);

/** FDT_BEGIN_NODE without its token. */
class KaitaiNode {
  readonly name: string;
  readonly padding: Uint8Array;

  constructor(io: KaitaiStream) {
    this.name = asText(io);
    this.padding = padding(io);
  }
}

/** FDT_PROP without its token. The name is read where it is asked for, as Kaitai's instances are. */
class KaitaiProperty {
  readonly length: number;
  readonly nameOffset: number;
  readonly value: Uint8Array;
  readonly padding: Uint8Array;
  readonly #io: KaitaiStream;
  readonly #strings: number;
  #name: string | undefined;

  constructor(io: KaitaiStream, strings: number) {
    this.#io = io;
    this.#strings = strings;
    this.length = io.readU4be();
    this.nameOffset = io.readU4be();
    this.value = io.readBytes(this.length);
    this.padding = padding(io);
  }

  get name(): string {
    if (this.#name !== undefined) return this.#name;
    const { pos } = this.#io;
    this.#io.seek(this.#strings + this.nameOffset);
    this.#name = asText(this.#io);
    this.#io.seek(pos);
    return this.#name;
  }
}

/** A device tree as a list of tokens: to nest them takes more than a description. */
export interface KaitaiToken {
  readonly kind: number;
  readonly body?: KaitaiNode | KaitaiProperty;
}

export function kaitaiTokens(bytes: Uint8Array): KaitaiToken[] {
  const io = streamOf(bytes);
  io.readBytes(4);
  io.readU4be();
  const structure = io.readU4be();
  const strings = io.readU4be();
  io.seek(structure);
  const tokens: KaitaiToken[] = [];
  for (;;) {
    const kind = io.readU4be();
    if (kind === 1) tokens.push({ kind, body: new KaitaiNode(io) });
    else if (kind === 3) tokens.push({ kind, body: new KaitaiProperty(io, strings) });
    else tokens.push({ kind });
    if (kind === 9) return tokens;
  }
}
