/** Inputs that are a sequence of calls: a few bytes of choices at first, then records of one size. */
import type { Random } from "../../src/fuzz/random.js";
import { edges, joined, mutateBytes, put } from "./bytes.js";

/** Changes a sequence: a record more, less, twice, elsewhere, or another one; or bytes of any kind. */
export function mutateSteps(data: Uint8Array, head: number, size: number, random: Random): Uint8Array {
  const records = Math.max(0, Math.floor((data.length - head) / size));
  const at = head + size * random.below(records + 1);
  const end = Math.min(data.length, at + size);
  const before = data.subarray(0, at);
  const step = data.subarray(at, end);
  const rest = data.subarray(end);
  switch (random.below(8)) {
    case 0:
      return joined(
        before,
        Uint8Array.from({ length: size }, () => random.below(256)),
        data.subarray(at),
      );
    case 1:
      return joined(before, rest);
    case 2:
      return joined(before, step, step, rest);
    case 3: {
      const other = head + size * random.below(records + 1);
      return joined(before, data.subarray(other, other + size), data.subarray(at));
    }
    case 4: {
      const changed = data.slice();
      if (end > at) changed[at + random.below(end - at)] = random.below(256);
      return changed;
    }
    case 5: {
      const changed = data.slice();
      if (end - at >= 2) put(changed, at + 1, random.pick(edges), end - at - 1, true);
      return changed;
    }
    case 6: {
      const changed = data.slice();
      if (head > 0 && data.length > 0) changed[random.below(Math.min(head, data.length))] = random.below(256);
      return changed;
    }
    default:
      return mutateBytes(data, random);
  }
}
