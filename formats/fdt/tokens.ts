import { bytesFromText, chars, encode } from "../../src/layout/index.js";
import {
  FDT_BEGIN_NODE,
  FDT_END_NODE,
  FDT_PROP,
  FDT_TAGSIZE,
  fdtAbi,
  fdtNodeHeader,
  fdtPropertyHeader,
} from "./layout.js";

/** `offset`, counted from the start of the structure block or of an aligned blob, or the next multiple of 4. */
export const aligned = (offset: number): number => Math.ceil(offset / FDT_TAGSIZE) * FDT_TAGSIZE;

/**
 * Text with the NUL behind it, as names and strings are stored.
 * @throws KhoError `value-range` if the text itself has a NUL, or a lone surrogate that stands for no byte
 */
export const terminated = (text: string): Uint8Array =>
  encode(chars(bytesFromText(text).length + 1), text, fdtAbi);

/** Bytes one behind the other. */
export function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function padded(bytes: Uint8Array): Uint8Array {
  const room = new Uint8Array(aligned(bytes.length));
  room.set(bytes);
  return room;
}

const token = (tag: number): Uint8Array => encode(fdtNodeHeader, { tag }, fdtAbi);

/** What begins a node. */
export const nodeBegin = (name: string): Uint8Array =>
  join([token(FDT_BEGIN_NODE), padded(terminated(name))]);
/** What ends a node. */
export const nodeEnd = (): Uint8Array => token(FDT_END_NODE);
/** A property whose name is at `nameoff` of the strings block. */
export const propertyToken = (nameoff: number, value: Uint8Array): Uint8Array =>
  join([encode(fdtPropertyHeader, { tag: FDT_PROP, len: value.length, nameoff }, fdtAbi), padded(value)]);
