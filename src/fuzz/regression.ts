import type { Finding } from "./campaign.js";

/**
 * A vitest file for `test/fuzz`, which runs `fixtures/fuzz/TARGET/NAME.bin`. The fixture alone is enough for the loop of
 * `test/fuzz/regressions.test.ts`; a test of its own is for a fault that deserves a sentence.
 */
export const regressionTest = (
  { target, oracle, message }: Pick<Finding, "target" | "oracle" | "message">,
  name: string,
): string => `import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { fuzz } from "../../fuzz/${target}.js";

const input = new URL("../../fixtures/fuzz/${target}/${name}.bin", import.meta.url);

// ${oracle}: ${oneLine(message)}
test(${JSON.stringify(`${target}: ${name}`)}, () => {
  expect(() => fuzz(new Uint8Array(readFileSync(input)))).not.toThrow();
});
`;

const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").slice(0, 100);
