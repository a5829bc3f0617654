// Loads TypeScript modules, one by one and nothing bundled.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";

export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND" || !specifier.endsWith(".js")) throw error;
    return next(specifier.replace(/js$/, "ts"), context);
  }
}

export async function load(url, context, next) {
  if (!url.startsWith("file:") || !url.endsWith(".ts")) return next(url, context);
  const path = fileURLToPath(url);
  const options = { loader: "ts", format: "esm", target: "node20", sourcefile: path, sourcemap: "inline" };
  const { code } = await transform(await readFile(path, "utf8"), options);
  return { format: "module", source: code, shortCircuit: true };
}
