import ts from "typescript";

/** Bytes of one element, by constructor. `Array` holds pointers. */
const unitOf: ReadonlyMap<string, number> = new Map([
  ["Uint8Array", 1],
  ["Int8Array", 1],
  ["Uint8ClampedArray", 1],
  ["Uint16Array", 2],
  ["Int16Array", 2],
  ["Uint32Array", 4],
  ["Int32Array", 4],
  ["Float32Array", 4],
  ["Float64Array", 8],
  ["BigUint64Array", 8],
  ["BigInt64Array", 8],
  ["ArrayBuffer", 1],
  ["SharedArrayBuffer", 1],
  ["Array", 8],
]);

/** Static methods whose first argument is a length. */
const sized: ReadonlySet<string> = new Set(["Buffer.alloc", "Buffer.allocUnsafe"]);

/** Methods that copy, or make of a number what is as long. */
const copying: ReadonlySet<string> = new Set([
  "slice",
  "concat",
  "repeat",
  "padStart",
  "padEnd",
  "from",
  "join",
]);

/**
 * How a node allocates what an input could have asked for: bytes for each unit of `argument`, or what `call` returns.
 * Undefined where it does not, or where a wrapper would change what it means.
 */
export function allocation(
  node: ts.Node,
): { readonly argument?: ts.Expression; readonly call: number } | undefined {
  if (ts.isNewExpression(node)) {
    const unit = ts.isIdentifier(node.expression) ? unitOf.get(node.expression.text) : undefined;
    const [argument, ...others] = node.arguments ?? [];
    // With more arguments it is a view of a buffer, or a list of elements.
    if (unit === undefined || !argument || others.length > 0 || ts.isSpreadElement(argument))
      return undefined;
    return { argument, call: unit };
  }
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return undefined;
  const { expression, name } = node.expression;
  const [argument] = node.arguments;
  if (ts.isIdentifier(expression) && sized.has(`${expression.text}.${name.text}`))
    return argument && { argument, call: 1 };
  // Within `a?.b.slice()` a wrapper would cut the chain.
  if (!copying.has(name.text) || (node.flags & ts.NodeFlags.OptionalChain) !== 0) return undefined;
  return expression.kind === ts.SyntaxKind.SuperKeyword ? undefined : { call: 0 };
}
