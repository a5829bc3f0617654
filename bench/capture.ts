import { newClaims } from "../formats/claims.js";
import { type Context, defaultLimits } from "../formats/context.js";
import { kernelOf } from "../formats/kernels.js";
import { type Decoded, decodeHandover, type Image, openImage } from "../src/index.js";

/** The capture that everything is measured on. */
export const captureName = "7.3-memfd";

export interface Capture {
  readonly image: Image;
  readonly decoded: Decoded;
  /** A context for one run of a decoder: it remembers which pages were claimed. */
  readonly newContext: () => Context;
}

let opened: Capture | undefined;

export function openCapture(): Capture {
  opened ??= open();
  return opened;
}

function open(): Capture {
  const image = openImage(new URL(`../fixtures/${captureName}/core.elf.gz`, import.meta.url).pathname);
  const decoded = decodeHandover(image);
  const { pageSize, release } = decoded.handover;
  return {
    image,
    decoded,
    newContext: () => ({
      memory: image.memory,
      abi: { byteOrder: "little", pageSize },
      kernel: kernelOf(release),
      limits: defaultLimits,
      claims: newClaims(pageSize),
      report: (_severity, code, message) => {
        throw new Error(`the capture is not sound: ${code}: ${message}`);
      },
    }),
  };
}
