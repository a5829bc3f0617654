import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Instrumentation } from "../../fuzz/execute.js";
import type { TargetModule } from "../../fuzz/target.js";
import type { FuzzBuild } from "./checkout.js";

/** A target of the build, with the instrumentation that it runs on. Its stacks name lines of the sources. */
export async function loadTarget(
  { folder }: FuzzBuild,
  name: string,
): Promise<TargetModule & { readonly instrumentation: Instrumentation }> {
  process.setSourceMapsEnabled(true);
  return import(pathToFileURL(join(folder, `${name}.mjs`)).href);
}
