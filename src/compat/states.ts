import { empty, metadata, reserveMem, severalOrders, vmalloc } from "./states/kernel.js";
import {
  chunks,
  emptyFiles,
  everySeal,
  flb,
  holes,
  largeFolios,
  manySessions,
  memfd,
  positions,
} from "./states/live-update.js";
import type { State } from "./states/state.js";

/** What kernels are tried with, from nothing to everything. */
export const states: readonly State[] = [
  empty,
  severalOrders,
  vmalloc,
  reserveMem,
  metadata,
  memfd,
  emptyFiles,
  manySessions,
  holes,
  chunks,
  largeFolios,
  positions,
  everySeal,
  flb,
];
