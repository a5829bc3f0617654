/** Frames of the stack that tell one fault from another. */
const depth = 3;

/**
 * Where an error comes from, in a form that is the same for all inputs that show the same fault: what it says without
 * numbers and names, and the functions around it with their files.
 * @param others errors of the same execution, stopped elsewhere: the place is then what all have in common
 */
export function placeOf(error: Error, others: readonly Error[] = []): string {
  const origin = originOf(error);
  const where = telling(origin, inCommon([origin, ...others].map(framesOf)));
  return others.length > 0 ? where : `${origin.name}: ${shape(origin.message)} in ${where}`;
}

/** The same from the names of functions alone, which need no source map. */
export function functionsOf(error: Error | undefined, others: readonly Error[] = []): string {
  if (!error) return "";
  const origin = originOf(error);
  const names = telling(origin, inCommon([origin, ...others].map(namesOf)));
  return others.length > 0 ? names : `${origin.name} ${shape(origin.message)} ${names}`;
}

/** True where the stack is full. Where that is depends on more than the input. */
export const isOverflow = (error: Error): boolean => /call stack/.test(originOf(error).message);

/** The frames that tell a fault from others: the innermost, or of a recursion all that recur. */
function telling(error: Error, stack: readonly string[]): string {
  if (!isOverflow(error)) return stack.slice(0, depth).join(" < ");
  const often = stack.filter((frame) => stack.filter((other) => other === frame).length > 2);
  return [...new Set(often)].sort().join(" < ");
}

const originOf = (error: Error): Error => (error.cause instanceof Error ? error.cause : error);

/** What stacks have in common from their outer end, innermost first. */
function inCommon(stacks: readonly (readonly string[])[]): readonly string[] {
  const [first = [], ...others] = stacks;
  let same = 0;
  while (same < first.length && others.every((stack) => stack.at(-1 - same) === first.at(-1 - same))) same++;
  return first.slice(first.length - same);
}

/** A message without what differs from input to input: numbers, quoted text, and all behind the first line. */
const shape = (message: string): string =>
  message
    .split("\n", 1)[0]!
    .replace(/"[^"]*"|'[^']*'|`[^`]*`/g, '"…"')
    .replace(/0x[0-9a-f]+|\b\d[\d,._]*n?\b/gi, "N")
    .slice(0, 120);

const isEngine = (file: string): boolean =>
  file.startsWith("node:") || /\/src\/fuzz\/|\/worker\.mjs|\/vitest\//.test(file);

/** Functions of the stack with their files, innermost first, without those of the engine and of Node. */
function framesOf({ stack = "" }: Error): string[] {
  return stack.split("\n").flatMap((line) => {
    const match = /^\s+at (?:(.*?) \()?(?:file:\/\/)?([^()]*?):\d+:\d+\)?$/.exec(line);
    if (!match || isEngine(match[2]!)) return [];
    return [`${match[1] ?? "?"} ${match[2]!.replace(/^.*\/((?:src|formats|fuzz|test)\/)/, "$1")}`];
  });
}

function namesOf(error: Error): string[] {
  const before = Error.prepareStackTrace;
  let names: string[] = [];
  // The stack is made when it is read for the first time, by what is set then.
  Error.prepareStackTrace = (_, sites) => {
    names = sites
      .filter((site) => !isEngine(site.getFileName() ?? "node:"))
      .map((site) => site.getFunctionName() ?? "?");
    return "";
  };
  void error.stack;
  Error.prepareStackTrace = before;
  return names;
}
