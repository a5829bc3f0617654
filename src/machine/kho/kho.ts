import { openFdt } from "../../../formats/fdt/index.js";
import { isAtLeast, type Kernel } from "../../../formats/kernels.js";
import type { SubtreeRef } from "../../../formats/kho/root.js";
import {
  addSubtree,
  emptyRoot,
  encodeRoot,
  removeSubtreeFrom,
  setMapOf,
} from "../../../formats/kho/root-encode.js";
import type { Abi } from "../../layout/index.js";
import { addressOf, type PhysAddr, physAddr } from "../../memory/index.js";
import { isKhoError, KhoError } from "../../report/error.js";
import { allocateZeroed, type Memories } from "../allocate.js";
import { type Errno, errnoOf, refusal } from "../errno.js";
import { pageOf, paOf } from "../kernel.js";
import { targetOf } from "../target.js";
import { blocksOf } from "./blocks.js";
import type { Received } from "./received.js";
import {
  type BitmapTrack,
  newBitmapTrack,
  newRadixTrack,
  type RadixTrack,
  type TrackPages,
} from "./track.js";
import type { Kho } from "./types.js";
import { vmallocOps } from "./vmalloc.js";

/** What KHO of a kernel is made of. */
export interface KhoOptions extends Memories {
  readonly kernel: Kernel;
  readonly abi: Abi;
  /** `kho=on`. */
  readonly enabled: boolean;
  /** What the previous kernel preserved; absent on a cold boot. */
  readonly received?: Received;
  /** The subtrees of the predecessor; EINVAL for those whose node is malformed. */
  readonly incoming?: ReadonlyMap<
    string,
    { readonly pa: PhysAddr; readonly size: bigint | undefined } | Errno
  >;
  /** What is handed over from boot on, with 6.19 and later; a refusal switches KHO off. */
  setUp?(kho: Kho): void;
  log(line: string): void;
}

/** KHO with what only the kexec and boot paths use. */
export interface KhoState extends Kho {
  /** The root tree that a kexec image refers to which is loaded now; undefined if it would carry no hand-off. */
  handoffRoot(): PhysAddr | undefined;
  readonly received: Received | undefined;
}

/**
 * KHO as it is once the kernel has booted: nothing but its own root preserved, and what is set up with it. It is off if
 * there is no memory for that.
 */
