/** What several workers did, by rounds that they reach at different times. */
export interface Ledger<T> {
  put(worker: number, round: number, result: T): void;
  /** No more comes from this worker: its later rounds are empty. */
  close(worker: number): void;
  /** Results of one round by worker, once all have ended it. */
  at(round: number): Promise<readonly T[]>;
  /** True if all workers are closed, and none of them began this round. */
  isOver(round: number): boolean;
}

export function newLedger<T>(workers: number, empty: T): Ledger<T> {
  interface Slot {
    readonly promise: Promise<T>;
    readonly resolve: (result: T) => void;
  }
  const rounds: Slot[][] = [];
  const closed = new Set<number>();
  let begun = 0;
  const slots = (round: number): readonly Slot[] => {
    while (rounds.length <= round)
      rounds.push(
        Array.from({ length: workers }, (_, worker) => {
          let resolve: Slot["resolve"] = () => {};
          const promise = new Promise<T>((settle) => {
            resolve = settle;
          });
          if (closed.has(worker)) resolve(empty);
          return { promise, resolve };
        }),
      );
    return rounds[round]!;
  };
  return {
    put(worker, round, result) {
      begun = Math.max(begun, round + 1);
      slots(round)[worker]!.resolve(result);
    },
    close(worker) {
      closed.add(worker);
      for (const round of rounds) round[worker]!.resolve(empty);
    },
    at: (round) => Promise.all(slots(round).map(({ promise }) => promise)),
    isOver: (round) => closed.size === workers && round >= begun,
  };
}
