import type { Memfd } from "../../formats/memfd/memfd.js";
import { isMemfd } from "../../formats/memfd/memfd.js";
import type { File, Handover, Session } from "../handover/index.js";
import { escapeText } from "../layout/index.js";
import { KhoError } from "../report/error.js";
import { hex } from "../report/hex.js";
import { tokenText } from "./memfd.js";
import { nearest } from "./nearest.js";
import { safeName } from "./text.js";

/** A session with its place in the handover. */
export interface FoundSession {
  readonly session: Session;
  readonly index: number;
}

/**
 * The session of a name, as it is or as it is shown: names with control characters cannot be typed, but what is on the
 * screen can be copied. Of two with the same name the first, which is the one that kernels find.
 * @throws KhoError `not-found`
 */
export function findSession({ luo }: Handover, name: string): FoundSession {
  const sessions = luo?.sessions ?? [];
  const exact = sessions.findIndex((session) => session.name === name);
  const index = exact >= 0 ? exact : sessions.findIndex((session) => escapeText(session.name) === name);
  const session = sessions[index];
  if (session) return { session, index };
  if (!luo)
    throw new KhoError(
      "not-found",
      "there is no live-update state in this handover, so there are no sessions",
    );
  const near = nearest(
    name,
    sessions.slice(0, 1000).map((candidate) => escapeText(candidate.name)),
  );
  throw new KhoError("not-found", `there is no session ${safeName(name)} among ${sessions.length}`, {
    expected: near.length > 0 ? near.join(" or ") : "a name that kho sessions lists",
  });
}

/** A file with its place in the session. */
export interface FoundFile {
  readonly file: File;
  readonly index: number;
}

/** Which file of a session: by token, by place, or the only one. */
export interface FileChoice {
  readonly token?: bigint | undefined;
  readonly file?: number | undefined;
}

/** @throws KhoError `not-found`; `usage` if nothing says which, and there are several */
export function findFile({ name, files }: Session, { token, file: place }: FileChoice): FoundFile {
  const shown =
    files.slice(0, 8).map(tokenText).join(", ") + (files.length > 8 ? `, ${files.length - 8} more` : "");
  const expected = files.length === 0 ? {} : { expected: `one of ${shown}` };
  if (token === undefined && place === undefined && files.length > 1)
    throw new KhoError(
      "usage",
      `session ${safeName(name)} has ${files.length} files: name one by its token`,
      expected,
    );
  const index = token !== undefined ? files.findIndex((file) => file.token === token) : (place ?? 0);
  const file = files[index];
  if (file) return { file, index };
  if (files.length === 0) throw new KhoError("not-found", `session ${safeName(name)} has no files`);
  const what = token !== undefined ? `file with token ${hex(token)}` : `file ${index}`;
  throw new KhoError("not-found", `session ${safeName(name)} has no ${what}`, {
    ...(token !== undefined ? expected : { expected: `0 to ${files.length - 1}` }),
  });
}

/** The memfd of a file. @throws KhoError `not-found` for another handler's file, `memfd-bad-header` for a damaged one */
export function memfdOf({ compatible, data, memfd }: File, path: string): Memfd {
  if (memfd) return memfd;
  if (isMemfd(compatible))
    throw new KhoError("memfd-bad-header", "the memfd's structure cannot be read; kho check says why", {
      path,
      pa: data,
    });
  throw new KhoError(
    "not-found",
    `the file belongs to the handler ${safeName(compatible)}, whose data is not known here`,
    {
      path,
      expected: "memfd-v1 or memfd-v2",
      actual: compatible,
    },
  );
}
