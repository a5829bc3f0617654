/**
 * Puts what src/fuzz/instrumentation.ts exports into one source file, without moving a line: counters of edges, steps,
 * operands of comparisons, and lengths of what is allocated. Nothing is evaluated twice or in another order.
 */
import ts from "typescript";
import { allocation } from "./allocation.js";

export interface Instrumented {
  readonly text: string;
  /** Line of each edge, from 1, by edge number from `firstEdge` on. */
  readonly lines: readonly number[];
}

/** Names that the instrumented file imports, as the bundler resolves them. */
export const runtimeModule = "kho:instrumentation";
const imports =
  `import { counters as kho$k, state as kho$s, spent as kho$spent, compared as kho$compared, ` +
  `switched as kho$switched, allocating as kho$allocating, allocated as kho$allocated } from "${runtimeModule}";`;

const comparisons: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.EqualsEqualsEqualsToken,
  ts.SyntaxKind.ExclamationEqualsEqualsToken,
  ts.SyntaxKind.LessThanToken,
  ts.SyntaxKind.GreaterThanToken,
  ts.SyntaxKind.LessThanEqualsToken,
  ts.SyntaxKind.GreaterThanEqualsToken,
]);

const shortCircuits: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.AmpersandAmpersandToken,
  ts.SyntaxKind.BarBarToken,
  ts.SyntaxKind.QuestionQuestionToken,
  ts.SyntaxKind.AmpersandAmpersandEqualsToken,
  ts.SyntaxKind.BarBarEqualsToken,
  ts.SyntaxKind.QuestionQuestionEqualsToken,
]);

/** Variables that hold operands until they are compared: those of the function around, undefined where there is none. */
type Scope = string[] | undefined;

