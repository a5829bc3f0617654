import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import { endOfMemory, type PhysAddr } from "./address.js";
import { maxRead } from "./memory.js";

/** What a read throws whose first missing byte is at `missing`. There is no address 2^64: such a read is wrong from its start. */
export function absentMemory(missing: bigint, wanted: PhysAddr, length: number): KhoError {
  const pa = missing < endOfMemory ? missing : wanted;
  const why =
    missing < endOfMemory ? `the capture holds no memory at ${hex(pa)}` : "no memory goes beyond 2^64";
  return new KhoError("memory-absent", why, {
    pa,
    length,
    expected: `${length} bytes at ${hex(wanted)}`,
    actual: "not captured",
  });
}

/** What a read of more than {@link maxRead} bytes throws. */
export const tooLongRead = (pa: PhysAddr, length: number): KhoError =>
  new KhoError("limit-exceeded", `a read of ${length} bytes at ${hex(pa)} is too long`, {
    pa,
    length,
    expected: `at most ${maxRead} bytes at once`,
    actual: `${length} bytes`,
  });
