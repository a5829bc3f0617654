import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** Boots of emulated machines: slow, one to a processor, and only where there are kernels to boot. */
export default defineConfig({
  test: {
    root: new URL("../..", import.meta.url).pathname,
    include: ["test/kernel/**/*.test.ts"],
    maxWorkers: availableParallelism(),
    maxConcurrency: availableParallelism(),
    testTimeout: 600_000,
    reporters: ["verbose"],
  },
});
