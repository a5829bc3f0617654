import { type Bytes, bytes, type Struct, sizeOf } from "../../../src/layout/index.js";

/** A union without a name, as bytes: which of its members is valid is said elsewhere. As large as the largest of them. */
export const unionOf = (...members: readonly Struct[]): Bytes =>
  bytes((abi) => Math.max(...members.map((member) => sizeOf(member, abi))));
