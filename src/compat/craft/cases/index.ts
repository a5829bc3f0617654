import type { CraftCase } from "../case.js";
import { blobCases } from "./blobs.js";
import { fileCases } from "./files.js";
import { flbCases } from "./flbs.js";
import { folioCases } from "./folios.js";
import { khoRootCases } from "./kho-root.js";
import { luoRootCases } from "./luo-root.js";
import { memfdCases } from "./memfd.js";
import { memoryMapCases } from "./memory-map.js";
import { sessionCases } from "./sessions.js";

/** Every case, in the order in which a kernel comes across what it is about. */
export const craftCases: readonly CraftCase[] = [
  ...khoRootCases,
  ...memoryMapCases,
  ...blobCases,
  ...luoRootCases,
  ...sessionCases,
  ...fileCases,
  ...flbCases,
  ...memfdCases,
  ...folioCases,
];
