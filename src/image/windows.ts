import { type FileOffset, fileOffset } from "../memory/address.js";
import type { ByteSource } from "../memory/source.js";

/** How a {@link windowedSource} caches. */
export interface WindowOptions {
  /** Bytes per window; 256 KiB unless given. */
  readonly windowSize?: number;
  /** How many windows are kept; 32 unless given. */
  readonly windows?: number;
}

/**
 * A byte source that reads through windows of fixed size and keeps those used last. Reads within a window are views.
 * A window is never written again after it was filled: it is dropped, so views of it stay as they are.
 * Reads longer than a window go past the cache, so that a large copy does not push everything else out.
 * @param load reads up to `length` bytes at `at` into fresh memory; shorter only at the end
 */
export function windowedSource(
  size: number,
  load: (at: number, length: number) => Uint8Array,
  { windowSize = 256 * 1024, windows = 32 }: WindowOptions = {},
): ByteSource {
  /** By index; a Map keeps the order of insertion, so its first key is the one unused for longest. */
  const cache = new Map<number, Uint8Array>();
  const windowAt = (index: number): Uint8Array => {
    let window = cache.get(index);
    if (window) cache.delete(index);
    else {
      const start = index * windowSize;
      window = load(start, Math.min(windowSize, size - start));
      for (const oldest of cache.keys()) {
        if (cache.size < windows) break;
        cache.delete(oldest);
      }
    }
    cache.set(index, window);
    return window;
  };
  const read = (at: FileOffset, length: number): Uint8Array => {
    const wanted = Math.min(length, size - at);
    if (wanted <= 0) return new Uint8Array(0);
    if (wanted > windowSize) return load(at, wanted);
    const index = Math.floor(at / windowSize);
    const skip = at - index * windowSize;
    const first = windowAt(index).subarray(skip, skip + wanted);
    // A window that is not full is the last one of a file that became shorter: nothing follows it.
    if (first.length === wanted || skip + first.length < windowSize) return first;
    const rest = read(fileOffset((index + 1) * windowSize), wanted - first.length);
    const whole = new Uint8Array(first.length + rest.length);
    whole.set(first);
    whole.set(rest, first.length);
    return whole;
  };
  return { size, read };
}
