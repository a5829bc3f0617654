/**
 * Decodes what one Linux kernel hands to the next across a kexec.
 *
 * ```ts
 * import { decodeHandover, openImage } from "kho";
 *
 * const { handover, findings } = decodeHandover(openImage("vmcore.elf"));
 * for (const session of handover.luo?.sessions ?? [])
 *   for (const file of session.files) console.log(session.name, file.token, file.memfd?.size);
 * ```
 * @module
 */
export * from "./common.js";
export * from "./image/node.js";
export { writeImage } from "./image/write.js";
