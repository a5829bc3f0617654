/** Changes of a captured handover, structure by structure, in the core that holds it. */
import { kernels } from "../../formats/kernels.js";
import type { Random } from "../../src/fuzz/random.js";
import { type Decoded, decodeHandover } from "../../src/handover/index.js";
import { openSource } from "../../src/image/open.js";
import { type Abi, sizeOf } from "../../src/layout/index.js";
import { bytesSource } from "../../src/memory/index.js";
import { mutateBytes, put } from "./bytes.js";
import { type Core, frameSize, readCore, releaseAsked, writeCore } from "./core.js";
import { type Hints, mutateBits, mutateField } from "./fields.js";
import { type Place, placesOf, recordsIn, textsIn } from "./places.js";
import { mutateTree } from "./tree.js";

interface Parsed {
  readonly core: Core;
  readonly places: readonly Place[];
  /** The places by kind, as there may be hundreds of nodes of a tree and one list of folios. */
  readonly kinds: readonly (readonly Place[])[];
  readonly hints: Hints;
}

/** One input is changed many times; what is known of it is kept as long as it is. */
const parsedInputs = new WeakMap<Uint8Array, Parsed | "damaged">();

function parse(data: Uint8Array): Parsed | undefined {
  const known = parsedInputs.get(data);
  if (known) return known === "damaged" ? undefined : known;
  const core = readCore(data);
  const parsed = core && core.frames.size > 0 ? parsedOf(data, core) : undefined;
  parsedInputs.set(data, parsed ?? "damaged");
  return parsed;
}

function parsedOf(data: Uint8Array, core: Core): Parsed {
  let decoded: Decoded | undefined;
  const release = releaseAsked(core);
  try {
    decoded = decodeHandover(openSource(bytesSource(data)), {
      mode: "forensic",
      limits: { maxFindings: 1 },
      ...(core.handoff !== 0n && { handoff: core.handoff }),
      ...(release !== undefined && { release }),
    });
  } catch {
    // Found damaged already: there are pages to change all the same.
  }
  const places = decoded ? placesOf(decoded) : [];
  const abi: Abi = { byteOrder: "little", pageSize: decoded?.handover.pageSize ?? frameSize };
  const frames = [...core.frames.keys()];
  const pages = [frames[0]!, frames[frames.length >> 1]!, frames.at(-1)!, frames.at(-1)! + 1];
  const addresses = [
    ...places.map(({ pa }) => pa),
    ...pages.map((frame) => BigInt(frame) * BigInt(frameSize)),
  ];
  const kinds = new Map<string, Place[]>();
  for (const place of places) {
    const kind = place.path.replaceAll(/\[\d+\]/g, "");
    kinds.set(kind, [...(kinds.get(kind) ?? []), place]);
  }
  const hints = { abi, addresses, texts: decoded ? textsIn(decoded) : [] };
  return { core, places, kinds: [...kinds.values()], hints };
}

/** Frames that are changed, over those that are not. */
class Edit {
  readonly frames: Map<number, Uint8Array>;
  readonly #own = new Set<number>();

  constructor(frames: ReadonlyMap<number, Uint8Array>) {
    this.frames = new Map(frames);
  }

  read(pa: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#each(pa, length, (number, into, count, done) => {
      const frame = this.frames.get(number);
      if (frame) bytes.set(frame.subarray(into, into + count), done);
    });
    return bytes;
  }

  /** Writes bytes where frames are; there are no new ones. */
  write(pa: bigint, bytes: Uint8Array): void {
    this.#each(pa, bytes.length, (number, into, count, done) => {
      const frame = this.frames.get(number);
      if (!frame) return;
      const own = this.#own.has(number) ? frame : frame.slice();
      this.#own.add(number);
      own.set(bytes.subarray(done, done + count), into);
      this.frames.set(number, own);
    });
  }

  #each(
    pa: bigint,
    length: number,
    each: (frame: number, into: number, count: number, done: number) => void,
  ): void {
    for (let done = 0; done < length; ) {
      const at = pa + BigInt(done);
      const into = Number(at % BigInt(frameSize));
      const count = Math.min(frameSize - into, length - done);
      each(Number(at / BigInt(frameSize)), into, count, done);
      done += count;
    }
  }
}

