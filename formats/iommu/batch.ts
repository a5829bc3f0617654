/** Leaves of one table, as columns: a row is `count` leaves, one behind the other on both sides. */
export interface LeafBatch {
  length: number;
  /** Of the table that they are in. */
  level: number;
  /** First frame as the device sees it, and the frame that it leads to. */
  readonly iova: Float64Array;
  readonly frame: Float64Array;
  readonly count: Int32Array;
  /** Base-2 logarithm of the bytes of one. */
  readonly lg2: Uint8Array;
  /** What the leaves and all entries above them allow. */
  readonly access: Uint8Array;
  /** The first leaf's word. */
  readonly lo: Int32Array;
  readonly hi: Int32Array;
}

/** Takes what a walk finds, in ascending order of input addresses. */
export interface LeafSink {
  /** What is in the batch is valid until the call returns. */
  leaves(batch: LeafBatch): void;
  /**
   * A table of a level, before what is in it. `index`, `lo` and `hi` are of the entry that leads to it, in the latest table of
   * the level `above`; all are 0 for the top table, which nothing leads to.
   */
  table?(frame: number, level: number, above: number, index: number, lo: number, hi: number): void;
  /** True if leaves come together only where they agree in every bit, so that each one's word follows from the first's. */
  readonly exact?: boolean;
  /** True once it takes no more: the walk ends. */
  readonly full?: boolean;
}

/** Room for every entry of a table. */
export function newBatch(rows: number): LeafBatch {
  return {
    length: 0,
    level: 0,
    iova: new Float64Array(rows),
    frame: new Float64Array(rows),
    count: new Int32Array(rows),
    lg2: new Uint8Array(rows),
    access: new Uint8Array(rows),
    lo: new Int32Array(rows),
    hi: new Int32Array(rows),
  };
}

export const batchIsFull = ({ length, iova }: LeafBatch): boolean => length === iova.length;