export function newKho(options: KhoOptions): KhoState {
  const { kernel, abi, ram, pages, received } = options;
  const target = targetOf(options);
  const from619 = isAtLeast(kernel, "6.19");
  const stateless = isAtLeast(kernel, "7.1");

  const trackPages: TrackPages = {
    pageSize: abi.pageSize,
    allocate: (what) => paOf(allocateZeroed(options, 0, what), abi),
    free: (pa) => pages.free(pageOf(pa, abi), 0),
  };
  const newTrack = (): RadixTrack | BitmapTrack =>
    stateless ? newRadixTrack(ram, target, trackPages) : newBitmapTrack(ram, target, trackPages);

  let track: RadixTrack | BitmapTrack | undefined;
  let state: "open" | "finalizing" | "finalized" = "open";
  /** The page of the root tree. 6.16 to 6.18 have one while finalized only. */
  let root: PhysAddr | undefined;
  const subtrees: SubtreeRef[] = [];
  const notifiers: (() => void)[] = [];

  const mustBeOn = (): RadixTrack | BitmapTrack => {
    if (!track) throw refusal("EOPNOTSUPP", "KHO is off");
    return track;
  };
  const since = (release: string, what: string): void => {
    if (!isAtLeast(kernel, release)) throw refusal("EOPNOTSUPP", `Linux ${kernel.release} cannot ${what}`);
  };
  /** 6.16 to 6.18 keep what they finalized. */
  const mustBeOpen = (): void => {
    if (state === "finalized") throw refusal("EBUSY", "the handover is finalized");
  };

  const writeRoot = (blob: Uint8Array): void => {
    ram.write(root!, blob);
  };
  const readRoot = (): Uint8Array => ram.read(root!, abi.pageSize).slice();

  /** What is no RAM is of no node: a revived region can be anywhere. */
  const nodeOf = (pfn: number): number => {
    try {
      return pages.nodeOf(pfn);
    } catch (error) {
      if (!isKhoError(error, "machine-misuse")) throw error;
      return -1;
    }
  };

  function add(pfn: number, order: number, count: number): void {
    mustBeOpen();
    mustBeOn().add(order, pfn, count);
  }

  function remove(pfn: number, order: number, count: number): void {
    const tracked = mustBeOn();
    for (let i = 0; i < count; i++)
      if (!tracked.has(order, pfn + i * 2 ** order)) {
        options.log(`KHO: warning: block ${pfn + i * 2 ** order} of order ${order} is not preserved`);
        break;
      }
    tracked.remove(order, pfn, count);
  }

  /** Orders of allocPreserve'd memory: a power of two of pages. */
  const orderFor = (size: number): number =>
    Math.ceil(Math.log2(Math.max(1, Math.ceil(size / abi.pageSize))));

  function allocPreserve(size: number, what: string): PhysAddr {
    if (size === 0) throw refusal("EINVAL", "nothing to allocate");
    const order = orderFor(size);
    if (order > pages.largestOrder) throw refusal("E2BIG", `${size} bytes are more than the largest block`);
    const pfn = allocateZeroed(options, order, what);
    try {
      add(pfn, order, 1);
    } catch (error) {
      pages.free(pfn, order);
      throw error;
    }
    return paOf(pfn, abi);
  }

  /**
   * Adds a node to the page of the root. What libfdt calls no space is no memory to the kernel, but until 7.0 its number
   * gets out if the node still fits and its property does not. In any case the node stays.
   */
  function addToRoot(ref: SubtreeRef): void {
    const editor = openFdt(readRoot(), abi.pageSize);
    const before = editor.pack().length;
    try {
      addSubtree(kernel, editor, ref, abi);
    } catch (error) {
      if (isKhoError(error, "fdt-exists")) throw refusal("EEXIST", error.message);
      if (!isKhoError(error, "fdt-no-space")) throw error;
      const added = editor.pack().length > before;
      throw refusal(added && !stateless ? "ESRCH" : "ENOMEM", error.message);
    } finally {
      writeRoot(editor.pack());
    }
  }

  /** 6.16 to 6.18 write the root in one go. */
  function addToList(ref: SubtreeRef): void {
    if (state !== "finalizing")
      throw new KhoError(
        "machine-misuse",
        `Linux ${kernel.release} adds subtrees while it finalizes: use onFinalize`,
      );
    try {
      encodeRoot(kernel, { mapPa: physAddr(0), subtrees: [...subtrees, ref] }, abi);
    } catch (error) {
      if (isKhoError(error, "fdt-no-space")) throw refusal("ENOMEM", error.message);
      throw error;
    }
  }

  /** Drops all that was preserved, as 6.16 to 6.18 do when a finalize fails or is taken back. */
  function drop(): void {
    if (root !== undefined) pages.free(pageOf(root, abi), 0);
    root = undefined;
    subtrees.length = 0;
    track?.free();
    track = newTrack();
    state = "open";
  }

  function finalizeOnce(): void {
    const tracked = track as BitmapTrack;
    state = "finalizing";
    try {
      root = paOf(allocateZeroed(options, 0, "kho root"), abi);
      tracked.add(0, pageOf(root, abi), 1);
      for (const notify of notifiers) notify();
      writeRoot(encodeRoot(kernel, { mapPa: tracked.serialize(), subtrees }, abi));
      state = "finalized";
    } catch (error) {
      drop();
      throw error;
    }
  }

  const preserving = {
    preserveFolios: add,
    unpreserveFolios: remove,
    allocPreserve,
    freePreserved(pa: PhysAddr, order: number): void {
      remove(pageOf(pa, abi), order, 1);
      pages.free(pageOf(pa, abi), order);
    },
  };
  const vmalloc = vmallocOps({ ...options, target, ...preserving, received });

  const kho: KhoState = {
    get enabled() {
      return track !== undefined;
    },
    received,
    get finalized() {
      return state === "finalized";
    },
    preserveFolio: (pfn, order) => add(pfn, order, 1),
    preserveFolios: add,
    unpreserveFolio(pfn, order) {
      since("6.19", "unpreserve");
      remove(pfn, order, 1);
    },
    unpreserveFolios(pfn, order, count) {
      since("6.19", "unpreserve");
      remove(pfn, order, count);
    },
    preservePages(pfn, count) {
      const done: { pfn: number; order: number }[] = [];
      try {
        for (const block of blocksOf(pfn, count, kernel, nodeOf)) {
          add(block.pfn, block.order, 1);
          done.push(block);
        }
      } catch (error) {
        for (const block of done) track!.remove(block.order, block.pfn, 1);
        throw error;
      }
    },
    unpreservePages(pfn, count) {
      since("6.19", "unpreserve");
      for (const block of blocksOf(pfn, count, kernel, nodeOf)) remove(block.pfn, block.order, 1);
    },
    allocPreserve(size, what) {
      since("6.19", "allocate preserved memory");
      return allocPreserve(size, what);
    },
    unpreserveFree(pa, size) {
      since("6.19", "unpreserve");
      preserving.freePreserved(pa, orderFor(size));
    },
    preserveVmalloc(blocks, order, what) {
      since("6.18", "preserve vmalloc areas");
      return vmalloc.preserve(blocks, order, what);
    },
    unpreserveVmalloc(descriptor) {
      since("6.19", "unpreserve");
      vmalloc.unpreserve(descriptor);
    },
    onFinalize(notifier) {
      if (from619) throw refusal("EOPNOTSUPP", `Linux ${kernel.release} notifies nobody`);
      notifiers.push(notifier);
    },
    addSubtree(name, pa, size) {
      mustBeOn();
      const ref: SubtreeRef = { name, pa, size: BigInt(size) };
      if (from619) addToRoot(ref);
      else addToList(ref);
      subtrees.push(ref);
    },
    removeSubtree(pa) {
      since("6.19", "remove subtrees");
      mustBeOn();
      const i = subtrees.findIndex((subtree) => subtree.pa === pa);
      if (i < 0) return;
      const [{ name }] = subtrees.splice(i, 1) as [SubtreeRef];
      writeRoot(removeSubtreeFrom(readRoot(), name));
    },
    retrieveSubtree(name) {
      const found = options.incoming?.get(name);
      if (found === undefined) throw refusal("ENOENT", `nothing was handed over as ${name}`);
      if (typeof found === "string") throw refusal(found, `the node ${name} is malformed`);
      return found;
    },
    receivedRuns: received?.runs,
    receivedOrder: (pfn) => received?.orderOf(pfn) ?? -1,
    restoreFolio(pfn, owner) {
      const order = received?.take(pfn, owner) ?? -1;
      // Of what is no memory at all there is nothing to look at.
      if (order < 0 && ram.has(addressOf(pfn, abi.pageSize), abi.pageSize))
        options.log(`WARNING: no block was received that begins at PFN ${pfn}, for ${owner}`);
      return order;
    },
    restorePages(pfn, count, owner) {
      since("6.18", "restore ranges");
      for (const block of blocksOf(pfn, count, kernel, nodeOf)) {
        if (received?.orderOf(block.pfn) !== block.order) return false;
        received.take(block.pfn, owner);
      }
      return true;
    },
    restoreVmalloc(descriptor, owner) {
      since("6.18", "restore vmalloc areas");
      return vmalloc.restore(descriptor, owner);
    },
    finalize(on = true) {
      if (stateless || !track) throw refusal("EOPNOTSUPP", "there is nothing to finalize");
      if (from619) {
        if (!on) throw refusal("EINVAL", `Linux ${kernel.release} takes nothing back`);
        const mapPa = (track as BitmapTrack).serialize();
        writeRoot(setMapOf(readRoot(), mapPa, abi));
      } else if (on) {
        if (state === "finalized") throw refusal("EEXIST", "the handover is finalized already");
        finalizeOnce();
      } else {
        if (state !== "finalized") throw refusal("ENOENT", "nothing is finalized");
        drop();
      }
    },
    handoffRoot: () => root,
  };

  if (options.enabled)
    try {
      const made = newTrack();
      track = made;
      if (from619) {
        root = allocPreserve(abi.pageSize, "kho root");
        writeRoot(emptyRoot(kernel, "rootPa" in made ? made.rootPa : physAddr(0), abi));
        options.setUp?.(kho);
      }
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      options.log(`KHO: cannot be set up and is off: ${(error as Error).message}`);
      if (root !== undefined) pages.free(pageOf(root, abi), 0);
      root = undefined;
      track?.free();
      track = undefined;
    }
  return kho;
}
