/** Opens a core as its header asks for. */
import type { DecodeOptions, Image } from "../../src/common.js";
import { openSource } from "../../src/image/open.js";
import { bytesSource } from "../../src/memory/index.js";
import { readingOf, releaseAsked } from "../mutate/core.js";
import { reading } from "./errors.js";

/** An input that could be opened, and how it is decoded. */
export interface Opened {
  readonly image: Image;
  readonly options: Pick<DecodeOptions, "handoff" | "release" | "limits">;
}

/** Findings that are kept: enough to compare, few enough to be quick. */
const maxFindings = 400;

/** Opens an input; undefined for what no image can be made of. */
export function openCore(data: Uint8Array): Opened | undefined {
  const { value: image } = reading("open", () => openSource(bytesSource(data)));
  if (!image) return undefined;
  const asked = image.kind === "elf" ? readingOf(data) : undefined;
  const release = asked && releaseAsked(asked);
  return {
    image,
    options: {
      limits: { maxFindings },
      ...(asked && asked.handoff !== 0n && { handoff: asked.handoff }),
      ...(release !== undefined && { release }),
    },
  };
}
