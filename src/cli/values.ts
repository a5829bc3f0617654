import { InvalidArgumentError } from "commander";

/**
 * Readers of option values. Strict: a number that is nearly right is an error with what would be right, because an
 * address that is silently read as another one costs somebody a night.
 */

/** An address: decimal or 0x hex, at most 64 bits. */
export function address(text: string): bigint {
  const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? BigInt(text.toLowerCase()) : undefined;
  if (value === undefined || value >> 64n !== 0n)
    throw new InvalidArgumentError("It is no address: write 0x4b3000 or 4927488, at most 64 bits.");
  return value;
}

/** A token: any u64, decimal or 0x hex. */
export function token(text: string): bigint {
  const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? BigInt(text.toLowerCase()) : undefined;
  if (value === undefined || value >> 64n !== 0n)
    throw new InvalidArgumentError("It is no token: write 4096 or 0x1000, at most 64 bits.");
  return value;
}

const suffixes = "kmgt";

function scaled(text: string): number | undefined {
  const match = /^(0x[0-9a-f]+|[0-9]+)(?:([kmgt])(?:i?b)?)?$/i.exec(text);
  if (!match) return undefined;
  const value =
    BigInt(match[1]!.toLowerCase()) <<
    BigInt(10 * (suffixes.indexOf((match[2] ?? "").toLowerCase() || "-") + 1));
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}

/** Bytes: `512M`, `4G`, `1048576`; the suffixes are powers of 1024. */
export function size(text: string): number {
  const value = scaled(text);
  if (value === undefined || value === 0)
    throw new InvalidArgumentError("It is no size: write 512M, 4G or a number of bytes.");
  return value;
}

/** One of the three page sizes that kernels with KHO are built with. */
export function pageSize(text: string): number {
  const value = scaled(text);
  if (value !== 4096 && value !== 16384 && value !== 65536)
    throw new InvalidArgumentError("Page sizes are 4096, 16384 and 65536, or 4K, 16K and 64K.");
  return value;
}

/** A position in a list, from 0. */
export function index(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new InvalidArgumentError("It is no index: write 0, 1, 2 ...");
  return Number(text);
}
