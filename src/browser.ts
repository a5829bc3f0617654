/**
 * The library without a file system: images come from an ArrayBuffer, a ByteSource, or a Blob in a worker.
 * @module
 */
export * from "./common.js";
export * from "./image/browser.js";
