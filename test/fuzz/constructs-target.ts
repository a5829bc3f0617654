export { openImage } from "../../src/browser.js";
export { decodeHandover } from "../../src/handover/index.js";
export { toJson } from "../../src/interchange.js";
export * from "./constructs.js";
export function fuzz(): void {}
