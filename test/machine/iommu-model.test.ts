/** Random calls on a domain, and random accesses of a device in it, against a list of mappings and the files' bytes. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { attempt, IOMMU_READ, IOMMU_WRITE, type Machine, read, write } from "../../src/machine/index.js";
import { isKhoError } from "../../src/report/error.js";
import { base, bootWith, nic, someBytes, vendors } from "./iommu-support.js";

const page = 4096;
/** Pages that the device's addresses span, and that each of the files has. */
const span = 14;
const filePages = 10;
const fileBytes = filePages * page;
/** Makers whose pages can be written without being readable. */
const hasWriteOnly: readonly string[] = ["vtd", "amd"];

const at = fc.nat({ max: span - 1 });
const count = fc.integer({ min: 1, max: 6 });
const file = fc.nat({ max: 1 });
const step = fc.oneof(
  fc.record({
    kind: fc.constant("map" as const),
    at,
    file,
    from: fc.nat({ max: filePages - 1 }),
    count,
    prot: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ kind: fc.constant("unmap" as const), at, count }),
  fc.record({
    kind: fc.constantFrom("read" as const, "write" as const),
    at,
    into: fc.nat({ max: page - 1 }),
    length: fc.integer({ min: 1, max: 3 * page }),
  }),
  fc.record({
    kind: fc.constant("store" as const),
    file,
    at: fc.nat({ max: fileBytes - 1 }),
    length: fc.integer({ min: 1, max: 3 * page }),
  }),
  fc.record({
    kind: fc.constantFrom("attach" as const, "attach" as const, "attach" as const, "detach" as const),
  }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Mapping {
  readonly at: number;
  readonly count: number;
  readonly file: number;
  readonly from: number;
  readonly prot: number;
}

test.each(vendors)("%s: devices and files have the same bytes", (vendor) => {
  const steps = fc.array(step, { minLength: 20, maxLength: 60, size: "max" });
  fc.assert(
    fc.property(steps, (all) => run(bootWith(vendor), all)),
    { numRuns: 25 },
  );
});

function run(machine: Machine, steps: readonly Step[]): void {
  const files = [0, 3].map((folioOrder) => machine.memfd({ size: fileBytes, folioOrder }));
  const contents = files.map(() => new Uint8Array(fileBytes));
  const domain = machine.iommu.domain();
  const device = machine.device(nic);
  const pages = (many: number): bigint => BigInt(many * page);
  let mappings: Mapping[] = [];
  let attached = true;
  domain.attach(nic);
  const touched = (from: number, many: number): Mapping[] =>
    mappings.filter((mapping) => mapping.at < from + many && from < mapping.at + mapping.count);
  const errnoOf = (call: () => unknown): string | undefined => {
    const result = attempt(call);
    return "errno" in result ? result.errno : undefined;
  };

  /** Calls `each` for the bytes of an access up to the first that is refused; how many there are. */
  const walk = (
    first: number,
    length: number,
    right: number,
    each: (of: Uint8Array, place: number) => void,
  ) => {
    for (let done = 0; done < length; done++) {
      const byte = first + done;
      const [found] = touched(Math.floor(byte / page), 1);
      if (!attached || !found || (found.prot & right) === 0) return done;
      each(contents[found.file]!, byte - (found.at - found.from) * page);
    }
    return length;
  };
  /** Runs an access of the device, which faults if not all of it is allowed. */
  const access = (length: number, allowed: number, call: () => void): void => {
    let faulted = false;
    try {
      call();
    } catch (error) {
      if (!isKhoError(error, "iommu-fault")) throw error;
      faulted = true;
    }
    expect(faulted).toBe(allowed < length);
  };

  for (const [seed, now] of steps.entries()) {
    if (now.kind === "map") {
      const prot = hasWriteOnly.includes(machine.iommu.vendor) ? now.prot : now.prot | IOMMU_READ;
      const range = { offset: pages(now.from), length: pages(now.count) };
      const taken = touched(now.at, now.count).length > 0;
      const expected = taken ? "EEXIST" : now.from + now.count > filePages ? "EINVAL" : undefined;
      const call = () => domain.map(base + pages(now.at), files[now.file]!, prot, range);
      expect(errnoOf(call)).toBe(expected);
      if (!expected) mappings.push({ ...now, prot });
    } else if (now.kind === "unmap") {
      const found = touched(now.at, now.count);
      const whole = found.every((one) => one.at >= now.at && one.at + one.count <= now.at + now.count);
      const expected = found.length > 0 && whole ? undefined : "ENOENT";
      expect(errnoOf(() => domain.unmap(base + pages(now.at), pages(now.count)))).toBe(expected);
      if (!expected) mappings = mappings.filter((one) => !found.includes(one));
    } else if (now.kind === "read") {
      const first = now.at * page + now.into;
      const wanted: number[] = [];
      const allowed = walk(first, now.length, IOMMU_READ, (of, place) => wanted.push(of[place]!));
      access(now.length, allowed, () => {
        const got = device.read(base + BigInt(first), now.length);
        expect(got).toEqual(Uint8Array.from(wanted));
      });
    } else if (now.kind === "write") {
      const first = now.at * page + now.into;
      const bytes = someBytes(now.length, seed);
      let next = 0;
      const allowed = walk(first, now.length, IOMMU_WRITE, (of, place) => {
        of[place] = bytes[next++]!;
      });
      access(now.length, allowed, () => device.write(base + BigInt(first), bytes));
    } else if (now.kind === "store") {
      const bytes = someBytes(Math.min(now.length, fileBytes - now.at), seed);
      contents[now.file]!.set(bytes, now.at);
      write(files[now.file]!, bytes, BigInt(now.at));
    } else if (now.kind === "attach") {
      domain.attach(nic);
      attached = true;
    } else {
      expect(errnoOf(() => domain.detach(nic))).toBe(attached ? undefined : "ENOENT");
      attached = false;
    }
    for (const [i, content] of contents.entries())
      expect(Buffer.compare(read(files[i]!, fileBytes, 0n), content)).toBe(0);
  }
}