/** Most bytes of a structure that are looked at. */
const longest = 1 << 18;

/** Changes one structure. */
function changePlace(edit: Edit, place: Place, { places, hints }: Parsed, random: Random): void {
  const { pa, head, record, tree, bitmap } = place;
  const length = Math.min(place.length, longest);
  const bytes = edit.read(pa, length);
  if (tree) {
    edit.write(pa, mutateTree(bytes, hints, random).subarray(0, length));
    return;
  }
  if (bitmap) {
    mutateBits(bytes, 0, length, random);
    edit.write(pa, bytes);
    return;
  }
  const { abi } = hints;
  const from = head ? sizeOf(head, abi) : 0;
  const count = recordsIn(place, bytes, abi);
  if (head && (!record || count === 0 || random.chance(3))) mutateField(head, bytes, 0, hints, random);
  else if (record && count > 0) {
    const size = sizeOf(record, abi);
    const at = from + random.below(count) * size;
    const other = from + random.below(count) * size;
    switch (random.below(10)) {
      case 0:
        bytes.copyWithin(at, other, other + size);
        break;
      case 1: {
        const kept = bytes.slice(at, at + size);
        bytes.copyWithin(at, other, other + size);
        bytes.set(kept, other);
        break;
      }
      case 2:
        bytes.fill(0, at, at + size);
        break;
      case 3: {
        // A record of another structure of the same kind.
        const alike = places.filter((candidate) => candidate.record === record);
        const donor = random.pick(alike);
        const skip = donor.head ? BigInt(sizeOf(donor.head, abi)) : 0n;
        bytes.set(edit.read(donor.pa + skip, size), at);
        break;
      }
      default:
        mutateField(record, bytes, at, hints, random);
    }
  }
  edit.write(pa, bytes);
}

/** Changes pages as a whole: one is lost, empty, another one, or has a wrong word. */
function changePages(edit: Edit, random: Random): void {
  const numbers = [...edit.frames.keys()];
  const number = random.pick(numbers);
  const pa = BigInt(number) * BigInt(frameSize);
  switch (random.below(5)) {
    case 0:
      if (numbers.length > 1) edit.frames.delete(number);
      break;
    case 1:
      edit.write(pa, new Uint8Array(frameSize));
      break;
    case 2:
      edit.frames.set(number, edit.frames.get(random.pick(numbers))!);
      break;
    case 3: {
      const to = number + random.pick([1, -1, 16, 512]);
      if (to > 0 && !edit.frames.has(to)) edit.frames.set(to, edit.frames.get(number)!);
      break;
    }
    default: {
      const bytes = edit.read(pa, frameSize);
      put(bytes, 8 * random.below(frameSize / 8), random.u64(), 8, true);
      edit.write(pa, bytes);
    }
  }
}

/** A core with a handover that has one to a few changes; what is no core has its bytes changed. */
export function mutateHandover(data: Uint8Array, random: Random): Uint8Array {
  const parsed = parse(data);
  if (!parsed || random.chance(100)) return mutateBytes(data, random);
  const { core, kinds } = parsed;
  const edit = new Edit(core.frames);
  let { row } = core;
  for (let left = 1 + (random.chance(3) ? random.below(4) : 0); left > 0; left--) {
    const kind = random.below(24);
    if (kind === 0) row = random.below(kernels.length + 1);
    else if (kind <= 2 || kinds.length === 0) changePages(edit, random);
    else changePlace(edit, random.pick(random.pick(kinds)), parsed, random);
  }
  return writeCore({ ...core, row, frames: edit.frames });
}
