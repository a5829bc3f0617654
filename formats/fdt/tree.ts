import type { FdtHeader } from "./layout.js";

/** A flattened device tree that was read. Everything in it that is bytes is a view of {@link Fdt.bytes}. */
export interface Fdt {
  /** The bytes that were read, from the header on; not cut at `totalsize`. */
  readonly bytes: Uint8Array;
  /** As stored, but in version 16, which has no `size_dt_struct`, that is the number of bytes up to `totalsize`. */
  readonly header: FdtHeader;
  readonly root: FdtNode;
  /** The memory reservation block without its terminator. */
  readonly reservations: readonly FdtReservation[];
  /** False if a lenient reading found any fault, so that the tree may lack something. */
  readonly complete: boolean;
}

/** Memory that the tree asks to leave alone: physical address and size, both in bytes, both u64. */
export interface FdtReservation {
  readonly address: bigint;
  readonly size: bigint;
}

/** A node. Names are data: nothing stops two siblings from having the same one. */
export interface FdtNode {
  /** With its unit address, `memory@0`; the root's is empty. Bytes that are not UTF-8 as `textFromBytes` has them. */
  readonly name: string;
  /** Bytes from the start of the blob to the node's FDT_BEGIN_NODE token. */
  readonly offset: number;
  /** In the order of the blob. */
  readonly properties: readonly FdtProperty[];
  /** In the order of the blob. */
  readonly children: readonly FdtNode[];
}

/** A property. */
export interface FdtProperty {
  /** Empty also where a lenient reading could not read it; {@link nameOffset} is known even then. */
  readonly name: string;
  /** Bytes from the start of the blob to the FDT_PROP token. */
  readonly offset: number;
  /** Bytes from the start of the strings block to the name. */
  readonly nameOffset: number;
  /** Bytes from the start of the blob to the value. A multiple of 4, not of 8. */
  readonly valueOffset: number;
  /** Length of the value in bytes. */
  readonly length: number;
  /** The value: a view of the blob, made anew each time it is asked for. Do not write to it. */
  readonly value: Uint8Array;
}
