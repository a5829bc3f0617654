import type { Outcome, Reason } from "../machine/index.js";

/** Why a boot ended as it did: `compatible: the root is of version "kho-v1", expected kho-v3; Linux 7.1 ...`. */
export function bootText(
  to: string,
  { kind, reason }: Extract<Outcome, { readonly reason: Reason }>,
): string {
  const { path, message, expected, consequence } = reason;
  const wanted = expected === undefined ? "" : `, expected ${expected}`;
  const what = `${path === "" ? "" : `${path}: `}${message}${wanted}`;
  if (kind === "ignored") return `${what}; Linux ${to} boots as if cold and everything is lost`;
  const errno = consequence?.errno === undefined ? "" : ` with ${consequence.errno}`;
  const detail = consequence?.detail === undefined ? "" : `: ${consequence.detail}`;
  return `${what}; Linux ${to} does not boot${errno}${detail}`;
}
