import { isAtLeast } from "../../../formats/kernels.js";
import { flbCapacity } from "../../../formats/luo/encode.js";
import { luoFileSer, luoFlbSer } from "../../../formats/luo/layout.js";
import { bytesFromText, memberOf } from "../../layout/index.js";
import { KhoError } from "../../report/error.js";
import { refusal } from "../errno.js";
import type { FileHandler, Flb } from "../kernel.js";
import type { LuoState, RegisteredFlb } from "./state.js";

/** Adds a kind of file that can be preserved. Handlers are tried in the order of registration. */
export function registerHandler(luo: LuoState, handler: FileHandler): void {
  mustBeEnabled(luo);
  const { canPreserve, preserve, unpreserve, retrieve, finish } = handler;
  mustHaveAll({ canPreserve, preserve, unpreserve, retrieve, finish });
  mustBeName(handler.compatible, memberOf(luoFileSer, "compatible", luo.core.abi).size);
  if (!isAtLeast(luo.core.kernel, "7.1")) mustHaveNoSessions(luo);
  if (luo.handlers.some((other) => other.handler.compatible === handler.compatible))
    throw refusal("EEXIST", `there is a handler ${handler.compatible}`);
  luo.handlers.push({ handler, flbs: [] });
}

/** Makes an FLB follow the files of a handler. One FLB can follow several handlers. */
export function registerFlb(luo: LuoState, handler: FileHandler, flb: Flb): void {
  const { core } = luo;
  if (!core.kernel.flb) throw refusal("EOPNOTSUPP", `Linux ${core.kernel.release} has no FLBs`);
  mustBeEnabled(luo);
  const { preserve, unpreserve, retrieve, finish } = flb;
  mustHaveAll({ preserve, unpreserve, retrieve, finish });
  mustBeName(flb.name, memberOf(luoFlbSer, "name", core.abi).size);
  const by = luo.handlers.find((other) => other.handler === handler);
  if (!by) throw refusal("EINVAL", `the handler ${handler.compatible} is not registered`);
  if (!isAtLeast(core.kernel, "7.1")) mustHaveNoSessions(luo);
  if (by.flbs.some((other) => other.flb === flb))
    throw refusal("EEXIST", `the FLB ${flb.name} follows ${handler.compatible} already`);
  let registered = luo.flbs.find((other) => other.flb === flb);
  if (!registered) luo.flbs.push((registered = newFlb(luo, flb)));
  by.flbs.push(registered);
}

function newFlb({ core, flbs }: LuoState, flb: Flb): RegisteredFlb {
  if (flbs.length >= flbCapacity(core)) throw refusal("ENOSPC", `there are ${flbs.length} FLBs`);
  if (flbs.some((other) => other.flb.name === flb.name))
    throw refusal("EEXIST", `there is another FLB ${flb.name}`);
  return {
    flb,
    outgoing: { count: 0, data: 0n, object: undefined },
    incoming: { count: 0n, data: 0n, object: undefined, retrieved: false, finished: false },
  };
}

/** Refuses what needs live update where it is off. */
export function mustBeEnabled({ enabled }: Pick<LuoState, "enabled">): void {
  if (!enabled) throw refusal("EOPNOTSUPP", "live update is off");
}

function mustHaveAll(callbacks: Record<string, unknown>): void {
  for (const [name, callback] of Object.entries(callbacks))
    if (typeof callback !== "function") throw refusal("EINVAL", `the callback ${name} is missing`);
}

/** A name is an array of the kernel's, which has no way to be longer. */
function mustBeName(name: string, room: number): void {
  if (bytesFromText(name).length < room && name !== "") return;
  throw new KhoError("machine-misuse", "the name of a handler or FLB is empty or too long", {
    expected: `1 to ${room - 1} bytes`,
    actual: name,
  });
}

/** Before 7.1 nothing may be registered while there are sessions. */
function mustHaveNoSessions({ outgoing, incoming }: LuoState): void {
  if (outgoing.size + incoming.size > 0) throw refusal("EBUSY", "there are sessions");
}
