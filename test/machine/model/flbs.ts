/** FLBs in the model: spec/luo-machine, section 6. */
import type { Result, Wrong } from "./luo.js";
import { since } from "./releases.js";
import type { Model, ModelFlb } from "./state.js";

/** FLBs of the files of a type, in the order they were registered with its handler. */
export const flbsOf = ({ flbs }: Model, compatible: string): ModelFlb[] => {
  const names = compatible.startsWith("memfd")
    ? ["f1"]
    : compatible === "toy-v1"
      ? ["f1", "f2"]
      : ["f2", "f1"];
  return names.flatMap((name) => flbs.filter((flb) => flb.name === name));
};

export function dropOutgoing(model: Model, flb: ModelFlb): void {
  if (--flb.count === 0) model.events.push(`${flb.name} unpreserve`);
}

export function dropIncoming(model: Model, flb: ModelFlb): void {
  const { incoming } = flb;
  if (--incoming.count !== 0) return;
  if (!incoming.retrieved && retrieveFlb(model, flb, {}) !== "ok") {
    incoming.count = 0;
    return;
  }
  incoming.count = 0;
  model.events.push(`${flb.name} finish`);
  incoming.finished = true;
}

function retrieveFlb(model: Model, { name, incoming }: ModelFlb, wrong: Wrong): Result {
  if (incoming.finished) return "ENODATA";
  if (incoming.retrieved) return "ok";
  if (!model.flbsReceived) return "ENODATA";
  if (incoming.errno) return incoming.errno;
  const count = model.flbsReceived.get(name);
  if (count === undefined) return "ENOENT";
  incoming.count = count;
  if (wrong.flbRetrieve === name) {
    model.events.push(`${name} cannot retrieve`);
    if (since(model.release, "7.2.13")) incoming.errno = "EIO";
    return "EIO";
  }
  model.events.push(`${name} retrieve`);
  model.received.delete(`flb ${name}`);
  incoming.retrieved = true;
  return "ok";
}

export function requestIncoming(model: Model, flb: ModelFlb, wrong: Wrong): Result {
  const result = retrieveFlb(model, flb, wrong);
  if (result === "ok" && since(model.release, "7.1.13")) {
    flb.incoming.count++;
    flb.heldIn++;
  }
  return result;
}

export function putIncoming(model: Model, flb: ModelFlb): void {
  flb.heldIn--;
  dropIncoming(model, flb);
}

export function requestOutgoing(model: Model, flb: ModelFlb): Result {
  if (!since(model.release, "7.2.13")) return "ok";
  if (flb.count === 0) return "ENOENT";
  flb.count++;
  flb.heldOut++;
  return "ok";
}

export function putOutgoing(model: Model, flb: ModelFlb): void {
  flb.heldOut--;
  dropOutgoing(model, flb);
}
