// Runs TypeScript as it is built: without the names that tsx gives every function once more at run time, which cost more
// than short functions do.
import { register } from "node:module";

register("./hooks.mjs", import.meta.url);