export function instrument(file: string, source: string, firstEdge: number): Instrumented {
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.ES2022, true, ts.ScriptKind.TS);
  const lines: number[] = [];
  let scope: Scope = [];
  let variables = 0;

  const edge = (node: ts.Node): number => {
    lines.push(tree.getLineAndCharacterOfPosition(node.getStart()).line + 1);
    return firstEdge + lines.length - 1;
  };
  const count = (node: ts.Node): string => `kho$k[${edge(node)}]++`;
  const step = (node: ts.Node): string => `${count(node)};if(--kho$s[0]<0)kho$spent();`;
  const leading = (node: ts.Node): string => source.slice(node.pos, node.getStart());

  /** A node with what is before it, its parts instrumented. */
  const parts = (node: ts.Node, from = node.pos, emitPart = emit): string => {
    let text = "";
    let at = from;
    ts.forEachChild(node, (child) => {
      text += source.slice(at, child.pos) + emitPart(child);
      at = child.end;
    });
    return text + source.slice(at, node.end);
  };

  const within = (inner: Scope, emitInner: () => string): string => {
    const outer = scope;
    scope = inner;
    try {
      return emitInner();
    } finally {
      scope = outer;
    }
  };

  const declared = (names: readonly string[]): string =>
    names.length === 0 ? "" : `var ${names.join(",")};`;

  /** A statement as a block that begins with `first`. */
  const block = (node: ts.Statement, first: string): string => {
    if (!ts.isBlock(node)) return `{${first}${emit(node)}}`;
    return `${leading(node)}{${first}${parts(node, node.getStart() + 1)}`;
  };

  const functionBody = (body: ts.Block | ts.Expression): string => {
    const names: string[] = [];
    const first = step(body);
    const text = within(names, () =>
      ts.isBlock(body) ? parts(body, body.getStart() + 1) : `return (${emit(body)});}`,
    );
    return `${ts.isBlock(body) ? leading(body) : ""}{${first}${declared(names)}${text}`;
  };

  const sequence = (node: ts.Expression): string => `(${count(node)},${emit(node)})`;

  /** Holds a value in a variable: the assignment, and how to name it from then on. */
  const hold = (node: ts.Expression, names: string[]): { readonly set: string; readonly name: string } => {
    if (isConstant(node)) return { set: leading(node), name: source.slice(node.getStart(), node.end) };
    const name = `kho$${variables++}`;
    names.push(name);
    return { set: `${name}=(${emit(node)}),`, name };
  };

  const comparison = (node: ts.BinaryExpression): string => {
    if (!scope || saysNothing(node.left) || saysNothing(node.right)) return parts(node);
    const left = hold(node.left, scope);
    const right = hold(node.right, scope);
    const operator = source.slice(node.operatorToken.getStart(), node.operatorToken.end);
    const record = `kho$s[1]&&kho$compared(${edge(node)},${left.name},${right.name})`;
    return `(${left.set}${right.set}${record},${left.name} ${operator} ${right.name})`;
  };

  const switchStatement = (node: ts.SwitchStatement): string => {
    const { expression, caseBlock } = node;
    const clauses = parts(caseBlock);
    const hasDefault = caseBlock.clauses.some(ts.isDefaultClause);
    const end = hasDefault ? clauses : `${clauses.slice(0, -1)}default:${count(caseBlock)};}`;
    const cases = caseBlock.clauses.flatMap((clause) =>
      ts.isCaseClause(clause) && (isConstant(clause.expression) || ts.isIdentifier(clause.expression))
        ? [source.slice(clause.expression.getStart(), clause.expression.end)]
        : [],
    );
    const head = source.slice(node.pos, expression.pos);
    const between = source.slice(expression.end, caseBlock.pos);
    if (!scope || cases.length === 0) return `${head}${emit(expression)}${between}${end}`;
    const { set, name } = hold(expression, scope);
    const record = `kho$s[1]&&kho$switched(${edge(node)},${name},[${cases.join()}])`;
    return `${head}(${set}${record},${name})${between}${end}`;
  };

  /** `if`, a loop or a function: everything as it is but for `special` parts. */
  const replacing = (node: ts.Node, special: ReadonlyMap<ts.Node, () => string>): string =>
    parts(node, node.pos, (child) => special.get(child)?.() ?? emit(child));

  function emit(node: ts.Node): string {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node))
      return source.slice(node.pos, node.end);
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return source.slice(node.pos, node.end);
    if (ts.isFunctionLike(node)) {
      const { body } = node as ts.FunctionLikeDeclaration;
      if (!body) return source.slice(node.pos, node.end);
      return within(undefined, () => replacing(node, new Map([[body, () => functionBody(body)]])));
    }
    if (ts.isPropertyDeclaration(node) || ts.isClassStaticBlockDeclaration(node))
      return within(undefined, () => parts(node));
    if (ts.isIfStatement(node)) {
      const { thenStatement, elseStatement } = node;
      const special = new Map([
        [thenStatement as ts.Node, () => block(thenStatement, `${count(thenStatement)};`)],
      ]);
      if (!elseStatement) return `${replacing(node, special)}else{${count(node)};}`;
      special.set(elseStatement, () => `{${count(elseStatement)};${emit(elseStatement)}}`);
      return replacing(node, special);
    }
    if (ts.isIterationStatement(node, false)) {
      const { statement } = node;
      return replacing(node, new Map([[statement, () => block(statement, step(statement))]]));
    }
    if (ts.isSwitchStatement(node)) return switchStatement(node);
    if (ts.isCaseOrDefaultClause(node)) {
      const colon = ts.isCaseClause(node) ? node.expression.end : node.getStart() + "default".length;
      const head = source.indexOf(":", colon) + 1;
      const label = ts.isCaseClause(node)
        ? source.slice(node.pos, node.expression.pos) + emit(node.expression) + source.slice(colon, head)
        : source.slice(node.pos, head);
      return `${label}${count(node)};${node.statements.map(emit).join("")}`;
    }
    if (ts.isCatchClause(node)) {
      const { block: caught } = node;
      return replacing(node, new Map([[caught, () => block(caught, `${count(caught)};`)]]));
    }
    if (ts.isConditionalExpression(node)) {
      const { whenTrue, whenFalse } = node;
      return replacing(
        node,
        new Map([
          [whenTrue as ts.Node, () => sequence(whenTrue)],
          [whenFalse, () => sequence(whenFalse)],
        ]),
      );
    }
    if (ts.isBinaryExpression(node)) {
      const { operatorToken, right } = node;
      if (comparisons.has(operatorToken.kind)) return comparison(node);
      if (shortCircuits.has(operatorToken.kind))
        return replacing(node, new Map([[right, () => sequence(right)]]));
    }
    const hook = allocation(node);
    if (hook) {
      const { argument, call } = hook;
      if (argument)
        return replacing(node, new Map([[argument, () => `kho$allocating(${call},${emit(argument)})`]]));
      return ` kho$allocated(${parts(node)})`;
    }
    return parts(node);
  }

  const body = parts(tree);
  return { text: `${imports}${declared(scope)}${body}`, lines };
}

/** What has the same value whenever it is read, and no side effect. */
function isConstant(node: ts.Expression): boolean {
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.MinusToken)
    return isConstant(node.operand);
  return ts.isNumericLiteral(node) || ts.isBigIntLiteral(node) || ts.isStringLiteral(node);
}

/** Operands whose comparison says nothing about bytes. */
const saysNothing = (node: ts.Expression): boolean =>
  ts.isTypeOfExpression(node) ||
  (ts.isIdentifier(node) && node.text === "undefined") ||
  [ts.SyntaxKind.NullKeyword, ts.SyntaxKind.TrueKeyword, ts.SyntaxKind.FalseKeyword].includes(node.kind);
