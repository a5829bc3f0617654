import { defineConfig } from "vitest/config";

/** Boots of emulated machines: slow, one at a time, and only where there are kernels to boot. */
export default defineConfig({
  test: {
    root: new URL("../..", import.meta.url).pathname,
    include: ["test/kernel/**/*.test.ts"],
    testTimeout: 600_000,
    reporters: ["verbose"],
  },
});
