import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    // Boots real kernels: `npm run test:kernel`.
    exclude: ["test/kernel/**"],
    globalSetup: "test/cli/bundle.ts",
    maxWorkers: availableParallelism(),
    testTimeout: 60_000,
  },
});
