import { describe, expect, test } from "vitest";
import { type Contender, type Measured, measure, type Peer, short } from "../../bench/measure.js";

/** A clock of its own: what a round takes is given, one time after the other. */
const clocked = (name: string, times: readonly number[], result = 1): Contender => {
  let round = 0;
  return { name, run: () => result, seconds: () => times[round++ % times.length]! };
};

const everyPair = { ...short, goalsOnly: false };

function measured(
  ours: readonly Contender[],
  peers: readonly Peer[],
  sameResult = true,
  effort = everyPair,
): Measured[] {
  const rows: Measured[] = [];
  const subject = { name: "work", ours, peers, sameResult };
  measure(subject, effort, { round: () => {}, row: (_, row) => rows.push(row) });
  return rows;
}

describe("measure", () => {
  test("divides our time by the peer's of the same round", () => {
    const [row] = measured([clocked("ours", [2, 40, 6])], [{ ...clocked("peer", [1, 10, 2]), goal: 2.5 }]);
    expect(row).toMatchObject({
      name: "work: ours",
      against: "peer",
      ratio: 3,
      spread: [2, 4],
      goal: 2.5,
      floor: 7.5,
      rounds: short.rounds,
      seconds: { ours: 6, peer: 2 },
    });
  });

  test("measures each of ours against each peer", () => {
    const rows = measured(
      [clocked("a", [1]), clocked("b", [2])],
      [clocked("x", [1]), { ...clocked("y", [4]), floor: 9 }],
    );
    expect(rows.map(({ name, against, ratio, floor }) => [name, against, ratio, floor])).toEqual([
      ["work: a", "x", 1, null],
      ["work: a", "y", 0.25, 9],
      ["work: b", "x", 2, null],
      ["work: b", "y", 0.5, 9],
    ]);
  });

  test("runs ours and the peer in turns, and turns the order around every other round", () => {
    const order: string[] = [];
    const noted = (name: string): Contender => ({
      name,
      run: () => 0,
      seconds: () => order.push(name),
    });
    measured([noted("ours")], [noted("peer")]);
    expect(order.slice(0, 6)).toEqual(["ours", "peer", "peer", "ours", "ours", "peer"]);
  });

  test("refuses to time those that do not agree", () => {
    expect(() => measured([clocked("ours", [1], 5)], [clocked("peer", [1], 6)])).toThrow(
      "work: they do not agree: ours 5, peer 6",
    );
    expect(measured([clocked("ours", [1], 5)], [clocked("yardstick", [1], 6)], false)).toHaveLength(1);
  });

  test("leaves out what has no goal if asked to, once it was seen to agree", () => {
    const peers = [clocked("x", [1]), { ...clocked("y", [4]), goal: 1 }];
    const rows = measured([clocked("ours", [1])], peers, true, short);
    expect(rows.map(({ against }) => against)).toEqual(["y"]);
    expect(() => measured([clocked("ours", [1], 5)], [clocked("x", [1])], true, short)).toThrow("not agree");
  });

  test("folds what was computed into its result", () => {
    const run = (name: string): Contender => ({ name, run: () => 3 });
    const subject = { name: "work", ours: [run("ours")], peers: [run("peer")], sameResult: true };
    const effort = { ...everyPair, minTime: 0, maxTime: 0, warmUp: 0 };
    const sink = measure(subject, effort, { round: () => {}, row: () => {} });
    expect(sink).toBeGreaterThan(0);
    expect(sink % 3).toBe(0);
  });
});
