import type { Flb } from "../machine/index.js";

/** The FLBs of the kernel's own test, which hangs them on the files of every handler. lib/tests/liveupdate.c, since 7.0. */
export interface TestFlb extends Flb<string> {
  /** What became of it in this kernel. */
  readonly events: string[];
}

/** What FLB `i` hands over. */
export const testFlbData = (i: number): bigint => 0xfeedf00dcafebee0n + BigInt(i);

export const newTestFlbs = (): TestFlb[] =>
  [0, 1, 2].map((i) => {
    const events: string[] = [];
    const did = (what: string): void => void events.push(what);
    return {
      name: `liveupdate-test-flb-v${i}`,
      events,
      preserve() {
        did("preserve");
        return { data: testFlbData(i), object: `object ${i}` };
      },
      unpreserve: () => did("unpreserve"),
      retrieve(data) {
        did(`retrieve 0x${data.toString(16)}`);
        return `object ${i}`;
      },
      finish: () => did("finish"),
    };
  });
