/** Memory that counts what is read of it. */
import { fail } from "../../src/fuzz/finding.js";
import type { Image } from "../../src/image/image.js";
import { endOfMemory, type Memory, type PhysAddr } from "../../src/memory/index.js";
import { allowed } from "../../test/hostile/endure.js";

/** An image whose memory is watched. */
export interface Watched {
  readonly image: Image;
  /** Forgets what was read so far: the next piece of work has all that is allowed again. */
  restart(): void;
}

/** Frames that count as stored: what a segment has in memory beyond its bytes in the file are zeros that cost nothing. */
const frameSize = 4096;

/**
 * Watches the memory of an image of a file of `length` bytes. Fails for reads that cannot be, and for more reads and bytes
 * than what is stored can be worth. What is read is a copy of its own: looking past its end is an error then.
 */
export function watched(image: Image, length: number): Watched {
  const { memory } = image;
  const most = allowed(length + image.memory.ranges.length * frameSize);
  let reads = 0;
  let bytes = 0;
  /** Addresses that were asked for: what goes round in a circle comes back to the same ones. */
  const places = new Set<bigint>();
  const tooMuch = (): never => {
    const circle = places.size < reads / 2;
    return fail(
      circle ? "hang" : "over-read",
      `more than ${reads} reads of ${bytes} bytes are made of ${length} bytes${circle ? ", the same ones again and again" : ""}`,
    );
  };
  const count = (pa: bigint, asked: number): void => {
    if (!Number.isSafeInteger(asked) || asked < 0 || pa < 0n || pa >= endOfMemory)
      fail("over-read", `${asked} bytes at ${pa} are asked for`);
    places.add(pa);
    if (++reads > most.reads) tooMuch();
  };
  const view: Memory = {
    ranges: memory.ranges,
    has(pa, asked) {
      count(pa, asked);
      return memory.has(pa, asked);
    },
    read(pa: PhysAddr, asked: number) {
      count(pa, asked);
      const found = memory.read(pa, asked);
      if (found.length !== asked)
        fail("over-read", `${asked} bytes are asked for, ${found.length} come back`);
      bytes += asked;
      if (bytes > most.bytes) tooMuch();
      return found.slice();
    },
  };
  return {
    image: { ...image, memory: view },
    restart() {
      reads = 0;
      bytes = 0;
      places.clear();
    },
  };
}
