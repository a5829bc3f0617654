import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Oracle, oracles } from "../../src/fuzz/finding.js";

/** A fault to plant: what it changes, and who is to find it. */
export interface Planted {
  /** Name of the patch, without `.patch`. */
  readonly name: string;
  readonly file: string;
  readonly oracle: Oracle;
  readonly target: string;
}

/** All patches of a folder, by name. Above its first `diff` each says `Oracle: NAME` and `Target: NAME`. */
export function plantedIn(folder: string): Planted[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".patch"))
    .sort()
    .map((file) => {
      const path = join(folder, file);
      const [head = ""] = readFileSync(path, "utf8").split(/^diff /m, 1);
      const field = (name: string): string => {
        const value = new RegExp(`^${name}: *(\\S+)\\s*$`, "im").exec(head)?.[1];
        if (value === undefined) throw new Error(`${file} does not say its ${name.toLowerCase()}`);
        return value;
      };
      const oracle = field("Oracle");
      if (!Object.hasOwn(oracles, oracle)) throw new Error(`${file}: there is no oracle ${oracle}`);
      const target = field("Target");
      return { name: file.replace(/\.patch$/, ""), file: path, oracle: oracle as Oracle, target };
    });
}
