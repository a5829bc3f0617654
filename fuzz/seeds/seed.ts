/** An input to begin with. */
export interface Seed {
  /** Letters, digits, dots and dashes. */
  readonly name: string;
  readonly data: Uint8Array;
}
