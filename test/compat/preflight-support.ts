/** Captures to ask preflight about: real ones, and what simulated machines leave. */
import { kernelOf } from "../../formats/kernels.js";
import { kernelImageOf } from "../../src/compat/kernel-image.js";
import type { Fate, Fates } from "../../src/compat/preflight/judging.js";
import { type Preflight, type PreflightOptions, preflight } from "../../src/compat/preflight/preflight.js";
import { type Receiver, receiverOf } from "../../src/compat/preflight/receiver.js";
import { type Decoded, decodeHandover, parseMeta } from "../../src/handover/index.js";
import type { Image } from "../../src/image/image.js";
import { openImage } from "../../src/image/node.js";
import { captureOf, type Departure } from "../../src/machine/index.js";
import { type MemoryRange, physAddr, type Segment, segmentedMemory } from "../../src/memory/index.js";
import { fixtures } from "../conformance/truth.js";

export interface Capture {
  readonly image: Image;
  readonly decoded: Decoded;
  readonly ram?: MemoryRange;
}

/** A capture of a real kernel, with its side file or without. */
export function realCapture(name: string, withMeta = true): Capture {
  const { core, meta: text } = fixtures.find((fixture) => fixture.name === name)!;
  const meta = parseMeta(text);
  const image = openImage(core);
  const { pageSize } = meta;
  const decoded = decodeHandover(image, {
    mode: "forensic",
    ...(withMeta ? { meta } : { pageSize: pageSize! }),
  });
  return {
    image,
    decoded,
    ...(withMeta && { ram: { pa: physAddr(meta.ramBase!), size: meta.ramSize! } }),
  };
}

/** What a machine leaves, as a capture of all of its memory. */
export function machineCapture(departure: Departure): Capture {
  return recapture(captureOf(departure), departure);
}

/** The same from another image of it. */
export function recapture(image: Image, { bootData, release, hardware }: Departure): Capture {
  const { pageSize } = hardware.abi;
  const decoded = decodeHandover(image, { handoff: bootData!, release, pageSize, mode: "forensic" });
  return { image, decoded };
}

/** An image without some bytes. */
export function lacking(image: Image, pa: bigint, length: number): Image {
  const { memory } = image;
  const hole = { from: pa, to: pa + BigInt(length) };
  const segments = memory.ranges.flatMap(({ pa: from, size, zeros }) => {
    const to = from + size;
    const pieces = [
      { start: from as bigint, end: hole.from < to ? hole.from : to },
      { start: hole.to > from ? hole.to : (from as bigint), end: to },
    ];
    return pieces
      .filter(({ start, end }) => start < end)
      .map(({ start, end }): Segment => {
        const length = Number(end - start);
        const read = (at: number, count: number): Uint8Array =>
          memory.read(physAddr(start + BigInt(at)), Math.min(count, length - at));
        return {
          pa: physAddr(start),
          size: end - start,
          at: 0,
          ...(!zeros && { source: { size: length, read } }),
        };
      });
  });
  return { ...image, memory: segmentedMemory(segments).memory };
}

export const released = (release: string): Receiver => receiverOf(kernelImageOf(kernelOf(release), release));

/** Asks without looking for advice, unless told otherwise. */
export function ask(
  { image, decoded, ram }: Capture,
  to: string | Receiver,
  options: PreflightOptions = {},
): Preflight {
  const receiver = typeof to === "string" ? released(to) : to;
  return preflight(image, decoded, receiver, { maxTries: 0, ...(ram && { ram }), ...options });
}

export const fateOf = ({ parts }: Fates, name: string): Fate => parts.find(({ part }) => part === name)!;

/** Names of the parts that fare like this. */
export const faring = ({ parts }: Fates, verdict: Fate["verdict"]): string[] =>
  parts.filter((fate) => fate.verdict === verdict).map(({ part }) => part);
