import { type Kernel, kernels } from "../../../formats/kernels.js";
import { handedOver, layoutsOf } from "../../../formats/registry.js";
import type { Struct } from "../../layout/index.js";
import { type AbiDifference, compareStructures } from "./compare.js";
import { structureOfLayout } from "./from-layout.js";
import { type AbiSource, isKnown } from "./source.js";

/** How a kernel's structures agree with what a release hands over. */
export interface Agreement {
  readonly kernel: Kernel;
  /** Structures of both that differ. */
  readonly changed: readonly AbiDifference[];
  /** Structures that the release has and the kernel does not. */
  readonly missing: readonly string[];
  /** Structures of other releases that the kernel has. */
  readonly surplus: readonly string[];
}

/** Which release a kernel's structures are of. */
export interface Identity {
  /** Absent if its structures are of no known release. */
  readonly kernel?: Kernel;
  /** Why this one, as a sentence. */
  readonly evidence: string;
}

/** Compares a kernel's structures with those of a release, for pages of the same size. */
export function agreementWith(kernel: Kernel, source: AbiSource): Agreement {
  const abi = { byteOrder: "little", pageSize: source.pageSize } as const;
  const changed: AbiDifference[] = [];
  const missing: string[] = [];
  // The boot protocol's structures are in all kernels of its architecture and in no other.
  const elsewhere = handedOver(kernel)
    .filter(({ arch }) => arch !== undefined)
    .every(({ layout }) => !source.structures.has(layout.name));
  for (const { layout, arch } of handedOver(kernel)) {
    const [theirs] = source.structures.get(layout.name) ?? [];
    if (!theirs) {
      if (!(arch && elsewhere)) missing.push(layout.name);
      continue;
    }
    const difference = compareStructures(structureOfLayout(layout, abi), theirs);
    if (difference) changed.push(difference);
  }
  const own = new Set(layoutsOf(kernel).map(({ name }) => name));
  const surplus = [...source.structures.keys()].filter((name) => isKnown(name) && !own.has(name));
  return { kernel, changed, missing, surplus };
}

/** Everything of an {@link Agreement} as differences from what the release hands over. */
export function differencesOf(
  { kernel, changed, missing, surplus }: Agreement,
  source: AbiSource,
): AbiDifference[] {
  const abi = { byteOrder: "little", pageSize: source.pageSize } as const;
  const layouts = new Map(layoutsOf(kernel).map((layout) => [layout.name, layout] as const));
  return [
    ...changed,
    ...missing.map((name) => compareStructures(structureOfLayout(layouts.get(name)!, abi), undefined)!),
    ...surplus.map((name) => compareStructures(undefined, source.structures.get(name)![0])!),
  ];
}

/**
 * Works out a release from structures alone: the newest one whose structures all match and that has no others. A kernel
 * that was built without live update lacks some; then the newest one that nothing contradicts.
 */
export function identify(source: AbiSource): Identity {
  const agreements = kernels.map((kernel) => agreementWith(kernel, source));
  const possible = agreements.filter(({ changed, surplus }) => changed.length === 0 && surplus.length === 0);
  const whole = possible.filter(({ missing }) => missing.length === 0);
  const releases = (rows: readonly Agreement[]): string =>
    rows.map(({ kernel }) => kernel.release).join(", ");
  const newest = whole.at(-1);
  if (newest)
    return {
      kernel: newest.kernel,
      evidence:
        whole.length === 1
          ? `its structures are those of ${newest.kernel.release} and of no other release`
          : `guessed: its structures are those of ${releases(whole)} alike; the newest is taken`,
    };
  const partly = possible.filter(({ kernel, missing }) => {
    const needed = new Set(withoutLiveUpdate(kernel).map(({ name }) => name));
    return !missing.some((name) => needed.has(name));
  });
  const best = partly.at(-1);
  if (best)
    return {
      kernel: best.kernel,
      evidence: `guessed: nothing contradicts ${releases(partly)}, of which the newest is taken, but there is no ${best.missing.join(", ")}: built without live update or a part of it`,
    };
  return { evidence: "its structures are those of no known release" };
}

/** What a release hands over if it is built without live update. */
const withoutLiveUpdate = ({ luo: _, memfd: __, ...kernel }: Kernel): readonly Struct[] =>
  layoutsOf({ ...kernel, flb: false });
