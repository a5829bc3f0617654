import type { Random } from "./random.js";

/** An input to begin with, and where it is from. */
export interface Seed {
  readonly name: string;
  readonly data: Uint8Array;
}

/** What one execution may take before it is a finding. */
export interface Limits {
  /** Entries of functions and rounds of loops: some 50 million a second. */
  readonly steps: number;
  /** Bytes of typed arrays, arrays and strings whose length is asked for at once. */
  readonly bytes: number;
}

/** What a file `fuzz/NAME.ts` exports. Only `fuzz` is needed, and jazzer.js calls nothing else. */
export interface TargetModule {
  /** One sentence. */
  readonly about?: string;
  /** Runs one input, and throws where that shows a fault. Depends on nothing but its bytes, which it does not change. */
  fuzz(data: Uint8Array): void;
  /** The same inputs in the same order whenever it is called. */
  seeds?(): Iterable<Seed>;
  /** Another input made from one, by what its parts mean. Leaves `data` as it is; depends on nothing but its arguments. */
  mutate?(data: Uint8Array, random: Random): Uint8Array;
  /** Where the {@link defaultLimits} are too much or too little for an input of so many bytes. */
  limits?(length: number): Limits;
  /** Most bytes of an input; mutations never make longer ones. {@link defaultMaxLength} unless given. */
  readonly maxLength?: number;
}

/** Ten times what the costliest real capture of the fixtures takes, and a share for what is in the input. */
export const defaultLimits = (length: number): Limits => ({
  steps: 20_000_000 + 200 * length,
  bytes: 2 ** 26 + 64 * length,
});

export const defaultMaxLength = 2 ** 20;
