/** A command: one call on both sides, and everything that must hold after it. */
import fc from "fast-check";
import { expect } from "vitest";
import { checkOwners, checkPartition } from "./check-pages.js";
import { checkDescriptors, checkSessions } from "./check-status.js";
import type { Result } from "./luo.js";
import type { Model, ModelOpen } from "./state.js";
import { type AllocationFault, resultOf, type World } from "./world.js";

/** The model of the kernel that is up; a kexec puts another one in. */
export interface Box {
  m: Model;
}

export type Step = fc.Command<Box, World>;
type Body<A> = (box: Box, world: World, args: A) => void;

/** Commands of one kind, with arguments from `args`. `applies` is asked of the model before each. */
export const step = <A>(
  name: string,
  args: fc.Arbitrary<A>,
  applies: (m: Model, args: A) => boolean,
  body: Body<A>,
): fc.Arbitrary<Step> =>
  args.map((values) => ({
    check: ({ m }) => applies(m, values),
    run(box, world) {
      begin(box, world);
      body(box, world, values);
      verify(box.m, world);
    },
    toString: () => `${name}(${fc.stringify(values)})`,
  }));

export function begin({ m }: Box, world: World): void {
  const { script } = world;
  m.events = [];
  script.events.length = 0;
  delete script.flbPreserve;
  delete script.flbRetrieve;
  delete script.toyPreserve;
  delete script.toyFreeze;
  world.allocationFault = undefined;
  world.freezeFault = undefined;
  world.asked = 0;
  world.failed = [];
}

export function verify(m: Model, world: World): void {
  expect(world.script.events, "callbacks").toEqual(m.events);
  checkDescriptors(m, world);
  checkSessions(m, world);
  checkPartition(world);
  checkOwners(m, world);
}

/** The result of both sides. An allocation that failed and was not got around leaves nothing behind. */
export function both(
  m: Model,
  world: World,
  real: () => unknown,
  predicted: () => Result,
  fault?: AllocationFault | undefined,
): Result {
  const { events } = world.script;
  const before = events.length;
  world.asked = 0;
  world.failed = [];
  world.allocationFault = fault;
  const result = resultOf(real);
  world.allocationFault = undefined;
  if (world.failed.length > 0 && result === "ENOMEM") {
    expectUndone(events.slice(before));
    m.events.push(...events.slice(before));
    return result;
  }
  const wanted = predicted();
  expect(result).toBe(wanted);
  return wanted;
}

/** Each FLB that was preserved on the way is unpreserved again, the last one first. */
function expectUndone(events: readonly string[]): void {
  const stack: string[] = [];
  for (const event of events) {
    const [name, what] = event.split(" ") as [string, string];
    if (what === "preserve") stack.push(name);
    else expect(stack.pop(), event).toBe(name);
  }
  expect(stack).toEqual([]);
}

/** Which allocation fails, if one does. */
export const fault: fc.Arbitrary<AllocationFault | undefined> = fc.option(
  fc.record({ after: fc.nat({ max: 12 }), forGood: fc.boolean() }),
  { freq: 5, nil: undefined },
);

/** True now and then; what is generated prefers both ends of a list. */
export const rarely: fc.Arbitrary<boolean> = fc.constantFrom(
  false,
  false,
  false,
  false,
  true,
  false,
  false,
  false,
);

export interface Where<O extends ModelOpen = ModelOpen> {
  readonly p: number;
  readonly fd: number;
  readonly open: O;
}

/** All descriptors of a kind. */
export function descriptors<K extends ModelOpen["kind"]>(
  { processes }: Model,
  kind: K,
): Where<Extract<ModelOpen, { kind: K }>>[] {
  return processes.flatMap(({ fds }, p) =>
    [...fds].flatMap(([fd, open]) =>
      open.kind === kind ? [{ p, fd, open: open as Extract<ModelOpen, { kind: K }> }] : [],
    ),
  );
}

export const pick = <T>(list: readonly T[], n: number): T => list[n % list.length]!;
