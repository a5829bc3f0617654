/** The reboot in the model, and what it hands over: spec/luo-machine, section 4.3. */
import type { Held, Model, ModelSession, Saved } from "./state.js";

/** Where a freeze fails: the file's place, and whether its handler is asked at all. */
export interface FreezeFault {
  readonly session: number;
  readonly file: number;
  readonly byHandler: boolean;
}

/** Freezes everything, up to a file that fails; what was frozen is unfrozen then. */
export function freezeAll(model: Model, fault?: FreezeFault): boolean {
  for (const [s, { files }] of model.outgoing.entries())
    for (const [f, held] of files.entries()) {
      const { type, id, value } = held.file!.inode;
      const fails = fault?.session === s && fault.file === f;
      if (type === "toy" && fails && fault.byHandler) model.events.push(`cannot freeze ${id}`);
      if (fails) {
        unfreeze(model, files.slice(0, f));
        for (const session of model.outgoing.slice(0, s).reverse()) unfreeze(model, session.files);
        return false;
      }
      if (type !== "toy") continue;
      model.events.push(`freeze ${id}`);
      held.value = value;
    }
  return true;
}

function unfreeze(model: Model, files: readonly Held[]): void {
  for (const { file } of files)
    if (file!.inode.type === "toy") model.events.push(`unfreeze ${file!.inode.id}`);
}

/** What the next kernel finds of the sessions. */
export function handedOver({ outgoing }: Model): ModelSession[] {
  return outgoing.map(({ name, files }, s) => ({
    kind: "incoming",
    name,
    retrieved: false,
    label: `files ${s}`,
    files: files.map(({ token, compatible, file, seals, value }, f): Held => {
      const { type, id, trait, order, size, pages } = file!.inode;
      const saved: Saved = {
        type,
        id,
        trait,
        order,
        value,
        size,
        pages: new Map([...pages].map(([page, bytes]) => [page, bytes.slice()])),
        seals,
        pos: type === "memfd" ? file!.pos : 0n,
        folioPages: 0,
      };
      return { token, compatible, label: `file ${s}.${f}`, saved, status: "untried", seals, value };
    }),
  }));
}
