import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

/** A module as it is bundled: what it reads beside itself, such as fixtures, it finds from where its source is. */
export function locatedSource(path: string): string {
  const text = readFileSync(path, "utf8");
  return text.replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href));
}
