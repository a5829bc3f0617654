/** Which parts of a handover have to arrive, and which may get lost. Whoever runs the machines decides; kernels do not. */
import { KhoError } from "../../report/error.js";
import { faultOfJson, placeInJson } from "../../report/json.js";
import { type Pattern, patternOf } from "./pattern.js";

/** What is said of a part that no pattern matches, and of one that some do. */
export type Need = "mandatory" | "optional";

/** A policy file, read. */
export interface Policy {
  readonly patterns: readonly (Pattern & { readonly need: Need })[];
  readonly default: Need;
}

/** All has to arrive. */
export const allMandatory: Policy = { patterns: [], default: "mandatory" };

/** What parts are called, up to the bracket. */
const partNames = ["sessions", "flbs", "reserve_mem", "kexec_metadata", "subtrees", "preserved"];
const members = ["mandatory", "optional", "default"];
/** More patterns than anybody writes by hand. */
const mostPatterns = 10_000;

/**
 * Reads a policy: a JSON object with patterns under `mandatory` and `optional`, and what holds for all else under
 * `default`, `mandatory` unless given. `*` in a pattern stands for any characters, a backslash takes the meaning from
 * the next one. A pattern matches a part of that name and all that belongs to it.
 * @throws KhoError `policy-malformed`, with line and column
 */
export function parsePolicy(text: string): Policy {
  const fault = faultOfJson(text);
  if (fault)
    throw malformed("the policy is not JSON", fault, "", {
      actual: fault.found === "" ? "the end of the text" : fault.found,
    });
  const json: unknown = JSON.parse(text);
  const wrong = (path: readonly (string | number)[], message: string, expected: string): KhoError => {
    const at = path.reduce((all, step) => (typeof step === "number" ? `${all}[${step}]` : `${step}`), "");
    return malformed(message, placeInJson(text, path), String(at), { expected });
  };
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw wrong([], "a policy is an object", members.join(", "));
  const patterns: (Pattern & { need: Need })[] = [];
  const values = new Map<string, unknown>(Object.entries(json));
  for (const name of values.keys())
    if (!members.includes(name))
      throw wrong([name], `a policy has no "${name.slice(0, 40)}"`, members.join(", "));
  for (const need of ["mandatory", "optional"] as const) {
    const list = values.get(need) ?? [];
    if (!Array.isArray(list) || list.length > mostPatterns)
      throw wrong([need], `"${need}" is not a list of patterns`, `at most ${mostPatterns} texts`);
    for (const [i, item] of list.entries()) {
      if (typeof item !== "string") throw wrong([need, i], "this is not a pattern", "a text");
      const pattern = patternOf(item);
      const head = /^[^[*\\]*/.exec(item)![0];
      const open = item[head.length] === "*" || item[head.length] === "\\";
      if (!partNames.some((part) => (open ? part.startsWith(head) : part === head)))
        throw wrong([need, i], `no part is called ${head.slice(0, 40)}`, partNames.join(", "));
      patterns.push({ ...pattern, need });
    }
  }
  const fallback = values.get("default") ?? "mandatory";
  if (fallback !== "mandatory" && fallback !== "optional")
    throw wrong(["default"], `"default" is neither of the two`, "mandatory or optional");
  return { patterns, default: fallback };
}

/**
 * What a policy says of a part; `names` are its own name and those of what it belongs to. Of several patterns that match
 * the one with the most characters decides, and `mandatory` where two have as many.
 */
export function needOf({ patterns, default: fallback }: Policy, names: readonly string[]): Need {
  let need = fallback;
  let longest = -1;
  for (const pattern of patterns) {
    const { characters } = pattern;
    if (characters < longest || (characters === longest && need === "mandatory")) continue;
    if (!names.some((name) => pattern.matches(name))) continue;
    longest = characters;
    need = pattern.need;
  }
  return need;
}

function malformed(
  message: string,
  place: { readonly line: number; readonly column: number } | undefined,
  path: string,
  detail: { readonly expected?: string; readonly actual?: string },
): KhoError {
  const where = place ? `line ${place.line}, column ${place.column}` : "";
  return new KhoError("policy-malformed", message, {
    path: [where, path].filter((part) => part !== "").join(": "),
    ...detail,
  });
}
