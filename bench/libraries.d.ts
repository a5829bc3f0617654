/** What the benchmarks use of libraries that have no types of their own. */

declare module "binary-parser" {
  export class Parser {
    endianness(order: "little" | "big"): this;
    uint32(name: string): this;
    uint64(name: string): this;
    array(name: string, options: { type: Parser; length: number }): this;
    // biome-ignore lint/suspicious/noExplicitAny: what was described as names and types is not known to the compiler
    parse(bytes: Uint8Array): any;
  }
}

declare module "buffer-layout" {
  interface Layout<T> {
    decode(bytes: Uint8Array, offset?: number): T;
  }
  export function u32(property?: string): Layout<number>;
  /** Exact below 2^53. */
  export function nu64(property?: string): Layout<number>;
  // biome-ignore lint/suspicious/noExplicitAny: the library does not say what its layouts decode to
  export function struct(fields: readonly Layout<any>[]): Layout<any>;
  export function seq<T>(layout: Layout<T>, count: number): Layout<T[]>;
}

declare module "restructure" {
  export const uint32le: unknown;
  export class Struct<T> {
    constructor(fields: { [K in keyof T]: unknown });
    fromBuffer(bytes: Uint8Array): T;
  }
  class Repeated<T> {
    constructor(type: Struct<T>, length: number);
    // biome-ignore lint/suspicious/noExplicitAny: the library does not say what its layouts decode to
    fromBuffer(bytes: Uint8Array): any[];
  }

  export { Repeated as Array };
}
