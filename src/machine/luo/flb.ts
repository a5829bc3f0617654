import { isAtLeast } from "../../../formats/kernels.js";
import { encodeFlbPage } from "../../../formats/luo/encode.js";
import type { PhysAddr } from "../../memory/index.js";
import { KhoError } from "../../report/error.js";
import { errnoOf, refusal } from "../errno.js";
import type { Flb } from "../kernel.js";
import { targetOf } from "../target.js";
import { oops } from "./oops.js";
import { mustBeEnabled } from "./registry.js";
import type { LuoState, RegisteredFlb, RegisteredHandler } from "./state.js";

/** One reference for a file that is about to be preserved, on every FLB of its handler; all or none. */
export function preserveFlbs(luo: LuoState, { flbs }: RegisteredHandler): void {
  for (const [i, flb] of flbs.entries())
    try {
      holdOutgoing(luo, flb);
    } catch (error) {
      for (const counted of flbs.slice(0, i).reverse()) dropOutgoing(luo, counted);
      throw error;
    }
}

/** Takes back the references of a file that is no longer preserved. */
export function unpreserveFlbs(luo: LuoState, { flbs }: RegisteredHandler): void {
  for (const flb of flbs.toReversed()) dropOutgoing(luo, flb);
}

/** Drops the references that a file brought along from the previous kernel. */
export function finishFlbs(luo: LuoState, { flbs }: RegisteredHandler): void {
  for (const flb of flbs.toReversed()) dropIncoming(luo, flb);
}

function holdOutgoing({ core }: LuoState, { flb, outgoing }: RegisteredFlb): void {
  if (outgoing.count === 0) Object.assign(outgoing, flb.preserve(core));
  outgoing.count++;
}

function dropOutgoing({ core }: LuoState, { flb, outgoing }: RegisteredFlb): void {
  if (outgoing.count === 0)
    throw new KhoError("machine-misuse", `the FLB ${flb.name} is put by somebody who did not ask for it`);
  if (--outgoing.count > 0) return;
  const { data, object } = outgoing;
  flb.unpreserve(data, object, core);
  Object.assign(outgoing, { data: 0n, object: undefined });
}

/**
 * The count that the previous kernel wrote is known only after a first request. Without one it is still 0 here, the
 * decrement underflows, and the FLB is never finished.
 */
function dropIncoming(luo: LuoState, registered: RegisteredFlb): void {
  const { core } = luo;
  const { flb, incoming } = registered;
  if (incoming.count <= 0n) {
    incoming.count--;
    if (isAtLeast(core.kernel, "7.1"))
      core.log(`WARNING: refcount_t: underflow; the count of FLB ${flb.name} was never loaded`);
    return;
  }
  if (--incoming.count > 0n) return;
  if (!incoming.retrieved)
    try {
      load(luo, registered);
      incoming.count = 0n;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      core.log(`WARNING: FLB ${flb.name} cannot be retrieved and is not finished`);
      return;
    }
  flb.finish(incoming.data, incoming.object, core);
  Object.assign(incoming, { data: 0n, object: undefined, finished: true });
}

/** Finds an FLB among those handed over, with its count, and lets it build its object. */
function load({ core, received }: LuoState, { flb, incoming }: RegisteredFlb): void {
  if (incoming.finished) throw refusal("ENODATA", `the FLB ${flb.name} is finished`);
  if (incoming.retrieved) return;
  if (!received?.flbs) throw refusal("ENODATA", "no FLB was handed over");
  if (incoming.errno) throw refusal(incoming.errno, `the FLB ${flb.name} could not be retrieved before`);
  const found = received.flbs.find(({ name }) => name === flb.name);
  if (!found && received.flbFault) throw oops(received.flbFault.detail, "boot");
  if (!found) throw refusal("ENOENT", `the FLB ${flb.name} was not handed over`);
  incoming.data = found.data;
  incoming.count = found.count;
  try {
    incoming.object = flb.retrieve(found.data, core);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== undefined && isAtLeast(core.kernel, "7.2")) incoming.errno = errno;
    throw error;
  }
  incoming.retrieved = true;
}

function registeredAs({ flbs }: LuoState, flb: Flb): RegisteredFlb {
  const found = flbs.find((other) => other.flb === flb);
  if (!found) throw refusal("EINVAL", `the FLB ${flb.name} is not registered`);
  return found;
}

/** The object of an FLB that the previous kernel handed over. From 7.1 on the caller holds a reference. */
export function incomingFlb(luo: LuoState, flb: Flb): unknown {
  mustBeEnabled(luo);
  const registered = registeredAs(luo, flb);
  load(luo, registered);
  if (isAtLeast(luo.core.kernel, "7.1")) hold(luo, registered);
  return registered.incoming.object;
}

/** One reference more. A count of 0 means that the object is gone: it stays out of reach of any further counting. */
function hold({ core }: LuoState, { flb, incoming }: RegisteredFlb): void {
  incoming.count++;
  if (incoming.count > 1n) return;
  core.log(`WARNING: refcount_t: addition on 0; FLB ${flb.name} came without references`);
  incoming.count = saturated;
}

/** REFCOUNT_SATURATED as what it is to a signed number: below every count. include/linux/refcount.h */
const saturated = -(2n ** 30n);

/** Gives back what {@link incomingFlb} returned; nothing before 7.1. */
export function putIncomingFlb(luo: LuoState, flb: Flb): void {
  if (isAtLeast(luo.core.kernel, "7.1")) dropIncoming(luo, registeredAs(luo, flb));
}

/**
 * The object of an FLB that some preserved file holds. Where there is none: ENOENT, before 7.2 undefined. From 7.2 on
 * the caller holds a reference, which is handed over with the files' ones.
 */
export function outgoingFlb(luo: LuoState, flb: Flb): unknown {
  mustBeEnabled(luo);
  const { outgoing } = registeredAs(luo, flb);
  if (!isAtLeast(luo.core.kernel, "7.2")) return outgoing.object;
  if (outgoing.count === 0) throw refusal("ENOENT", `no file holds the FLB ${flb.name}`);
  outgoing.count++;
  return outgoing.object;
}

/** Gives back what {@link outgoingFlb} returned; nothing before 7.2. */
export function putOutgoingFlb(luo: LuoState, flb: Flb): void {
  if (isAtLeast(luo.core.kernel, "7.2")) dropOutgoing(luo, registeredAs(luo, flb));
}

/** Writes the FLBs that have references, in the order of registration. */
export function writeFlbs({ core, flbs }: LuoState, page: PhysAddr): void {
  const held = flbs.filter(({ outgoing }) => outgoing.count > 0);
  encodeFlbPage(
    targetOf(core),
    page,
    held.map(({ flb: { name }, outgoing: { data, count } }) => ({ name, data, count: BigInt(count) })),
  );
}
