import { offsetOf, sizeOf } from "../../src/layout/index.js";
import {
  FDT_BEGIN_NODE,
  FDT_END,
  FDT_END_NODE,
  FDT_PROP,
  FDT_TAGSIZE,
  fdtAbi,
  fdtNodeHeader,
  fdtPropertyHeader,
} from "./layout.js";
import { aligned, terminated } from "./tokens.js";

/** Writes a structure block, token by token. */
export interface StructureWriter {
  /** @throws KhoError `value-range` if the name has a NUL, or a lone surrogate that stands for no byte */
  begin(name: string): void;
  /** `fromEnd` is where the property's name is, in bytes from the end of the strings block. */
  property(fromEnd: number, value: Uint8Array): void;
  end(): void;
  /** The block with its FDT_END, once the size of the whole strings block is known. */
  finish(stringsSize: number): Uint8Array;
}

const nodeHeaderSize = sizeOf(fdtNodeHeader, fdtAbi);
const propertySize = sizeOf(fdtPropertyHeader, fdtAbi);
const lenAt = offsetOf(fdtPropertyHeader, "len", fdtAbi);
const nameoffAt = offsetOf(fdtPropertyHeader, "nameoff", fdtAbi);

export function structureWriter(): StructureWriter {
  let bytes = new Uint8Array(1024);
  let view = new DataView(bytes.buffer);
  let length = 0;
  /** Where properties begin. */
  const properties: number[] = [];

  /** Makes room for `size` bytes and what aligns them, which is zeros, and gives their place. */
  const take = (size: number): number => {
    const at = length;
    length = aligned(at + size);
    if (length > bytes.length) {
      const larger = new Uint8Array(Math.max(length, bytes.length * 2));
      larger.set(bytes);
      bytes = larger;
      view = new DataView(bytes.buffer);
    }
    return at;
  };
  const tag = (value: number): void => {
    // In this order: room that is made is in another buffer.
    const at = take(FDT_TAGSIZE);
    view.setUint32(at, value);
  };
  return {
    begin(name) {
      const at = take(nodeHeaderSize + name.length + 1);
      const start = at + nodeHeaderSize;
      view.setUint32(at, FDT_BEGIN_NODE);
      for (let i = 0; i < name.length; i++) {
        const code = name.charCodeAt(i);
        if (code === 0 || code >= 0x80) {
          // Not as many bytes as characters, or none at all.
          bytes.fill(0, at, length);
          length = at;
          const encoded = terminated(name);
          take(nodeHeaderSize + encoded.length);
          view.setUint32(at, FDT_BEGIN_NODE);
          bytes.set(encoded, start);
          return;
        }
        bytes[start + i] = code;
      }
    },
    property(fromEnd, value) {
      const at = take(propertySize + value.length);
      view.setUint32(at, FDT_PROP);
      view.setUint32(at + lenAt, value.length);
      view.setUint32(at + nameoffAt, fromEnd);
      bytes.set(value, at + propertySize);
      properties.push(at);
    },
    end: () => tag(FDT_END_NODE),
    finish(stringsSize) {
      tag(FDT_END);
      for (const at of properties) {
        const place = at + nameoffAt;
        view.setUint32(place, stringsSize - view.getUint32(place));
      }
      return bytes.subarray(0, length);
    },
  };
}
